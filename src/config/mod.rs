//! Settings of an operator: their sources, their values and their problems.
//!
//! Every setting has one name, the name of its environment variable. Sources override each other in this
//! order: the environment, a TOML file (the same names in lower case), command-line flags. A secret may also
//! be given as `NAME_FILE`, the path of a file that contains it. This module opens no database and no model:
//! [`crate::setup`] does that with the finished [`Config`].

mod check;
mod exposure;
mod foreign;
#[cfg(test)]
mod fuzz;
mod layers;
mod queue;
mod secret;
mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use sutazai_core::admission_control::AdmissionControlConfig;
use sutazai_core::domain::{AccessPolicy, ConcurrencyLimits, DocumentQuota, MessageQuota, RetentionPolicy};
use sutazai_core::{Error, Result};
use sutazai_http::{CorsOrigins, ServerConfig, TrustedProxies};

pub use layers::Layers;
pub use secret::Secret;
pub(crate) use settings::user_data_folder;
pub use settings::{Fallback, Group, Setting, Values, flag_help, markdown, setting_named, settings};

/// Policy at the start for missing secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Generates a missing signing key and keeps it beside the database.
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

/// The effective configuration of a process.
#[derive(Debug, Clone, PartialEq)]
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
    /// Key that access tokens are signed with: at least 32 bytes, or PEM of an Ed25519 private key.
    pub jwt_secret_key: Option<Secret>,
    /// Previous signing key, whose tokens are still accepted.
    pub jwt_previous_secret_key: Option<Secret>,
    /// Memory of one password hash in KiB.
    pub argon2_memory_kib: u32,
    /// Number of passes of one password hash over its memory.
    pub argon2_iterations: u32,
    /// Admin who is created at the start unless the username is taken.
    pub first_admin: Option<FirstAdmin>,
    /// Lifetime of an access token.
    pub access_ttl: Duration,
    /// Lifetime of a refresh token.
    pub refresh_ttl: Duration,
    /// Maximum life of a session, regardless of refreshes.
    pub session_ttl: Duration,
    /// Maximum life of an admin's session.
    pub admin_session_ttl: Duration,
    /// Allows anybody to register; otherwise registration needs an invitation.
    pub open_registration: bool,
    /// Permissions of ordinary users.
    pub access: AccessPolicy,
    /// Address that the server listens on.
    pub listen: SocketAddr,
    /// Requires callers to sign in; off only on a loopback address.
    pub enable_auth: bool,
    /// TLS, timeouts and limits of the server's connections.
    pub server: ServerConfig,
    /// Rate limits of callers; `None`: no limit.
    pub rate_limits: Option<RequestsPerMinute>,
    /// Proxies whose headers about a caller's address are trusted.
    pub trusted_proxies: TrustedProxies,
    /// Origins whose pages may call from a browser.
    pub cors_origins: CorsOrigins,
    /// Timeout of a whole request.
    pub request_timeout: Duration,
    /// Timeout within which the body of a request must arrive.
    pub body_timeout: Duration,
    /// Memory in bytes that the bodies of all requests may use at once, parsed.
    pub body_memory: usize,
    /// Maximum number of event streams and WebSockets of one user at once.
    pub streams_per_user: usize,
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
    /// Serves the metrics at `/metrics`.
    pub enable_monitoring: bool,
    /// Bearer token for `/metrics`; `None`: only programs on this machine may read it.
    pub metrics_token: Option<Secret>,
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

/// Rate limits in requests per minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestsPerMinute {
    /// Requests in which passwords or refresh tokens can be guessed, per address.
    pub sign_in: u32,
    /// All other requests, per user.
    pub calls: u32,
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

/// Admin who is created at the start.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstAdmin {
    /// Username to sign in with.
    pub username: String,
    /// E-mail address of the admin.
    pub email: String,
    /// First password of the admin.
    pub password: Secret,
}

impl Config {
    /// Reads the configuration of a server from the environment alone.
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

    use super::*;

