//! Settings of an operator: their sources, their values and their problems.
//!
//! Every setting has one name, the name of its environment variable. Sources override each other in this
//! order: the environment, a TOML file (the same names in lower case), command-line flags. A secret may also
//! be given as `NAME_FILE`, the path of a file that contains it. This module opens no database and no model:
//! [`crate::setup`] does that with the finished [`Config`].

#[cfg(feature = "http")]
mod accounts;
mod check;
mod foreign;
#[cfg(test)]
mod fuzz;
mod layers;
mod private_file;
mod queue;
mod secret;
#[cfg(feature = "http")]
mod server;
pub(crate) mod settings;

use std::path::PathBuf;
use std::time::Duration;

use sutazai_core::admission_control::AdmissionControlConfig;
use sutazai_core::domain::{AccessPolicy, ConcurrencyLimits, DocumentQuota, MessageQuota, RetentionPolicy};
use sutazai_core::{Error, Result};

#[cfg(feature = "http")]
pub use accounts::{AccountSettings, FirstAdmin};
pub use layers::Layers;
#[cfg(feature = "http")]
pub(crate) use private_file::read_own_file;
pub use secret::Secret;
#[cfg(feature = "http")]
pub use server::{RequestsPerMinute, ServerSettings};
pub(crate) use settings::user_data_folder;

/// Policy at the start for missing secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Generates a missing signing key and keeps it next to the database.
    Development,
    /// Rejects a missing secret with an error at the start.
    Production,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Plain lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The effective configuration of a process. The settings of a server and of its users exist with the feature `http`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Database of tasks, users and history, such as `sqlite:///var/lib/sutazai/sutazai.db`.
    pub database_url: Secret,
    /// Address of the PostgreSQL server itself, when `database_url` leads to a pooler; used for notifications
    /// of other processes.
    pub database_listen_url: Option<Secret>,
    /// Redis in which servers share limits and caches; `None`: each has its own limits and no cache.
    pub redis_url: Option<Secret>,
    /// PEM roots that verify the certificate of a Redis over TLS; `None`: those of the system.
    pub redis_ca_file: Option<PathBuf>,
    /// RabbitMQ to which events are published; `None`: they are not published.
    pub rabbitmq_url: Option<Secret>,
    /// Model backends in order of preference, as `name=address` separated by commas.
    pub model_backends: String,
    /// Place in which `llama-cpp` models run; `None`: such a backend is an error.
    pub model_program: Option<ModelProgram>,
    /// Limit of a model's child process in bytes of private memory.
    pub model_memory_limit: Option<u64>,
    /// Model to use when it exists; otherwise the first that does.
    pub default_model: String,
    /// Pulls a missing `default_model` through the first backend that can.
    pub model_auto_pull: bool,
    /// Bearer key for OpenAI-compatible servers.
    pub openai_api_key: Option<Secret>,
    /// Permissions of ordinary users.
    pub access: AccessPolicy,
    /// Number of tasks that run at once; with 0, other processes run them.
    pub workers: usize,
    /// Lease of a claim without a heartbeat.
    pub lease: Duration,
    /// Time that running tasks get to end at shutdown before they are released.
    pub shutdown_grace: Duration,
    /// Maximum numbers of running tasks of one user and of an agent, over all processes.
    pub limits: ConcurrencyLimits,
    /// Quotas of one user.
    pub quotas: UserQuotas,
    /// Retention policy of ended tasks.
    pub retention_policy: RetentionPolicy,
    /// Limits of admission control in front of the models.
    pub admission_control: AdmissionControlConfig,
    /// Maximum silence of a model server before it counts as stuck.
    pub model_idle_timeout: Duration,
    /// Name of this machine: the host of its samples in the metric history, and of analyses.
    pub host_name: String,
    /// Time between two samples of the metric history.
    pub history_interval: Duration,
    /// Retention of the metric history.
    pub history_keep: Duration,
    /// Collector that traces are sent to; `None`: no traces are sent.
    pub otlp_endpoint: Option<String>,
    /// Name of this server in log lines and traces.
    pub service_name: String,
    /// Format of log lines.
    pub log_format: LogFormat,
    /// Filter of log lines, such as `info,sutazai=debug`; `None`: the default of the command.
    pub log_level: Option<String>,
    /// Policy at the start for missing secrets.
    pub environment: Environment,
    /// Settings of users, their sessions and keys.
    #[cfg(feature = "http")]
    pub accounts: AccountSettings,
    /// Settings of the HTTP server.
    #[cfg(feature = "http")]
    pub server: ServerSettings,
    /// Warnings about environment variables that look like settings but are not; each names the right one.
    pub warnings: Vec<String>,
}

/// Place in which the models of GGUF files run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelProgram {
    /// Runs each model in a child process of a program that calls `run_model_process`, as `sutazai
    /// model-process` does.
    Command {
        /// Path of the program.
        program: PathBuf,
        /// Arguments of the program.
        arguments: Vec<String>,
        /// Environment of the program; only `LD_LIBRARY_PATH` and `TMPDIR` are inherited.
        environment: Vec<(String, String)>,
    },
    /// Runs the models in this process; a crash of native code ends it.
    InProcess,
}

impl ModelProgram {
    /// Uses the `sutazai` binary at this path.
    pub fn sutazai(program: impl Into<PathBuf>) -> Self {
        let arguments = vec!["model-process".to_owned()];
        Self::Command { program: program.into(), arguments, environment: Vec::new() }
    }
}

/// Quotas of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserQuotas {
    /// Documents and their bytes.
    pub documents: DocumentQuota,
    /// Maximum number of conversations.
    pub conversations: u32,
    /// Messages of all conversations and their bytes.
    pub messages: MessageQuota,
    /// Tasks that wait for a worker.
    pub pending_tasks: u32,
}

impl Config {
    /// Reads the configuration of a process from the environment alone; with the feature `http`, that of a server.
    ///
    /// # Errors
    /// `InvalidInput` naming the first invalid setting.
    pub fn from_env() -> Result<Self> {
        environment().check().map_err(first)
    }

    /// Reads the configuration of a process of workers only from the environment alone.
    ///
    /// # Errors
    /// Those of [`from_env`](Self::from_env).
    pub fn worker_from_env() -> Result<Self> {
        environment().check_worker().map_err(first)
    }
}

fn environment() -> Layers {
    Layers::read(std::env::vars_os(), None, &[])
}