    fn read(
        variables: &[(&str, &str)],
        file: Option<&Path>,
        flags: &[(&'static str, Option<String>)],
    ) -> Layers {
        let environment = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Layers::read(environment, file, flags)
    }

    /// Writes a file that nobody else can read.
    fn write_private(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn problems(variables: &[(&str, &str)]) -> Vec<String> {
        read(variables, None, &[]).check().unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn defaults_are_good() {
        let config = read(&[], None, &[]).check().unwrap();
        assert_eq!(config.listen, "127.0.0.1:10010".parse().unwrap());
        assert_eq!((config.default_model.as_str(), config.model_auto_pull), ("tinyllama", false));
        assert_eq!(config.access_ttl, Duration::from_secs(1_800));
        assert!(config.workers >= 1);
        assert_eq!((config.argon2_memory_kib, config.argon2_iterations), (19_456, 2));
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
    fn everything_that_is_wrong_is_named_at_once() {
        let found = problems(&[
            ("WORKERS", "-1"),
            ("LISTEN", "here"),
            ("LOG_FORMAT", "xml"),
            ("JWT_SECRET_KEY", "short"),
            ("ARGON2_MEMORY_KIB", "64"),
            ("ARGON2_ITERATIONS", "0"),
            ("MODEL_SLOTS", "0"),
            ("MODEL_REQUESTS_PER_MINUTE", "-1"),
            ("MODEL_MAX_TOKENS", "511"),
            ("MAX_TASKS_PER_USER", "0"),
            ("TASKS_KEEP_DAYS", "0"),
            ("DEAD_LETTER_KEEP_DAYS", "30d"),
            ("AGENT_CONCURRENCY", "hardware-optimizer=2,model-puller"),
        ]);
        for name in [
            "WORKERS",
            "LISTEN",
            "LOG_FORMAT",
            "JWT_SECRET_KEY",
            "ARGON2_MEMORY_KIB",
            "ARGON2_ITERATIONS",
            "MODEL_SLOTS",
            "MODEL_REQUESTS_PER_MINUTE",
            "MODEL_MAX_TOKENS",
            "MAX_TASKS_PER_USER",
            "TASKS_KEEP_DAYS",
            "DEAD_LETTER_KEEP_DAYS",
            "AGENT_CONCURRENCY",
        ] {
            assert!(found.iter().any(|p| p.starts_with(name)), "{name} in {found:?}");
        }
        assert!(!found.iter().any(|p| p.contains("short")), "a secret was shown: {found:?}");
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
    fn access_of_untrusted_callers_defaults_by_environment() {
        let secret = ("JWT_SECRET_KEY", "a secret of thirty-two bytes ...");
        let policy = |variables: &[(&str, &str)]| {
            let config = read(&[variables, &[secret]].concat(), None, &[]).check().unwrap();
            (config.open_registration, config.access.users_read_metrics)
        };
        let production = ("ENVIRONMENT", "production");
        assert_eq!(policy(&[]), (true, true));
        assert_eq!(policy(&[production]), (false, false));
        assert_eq!(policy(&[production, ("ENABLE_REGISTRATION", "on")]), (true, false));
        assert_eq!(
            policy(&[("ENABLE_REGISTRATION", "off"), ("USERS_READ_METRICS", "false")]),
            (false, false)
        );
        for name in ["ENABLE_REGISTRATION", "USERS_READ_METRICS"] {
            assert!(problems(&[(name, "perhaps")])[0].starts_with(name));
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
    fn production_needs_its_secret_and_auth() {
        assert!(problems(&[("ENVIRONMENT", "production")])[0].starts_with("JWT_SECRET_KEY: must be set"));
        let open = [("ENABLE_AUTH", "false"), ("LISTEN", "0.0.0.0:80")];
        assert!(problems(&open)[0].starts_with("ENABLE_AUTH: may be off only"));
        let all = [("ENABLE_AUTH", "false"), ("CORS_ORIGINS", "*")];
        assert!(problems(&all)[0].starts_with("CORS_ORIGINS: expected origins"), "{:?}", problems(&all));
        assert!(read(&[("CORS_ORIGINS", "*")], None, &[]).check().is_ok());
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
    fn worker_process_needs_workers_but_no_key() {
        let production = [("ENVIRONMENT", "production"), ("LISTEN", "0.0.0.0:80"), ("WORKERS", "2")];
        let layers = read(&production, None, &[]);
        assert_eq!(layers.check_worker().unwrap().workers, 2);
        assert!(layers.check().is_err());
        let none = read(&[("WORKERS", "0")], None, &[]);
        assert_eq!(none.check().unwrap().workers, 0);
        let found = none.check_worker().unwrap_err();
        assert_eq!(found[0].field(), Some("WORKERS"));
        let found = problems(&[("LEASE_SECONDS", "0"), ("SHUTDOWN_GRACE_SECONDS", "-1")]);
        assert!(found[0].starts_with("LEASE_SECONDS: expected"), "{found:?}");
        assert!(found[1].starts_with("SHUTDOWN_GRACE_SECONDS: expected"), "{found:?}");
    }

    #[test]
    fn strangers_are_limited_by_default() {
        let config = read(&[], None, &[]).check().unwrap();
        assert_eq!(config.rate_limits, Some(RequestsPerMinute { sign_in: 5, calls: 60 }));
        assert_eq!(
            (config.request_timeout, config.body_timeout),
            (Duration::from_secs(30), Duration::from_secs(20))
        );
        assert_eq!(config.server, ServerConfig::default());
        assert_eq!((config.trusted_proxies, config.cors_origins), Default::default());
        let free = read(&[("ENABLE_RATE_LIMITING", "off")], None, &[]).check().unwrap();
        assert_eq!(free.rate_limits, None);
        let found = problems(&[
            ("RATE_LIMIT_AUTH_PER_MINUTE", "0"),
            ("RATE_LIMIT_PER_MINUTE", "many"),
            ("TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
            ("CORS_ORIGINS", "https://app.example.org/"),
            ("REQUEST_TIMEOUT_SECONDS", "0"),
            ("BODY_TIMEOUT_SECONDS", "-1"),
            ("HEADER_TIMEOUT_SECONDS", "forever"),
            ("MAX_CONNECTIONS", "0"),
            ("MAX_CONNECTIONS_PER_ADDRESS", "0"),
            ("MAX_STREAMS_PER_USER", "no"),
            ("BODY_MEMORY_MB", "1"),
            ("TLS_CERT", "/cert.pem"),
        ]);
        for name in [
            "RATE_LIMIT_AUTH_PER_MINUTE: expected",
            "RATE_LIMIT_PER_MINUTE: expected",
            "TRUSTED_PROXIES: expected networks",
            "CORS_ORIGINS: expected * or origins",
            "REQUEST_TIMEOUT_SECONDS: expected",
            "BODY_TIMEOUT_SECONDS: expected",
            "HEADER_TIMEOUT_SECONDS: expected",
            "MAX_CONNECTIONS: expected",
            "MAX_CONNECTIONS_PER_ADDRESS: expected",
            "MAX_STREAMS_PER_USER: expected",
            "BODY_MEMORY_MB: expected",
            "TLS_KEY: must be set when TLS_CERT is",
        ] {
            assert!(found.iter().any(|p| p.starts_with(name)), "{name} in {found:?}");
        }
        assert_eq!(found.len(), 12, "{found:?}");
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
    fn monitoring_is_on_and_traces_are_off_unless_set() {
        let config = read(&[], None, &[]).check().unwrap();
        assert_eq!((config.enable_monitoring, config.otlp_endpoint), (true, None));
        let found =
            problems(&[("METRICS_TOKEN", "short"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")]);
        assert_eq!(found[0], "METRICS_TOKEN: expected at least 16 bytes, got 5");
        assert!(found[1].starts_with("OTEL_EXPORTER_OTLP_ENDPOINT: expected an address"), "{found:?}");
    }

    #[test]
    fn keys_can_be_changed() {
        let (new, old) = ("7f3a91c04be2d8561e9fa07c3b5d2846", "c81d5e3f97a204b66b0e8d1f2a9c7345");
        let pair = [("JWT_SECRET_KEY", new), ("JWT_PREVIOUS_SECRET_KEY", old)];
        let config = read(&pair, None, &[]).check().unwrap();
        assert_eq!(config.jwt_previous_secret_key, Some(Secret::new(old)));
        let same = [("JWT_SECRET_KEY", new), ("JWT_PREVIOUS_SECRET_KEY", new)];
        assert!(problems(&same)[0].starts_with("JWT_PREVIOUS_SECRET_KEY: expected another key"));
        let short = problems(&[("JWT_PREVIOUS_SECRET_KEY", "short")]);
        assert_eq!(short, ["JWT_PREVIOUS_SECRET_KEY: expected at least 32 bytes, got 5"]);
        let regular = problems(&[("JWT_SECRET_KEY", &"change-me-".repeat(10))]);
        assert!(regular[0].starts_with("JWT_SECRET_KEY: expected a random key"), "{regular:?}");
        assert!(!regular[0].contains("change-me"), "{regular:?}");
    }

    #[test]
    fn first_admin_needs_a_name_and_a_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        write_private(&file, "correct horse battery\n");
        let path = file.display().to_string();
        let both = [("ADMIN_USERNAME", "root_1"), ("ADMIN_PASSWORD_FILE", path.as_str())];
        let config = read(&both, None, &[]).check().unwrap();
        let admin = config.first_admin.clone().unwrap();
        assert_eq!((admin.username.as_str(), admin.email.as_str()), ("root_1", "root_1@localhost"));
        assert_eq!(admin.password.expose(), "correct horse battery");
        assert!(!format!("{config:?}").contains("horse"));
        assert!(problems(&both[..1])[0].starts_with("ADMIN_PASSWORD: must be set"));
        assert!(problems(&both[1..])[0].starts_with("ADMIN_USERNAME: must be set"));
        assert_eq!(read(&[], None, &[]).check().unwrap().first_admin, None);
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