fn first(mut problems: Vec<Error>) -> Error {
    problems.swap_remove(0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::settings::{markdown, settings};
    use super::*;

    pub(super) fn read(
        variables: &[(&str, &str)],
        file: Option<&Path>,
        flags: &[(&'static str, Option<String>)],
    ) -> Layers {
        let environment = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Layers::read(environment, file, flags)
    }

    /// Writes a file that nobody else can read.
    pub(super) fn write_private(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(super) fn problems(variables: &[(&str, &str)]) -> Vec<String> {
        read(variables, None, &[]).check().unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn defaults_are_good() {
        let config = read(&[], None, &[]).check().unwrap();
        assert_eq!((config.default_model.as_str(), config.model_auto_pull), ("tinyllama", false));
        assert!(config.workers >= 1);
    }

    #[test]
    fn flags_go_over_the_file_and_the_file_over_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sutazai.toml");
        std::fs::write(&file, "default_model = \"from-file\"\nworkers = 3\n").unwrap();
        let variables = [("DEFAULT_MODEL", "from-env"), ("WORKERS", "2"), ("LOG_FORMAT", "json")];
        let config = read(&variables, Some(&file), &[("WORKERS", Some("4".into()))]).check().unwrap();
        assert_eq!((config.default_model.as_str(), config.workers), ("from-file", 4));
        assert_eq!(config.log_format, LogFormat::Json);
    }

    #[test]
    fn concurrency_limits_are_read() {
        assert!(!read(&[], None, &[]).check().unwrap().limits.are_set());
        let set =
            [("MAX_TASKS_PER_USER", "3"), ("AGENT_CONCURRENCY", "hardware-optimizer=2, model-puller=1")];
        let limits = read(&set, None, &[]).check().unwrap().limits;
        assert_eq!(limits.per_owner, Some(3));
        let expected = [("hardware-optimizer".to_owned(), 2), ("model-puller".to_owned(), 1)];
        assert_eq!(limits.per_agent, expected.into());
        for bad in ["x", "x=", "x=0", "=1", "x=1,,y=1", "x=-1"] {
            assert!(problems(&[("AGENT_CONCURRENCY", bad)])[0].contains("expected agent=1"), "{bad}");
        }
    }

    #[test]
    fn user_quotas_are_read() {
        let quotas = read(&[], None, &[]).check().unwrap().quotas;
        assert_eq!(quotas.documents, DocumentQuota { documents: 1_000, bytes: 500_000_000 });
        assert_eq!((quotas.conversations, quotas.pending_tasks), (1_000, 10_000));
        assert_eq!(quotas.messages, MessageQuota { messages: 100_000, bytes: 100_000_000 });
        let set = [
            ("MAX_DOCUMENTS_PER_USER", "3"),
            ("MAX_DOCUMENT_MB_PER_USER", "7"),
            ("MAX_MESSAGES_PER_USER", "5"),
            ("MAX_MESSAGE_MB_PER_USER", "2"),
        ];
        let quotas = read(&set, None, &[]).check().unwrap().quotas;
        assert_eq!(quotas.documents, DocumentQuota { documents: 3, bytes: 7_000_000 });
        assert_eq!(quotas.messages, MessageQuota { messages: 5, bytes: 2_000_000 });
        for name in [
            "MAX_DOCUMENTS_PER_USER",
            "MAX_DOCUMENT_MB_PER_USER",
            "MAX_CONVERSATIONS_PER_USER",
            "MAX_MESSAGES_PER_USER",
            "MAX_MESSAGE_MB_PER_USER",
            "MAX_PENDING_TASKS_PER_USER",
            "SESSION_MAX_DAYS",
            "ADMIN_SESSION_MAX_DAYS",
        ] {
            assert!(problems(&[(name, "0")])[0].starts_with(name), "{name}");
        }
    }

    #[test]
    fn tasks_are_kept_for_ever_unless_it_says_how_long() {
        assert_eq!(read(&[], None, &[]).check().unwrap().retention_policy, RetentionPolicy::default());
        let keep = read(&[("TASKS_KEEP_DAYS", "30")], None, &[]).check().unwrap().retention_policy;
        assert_eq!(keep, RetentionPolicy { ended: Some(Duration::from_secs(30 * 86_400)), failed: None });
    }

    #[test]
    fn addresses_with_passwords_are_checked_and_hidden() {
        let good = [("REDIS_URL", "redis://:hunter2@127.0.0.1:6379/0")];
        let layers = read(&good, None, &[]);
        let shown = format!("{:?} {:?} {:?}", layers, layers.effective(), layers.check());
        assert!(!shown.contains("hunter2"), "{shown}");
        for bad in ["hunter2", "amqps://", "https://me:hunter2@here"] {
            let found = problems(&[("RABBITMQ_URL", bad)]);
            let expected = "RABBITMQ_URL: expected amqp://user:password@host:5672/%2f, or amqps:// over TLS";
            assert_eq!(found, [expected]);
        }
        for bad in ["hunter2", "redis://", "http://:hunter2@127.0.0.1"] {
            let found = problems(&[("REDIS_URL", bad)]);
            assert_eq!(
                found,
                ["REDIS_URL: expected redis://user:password@host:6379/0, or rediss:// over TLS"]
            );
        }
        let over_tls =
            [("REDIS_URL", "rediss://here"), ("RABBITMQ_URL", "amqps://here"), ("REDIS_CA_FILE", "/ca.pem")];
        let config = read(&over_tls, None, &[]).check().unwrap();
        assert_eq!(config.redis_ca_file, Some(PathBuf::from("/ca.pem")));
    }

    #[test]
    fn silent_model_server_times_out_after_two_minutes_by_default() {
        let config = read(&[], None, &[]).check().unwrap();
        assert_eq!(config.model_idle_timeout, Duration::from_secs(120));
        for bad in ["0", "86401", "1.5", "ever"] {
            let found = problems(&[("MODEL_IDLE_TIMEOUT_SECONDS", bad)]);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with("MODEL_IDLE_TIMEOUT_SECONDS: expected"), "{found:?}");
        }
    }

    #[test]
    fn host_name_defaults_to_that_of_the_machine() {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(read(&[], None, &[]).check().unwrap().host_name, kernel.trim());
        let set = read(&[("HOST_NAME", "web-1")], None, &[]).check().unwrap();
        assert_eq!(set.host_name, "web-1");
        for bad in ["a\nb", &"x".repeat(254)] {
            let found = problems(&[("HOST_NAME", bad)]);
            assert_eq!(found, ["HOST_NAME: expected 1 to 253 characters without control characters"]);
        }
    }

    #[test]
    fn secrets_come_from_files_and_stay_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        write_private(&file, "7f3a91c04be2d8561e9fa07c3b5d2846\n");
        let url = folder.path().join("url");
        write_private(&url, "postgres://me:hunter2@db/x\n");
        let (path, url) = (file.display().to_string(), url.display().to_string());
        let layers = read(&[("JWT_SECRET_KEY_FILE", &path), ("DATABASE_URL_FILE", &url)], None, &[]);
        let shown = format!("{:?} {:?} {:?}", layers, layers.effective(), layers.check());
        assert!(!shown.contains("7f3a91c04be2d856") && !shown.contains("hunter2"), "{shown}");
        let database = layers.effective().into_iter().find(|(name, ..)| *name == "DATABASE_URL").unwrap();
        assert_eq!(database.1, "postgres://me:(hidden)@db/x");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let found = problems(&[("JWT_SECRET_KEY_FILE", &path)]);
        assert!(found[0].starts_with("JWT_SECRET_KEY_FILE: cannot read"), "{found:?}");
        assert!(found[0].contains(&format!("run `chmod 600 {path}`")), "{found:?}");
    }

    #[test]
    fn every_secret_and_every_address_can_be_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("value");
        let named: Vec<_> = settings().filter(|setting| setting.may_be_in_a_file()).collect();
        for name in ["DATABASE_URL", "REDIS_URL", "RABBITMQ_URL", "JWT_SECRET_KEY", "METRICS_TOKEN"] {
            assert!(named.iter().any(|setting| setting.name == name), "{name} cannot be in a file");
        }
        for setting in named {
            write_private(&file, "scheme://me:hunter2@host/place\n");
            let variable = format!("{}_FILE", setting.name);
            let layers = read(&[(&variable, &file.display().to_string())], None, &[]);
            assert_eq!(layers.text(setting.name).as_deref(), Some("scheme://me:hunter2@host/place"));
            let (_, shown, origin) =
                layers.effective().into_iter().find(|(name, ..)| *name == setting.name).unwrap();
            assert!(!shown.contains("hunter2"), "{}: {shown}", setting.name);
            assert!(origin.starts_with(&variable), "{origin}");
            assert!(!format!("{layers:?}").contains("hunter2"), "{}", setting.name);
        }
    }

    #[test]
    fn documentation_lists_every_setting() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        let documented = std::fs::read_to_string(path).unwrap().contains(&markdown());
        assert!(documented, "docs/configuration.md needs the tables of `sutazai config settings --markdown`");
    }

    #[test]
    fn variables_of_ollama_applications_are_read() {
        let layers = read(&[("OLLAMA_HOST", "0.0.0.0"), ("OLLAMA_DEFAULT_MODEL", "mistral")], None, &[]);
        let config = layers.check().unwrap();
        assert_eq!(config.model_backends, "ollama=http://127.0.0.1:11434");
        assert_eq!(config.default_model, "mistral");
        assert!(config.warnings.is_empty());
        let origin = layers.effective().into_iter().find(|(name, ..)| *name == "MODEL_BACKENDS").unwrap().2;
        assert_eq!(origin, "environment, OLLAMA_HOST");
        let own = [("OLLAMA_HOST", "here"), ("MODEL_BACKENDS", "openai=http://127.0.0.1:1/v1")];
        let config = read(&own, None, &[]).check().unwrap();
        assert_eq!(config.model_backends, "openai=http://127.0.0.1:1/v1");
    }

    #[test]
    fn misspelled_variables_are_reported_and_ignored() {
        let config = read(&[("DATABSE_URL", "x"), ("POSTGRES_HOST", "y"), ("WORKERSS", "")], None, &[])
            .check()
            .unwrap();
        let expected = [
            "DATABSE_URL is not a setting; did you mean DATABASE_URL?",
            "POSTGRES_HOST is not read; use DATABASE_URL",
        ];
        assert_eq!(config.warnings, expected);
    }

    #[test]
    fn value_that_is_not_text_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let value = std::ffi::OsStr::from_bytes(b"\xff").to_owned();
        let found = Layers::read([("DEFAULT_MODEL".into(), value)], None, &[]).check().unwrap_err();
        assert_eq!(found[0].to_string(), "DEFAULT_MODEL: expected text in UTF-8");
    }

    #[test]
    fn file_with_unknown_or_mistyped_keys_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sutazai.toml");
        std::fs::write(&file, "workerz = 3\nlisten = [1]\n").unwrap();
        let found = read(&[], Some(&file), &[]).check().unwrap_err();
        let fields: Vec<_> = found.iter().filter_map(Error::field).collect();
        assert_eq!(fields, ["listen", "workerz"]);
    }
}
