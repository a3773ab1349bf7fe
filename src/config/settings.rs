//! The one description of each setting. Parsing, `config check`, `config settings`, the help of the flags and
//! docs/configuration.md follow from it.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use sutazai_core::engine::DEFAULT_LEASE;
use sutazai_core::identity::IdentityConfig;
use sutazai_core::model_gate::ModelGateConfig;
use sutazai_http::auth::Argon2Cost;
use sutazai_http::{Protection, ServerConfig};

/// A setting, named by its environment variable.
#[derive(Debug)]
pub struct Setting {
    /// Name of its environment variable; in a file the same in lower case.
    pub name: &'static str,
    /// Heading under which it is listed.
    pub group: Group,
    /// Values that it takes.
    pub values: Values,
    /// Value where it is not set.
    pub default: Fallback,
    /// Meaning, as a phrase.
    pub help: &'static str,
}

/// Subject of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Databases and brokers.
    Storage,
    /// Models and the requests to them.
    Models,
    /// Users, sessions and their keys.
    Accounts,
    /// The HTTP server and its limits.
    Server,
    /// Workers, quotas and retention.
    Tasks,
    /// Metric history, monitoring, traces and logs.
    Metrics,
}

/// Values that a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// A whole number of this range.
    Number {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// `true` or `false`, also `on`, `off`, `1`, `0`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text of the form that is described here.
    Text(&'static str),
    /// An address of this form. It may hold a password, which is hidden where it is shown; `NAME_FILE` names a file with it.
    Address(&'static str),
    /// A secret of at least `min_bytes`, which is never shown; `NAME_FILE` names a file with it.
    Secret {
        /// Shortest secret that is accepted.
        min_bytes: usize,
    },
}

/// Value of a setting that is not set.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// Always this value.
    Fixed(&'static str),
    /// A value of the library, or one that depends on the machine.
    Computed(fn() -> String),
    /// No value; the text says what applies then.
    Unset(&'static str),
}

impl Setting {
    /// Whether its value is never shown.
    pub fn is_secret(&self) -> bool {
        matches!(self.values, Values::Secret { .. })
    }

    /// Whether `NAME_FILE` may name a file that holds the value.
    pub fn may_be_in_a_file(&self) -> bool {
        matches!(self.values, Values::Secret { .. } | Values::Address(_))
    }

    /// The values that it takes, for people.
    pub fn expected(&self) -> String {
        match self.values {
            Values::Number { min, max } => format!("{min} to {max}"),
            Values::Switch => "true or false".to_owned(),
            Values::Choice(words) => words.join(" or "),
            Values::Text(form) | Values::Address(form) => form.to_owned(),
            Values::Secret { min_bytes: 0 } => "a secret".to_owned(),
            Values::Secret { min_bytes } => format!("a secret of at least {min_bytes} bytes"),
        }
    }

    /// The value where it is not set, if there is one.
    pub fn default_value(&self) -> Option<String> {
        match self.default {
            Fallback::Fixed(value) => Some(value.to_owned()),
            Fallback::Computed(value) => Some(value()),
            Fallback::Unset(_) => None,
        }
    }

    /// The default for people who read about any machine.
    pub fn default_text(&self) -> String {
        match (self.name, self.default) {
            ("DATABASE_URL", _) => "sutazai/sutazai.db in $XDG_DATA_HOME or ~/.local/share".to_owned(),
            ("WORKERS", _) => "the number of processors".to_owned(),
            ("HOST_NAME", _) => "the kernel's host name".to_owned(),
            (_, Fallback::Fixed(value)) => value.to_owned(),
            (_, Fallback::Computed(value)) => value(),
            (_, Fallback::Unset(text)) => text.to_owned(),
        }
    }
}

/// Returns the setting of this name.
pub fn setting_named(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// Returns the meaning of a setting for the help of its flag; empty where there is no such setting.
pub fn flag_help(name: &str) -> String {
    let Some(setting) = setting_named(name) else { return String::new() };
    let mut help = setting.help.to_owned();
    help[..1].make_ascii_uppercase();
    format!("{help} [env: {name}]")
}

/// Returns the tables of docs/configuration.md: every setting by group, in Markdown.
pub fn markdown() -> String {
    let mut text = String::new();
    let mut group = None;
    for setting in SETTINGS {
        if group != Some(setting.group) {
            group = Some(setting.group);
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "\n### {}\n\n| variable | meaning | values | default |\n|---|---|---|---|\n",
                setting.group.title()
            );
        }
        let cell = |text: &str| text.replace('|', "\\|");
        let secret = if setting.is_secret() { " (secret)" } else { "" };
        let (help, expected, default) =
            (cell(setting.help), cell(&setting.expected()), cell(&setting.default_text()));
        let _ = writeln!(text, "| `{}`{secret} | {help} | {expected} | {default} |", setting.name);
    }
    text.trim_start().to_owned()
}

impl Group {
    /// Heading of the group.
    pub fn title(self) -> &'static str {
        match self {
            Self::Storage => "Storage",
            Self::Models => "Models",
            Self::Accounts => "Accounts",
            Self::Server => "Server",
            Self::Tasks => "Tasks and quotas",
            Self::Metrics => "Metrics and logs",
        }
    }
}

/// Every setting, by group.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "DATABASE_URL",
        group: Group::Storage,
        values: Values::Address("sqlite:///absolute/path.db or postgres://user:password@host:5432/database"),
        default: Fallback::Computed(default_database),
        help: "database of tasks, users and history",
    },
    Setting {
        name: "DATABASE_LISTEN_URL",
        group: Group::Storage,
        values: Values::Address("postgres://user:password@host:5432/database"),
        default: Fallback::Unset("DATABASE_URL"),
        help: "PostgreSQL server itself, where DATABASE_URL leads to a pooler, for notifications of other processes",
    },
    Setting {
        name: "REDIS_URL",
        group: Group::Storage,
        values: Values::Address("redis://user:password@host:6379/0, or rediss:// over TLS"),
        default: Fallback::Unset("each server counts and caches by itself"),
        help: "Redis in which servers share rate limits and caches",
    },
    Setting {
        name: "REDIS_CA_FILE",
        group: Group::Storage,
        values: Values::Text("path of a PEM file"),
        default: Fallback::Unset("the system's roots"),
        help: "roots for the certificate of a Redis over TLS",
    },
    Setting {
        name: "RABBITMQ_URL",
        group: Group::Storage,
        values: Values::Address("amqp://user:password@host:5672/%2f, or amqps:// over TLS"),
        default: Fallback::Unset("no messages"),
        help: "RabbitMQ that events are published to",
    },
    Setting {
        name: "MODEL_BACKENDS",
        group: Group::Models,
        values: Values::Address(
            "name=address, separated by commas, such as llama-cpp=/model.gguf,ollama=http://127.0.0.1:11434",
        ),
        default: Fallback::Unset("no model"),
        help: "model backends in order of preference",
    },
    Setting {
        name: "MODEL_PROGRAM",
        group: Group::Models,
        values: Values::Text("path of a program, or in-process"),
        default: Fallback::Unset("the sutazai binary uses itself"),
        help: "program that runs llama-cpp models in child processes",
    },
    Setting {
        name: "MODEL_MEMORY_LIMIT_MB",
        group: Group::Models,
        values: Values::Number { min: 64, max: 16_777_216 },
        default: Fallback::Unset("no limit"),
        help: "private memory of a model's child process in MB; the mapped file does not count",
    },
    Setting {
        name: "DEFAULT_MODEL",
        group: Group::Models,
        values: Values::Text("a model's name"),
        default: Fallback::Fixed("tinyllama"),
        help: "model to use where it exists; otherwise the first that does",
    },
    Setting {
        name: "MODEL_AUTO_PULL",
        group: Group::Models,
        values: Values::Switch,
        default: Fallback::Fixed("false"),
        help: "whether a missing DEFAULT_MODEL is pulled by the first backend that can",
    },
    Setting {
        name: "OPENAI_API_KEY",
        group: Group::Models,
        values: Values::Secret { min_bytes: 0 },
        default: Fallback::Unset("none"),
        help: "bearer key for OpenAI-compatible servers",
    },
    Setting {
        name: "MODEL_SLOTS",
        group: Group::Models,
        values: Values::Number { min: 1, max: 1_024 },
        default: Fallback::Unset("as the first backend says, or 4"),
        help: "answers that the models write at once",
    },
    Setting {
        name: "MODEL_QUEUE",
        group: Group::Models,
        values: Values::Number { min: 0, max: 10_000 },
        default: Fallback::Computed(|| models().queue.to_string()),
        help: "requests that may wait for the models",
    },
    Setting {
        name: "MODEL_REQUESTS_PER_USER",
        group: Group::Models,
        values: Values::Number { min: 1, max: 10_000 },
        default: Fallback::Computed(|| models().per_user.to_string()),
        help: "requests to the models that one user may have in progress",
    },
    Setting {
        name: "MODEL_REQUESTS_PER_MINUTE",
        group: Group::Models,
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Computed(|| models().per_minute.to_string()),
        help: "requests to the models that one user, with all API keys, may begin in a minute",
    },
    Setting {
        name: "MODEL_MAX_TOKENS",
        group: Group::Models,
        values: Values::Number { min: 512, max: 1_000_000 },
        default: Fallback::Computed(|| models().max_tokens.to_string()),
        help: "tokens that a caller may ask for in one answer",
    },
    Setting {
        name: "MODEL_TIMEOUT_SECONDS",
        group: Group::Models,
        values: Values::Number { min: 1, max: 86_400 },
        default: Fallback::Computed(|| seconds(models().timeout)),
        help: "longest time of an answer, waiting included",
    },
    Setting {
        name: "MODEL_IDLE_TIMEOUT_SECONDS",
        group: Group::Models,
        values: Values::Number { min: 1, max: 86_400 },
        default: Fallback::Fixed("120"),
        help: "longest silence of a model before it counts as stuck; loading a large model from a slow disk is silence too",
    },
    Setting {
        name: "ENABLE_AUTH",
        group: Group::Accounts,
        values: Values::Switch,
        default: Fallback::Fixed("true"),
        help: "whether callers must sign in; may be off only on a loopback address",
    },
    Setting {
        name: "ENABLE_REGISTRATION",
        group: Group::Accounts,
        values: Values::Switch,
        default: Fallback::Unset("true, false in production"),
        help: "whether anybody may register, or only people with an invitation",
    },
    Setting {
        name: "USERS_READ_METRICS",
        group: Group::Accounts,
        values: Values::Switch,
        default: Fallback::Unset("true, false in production"),
        help: "whether users may see the metrics of the machine, or only admins",
    },
    Setting {
        name: "ADMIN_USERNAME",
        group: Group::Accounts,
        values: Values::Text("3 to 50 of A-Z, a-z, 0-9 and _; needs ADMIN_PASSWORD"),
        default: Fallback::Unset("none"),
        help: "admin who is created at the start unless the name is taken",
    },
    Setting {
        name: "ADMIN_EMAIL",
        group: Group::Accounts,
        values: Values::Text("an e-mail address"),
        default: Fallback::Unset("ADMIN_USERNAME at localhost"),
        help: "e-mail address of that admin",
    },
    Setting {
        name: "ADMIN_PASSWORD",
        group: Group::Accounts,
        values: Values::Secret { min_bytes: 0 },
        default: Fallback::Unset("none"),
        help: "first password of that admin: at least 8 characters, none of the commonest",
    },
    Setting {
        name: "JWT_SECRET_KEY",
        group: Group::Accounts,
        values: Values::Secret { min_bytes: 32 },
        default: Fallback::Unset("in development: created beside the database, mode 0600"),
        help: "key that signs access tokens: at least 32 random bytes, such as `openssl rand -hex 32`, or an Ed25519 private key in PEM",
    },
    Setting {
        name: "JWT_PREVIOUS_SECRET_KEY",
        group: Group::Accounts,
        values: Values::Secret { min_bytes: 32 },
        default: Fallback::Unset("none"),
        help: "previous signing key, whose tokens are still accepted",
    },
    Setting {
        name: "ACCESS_TOKEN_EXPIRE_MINUTES",
        group: Group::Accounts,
        values: Values::Number { min: 1, max: 1_440 },
        default: Fallback::Computed(|| (identity().access_ttl.as_secs() / 60).to_string()),
        help: "lifetime of an access token",
    },
    Setting {
        name: "REFRESH_TOKEN_EXPIRE_DAYS",
        group: Group::Accounts,
        values: Values::Number { min: 1, max: 365 },
        default: Fallback::Computed(|| days(identity().refresh_ttl)),
        help: "lifetime of a refresh token",
    },
    Setting {
        name: "SESSION_MAX_DAYS",
        group: Group::Accounts,
        values: Values::Number { min: 1, max: 365 },
        default: Fallback::Computed(|| days(identity().session_ttl)),
        help: "longest life of a session, however often it is refreshed",
    },
    Setting {
        name: "ADMIN_SESSION_MAX_DAYS",
        group: Group::Accounts,
        values: Values::Number { min: 1, max: 365 },
        default: Fallback::Computed(|| days(identity().admin_session_ttl)),
        help: "longest life of an admin's session",
    },
    Setting {
        name: "ARGON2_MEMORY_KIB",
        group: Group::Accounts,
        values: Values::Number { min: 7_168, max: 2_097_152 },
        default: Fallback::Computed(|| Argon2Cost::default().memory_kib.to_string()),
        help: "memory of one password hash in KiB",
    },
    Setting {
        name: "ARGON2_ITERATIONS",
        group: Group::Accounts,
        values: Values::Number { min: 1, max: 100 },
        default: Fallback::Computed(|| Argon2Cost::default().iterations.to_string()),
        help: "passes of one password hash over its memory",
    },
    Setting {
        name: "ARGON2_PARALLELISM",
        group: Group::Accounts,
        values: Values::Number { min: 1, max: 64 },
        default: Fallback::Computed(|| Argon2Cost::default().parallelism.to_string()),
        help: "lanes of one password hash",
    },
    Setting {
        name: "LISTEN",
        group: Group::Server,
        values: Values::Text("address and port, such as 0.0.0.0:8080 or [::1]:10010"),
        default: Fallback::Fixed("127.0.0.1:10010"),
        help: "address and port of the server",
    },
    Setting {
        name: "TLS_CERT",
        group: Group::Server,
        values: Values::Text("path of a PEM file; needs TLS_KEY"),
        default: Fallback::Unset("plain HTTP"),
        help: "certificate of the server and those up to its root",
    },
    Setting {
        name: "TLS_KEY",
        group: Group::Server,
        values: Values::Text("path of a PEM file"),
        default: Fallback::Unset("none"),
        help: "private key of the certificate",
    },
    Setting {
        name: "TRUSTED_PROXIES",
        group: Group::Server,
        values: Values::Text("networks or addresses, separated by commas, such as 10.0.0.0/8,::1"),
        default: Fallback::Unset("none"),
        help: "proxies whose Forwarded or X-Forwarded-For is believed",
    },
    Setting {
        name: "CORS_ORIGINS",
        group: Group::Server,
        values: Values::Text(
            "origins, separated by commas, such as https://app.example.org, or * (not with ENABLE_AUTH=false)",
        ),
        default: Fallback::Unset("none"),
        help: "origins whose pages may call from a browser",
    },
    Setting {
        name: "REQUEST_TIMEOUT_SECONDS",
        group: Group::Server,
        values: Values::Number { min: 1, max: 3_600 },
        default: Fallback::Computed(|| seconds(protection().request_timeout)),
        help: "longest time of a request",
    },
    Setting {
        name: "BODY_TIMEOUT_SECONDS",
        group: Group::Server,
        values: Values::Number { min: 1, max: 3_600 },
        default: Fallback::Computed(|| seconds(protection().body_timeout)),
        help: "longest time in which the body of a request arrives",
    },
    Setting {
        name: "HEADER_TIMEOUT_SECONDS",
        group: Group::Server,
        values: Values::Number { min: 1, max: 3_600 },
        default: Fallback::Computed(|| seconds(ServerConfig::default().header_timeout)),
        help: "longest time in which a connection begins its next request",
    },
    Setting {
        name: "BODY_MEMORY_MB",
        group: Group::Server,
        values: Values::Number { min: 64, max: 1_048_576 },
        default: Fallback::Computed(|| (protection().body_memory / 1_000_000).to_string()),
        help: "memory of all request bodies, parsed, and of large answers in MB; one user gets half of it",
    },
    Setting {
        name: "MAX_CONNECTIONS",
        group: Group::Server,
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Computed(|| ServerConfig::default().max_connections.to_string()),
        help: "connections at once",
    },
    Setting {
        name: "MAX_CONNECTIONS_PER_ADDRESS",
        group: Group::Server,
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Computed(|| ServerConfig::default().max_connections_per_address.to_string()),
        help: "connections of one address at once, except TRUSTED_PROXIES",
    },
    Setting {
        name: "MAX_STREAMS_PER_USER",
        group: Group::Server,
        values: Values::Number { min: 1, max: 100_000 },
        default: Fallback::Computed(|| protection().streams_per_user.to_string()),
        help: "event streams and WebSockets of one user at once",
    },
    Setting {
        name: "ENABLE_RATE_LIMITING",
        group: Group::Server,
        values: Values::Switch,
        default: Fallback::Fixed("true"),
        help: "whether requests are limited by rate",
    },
    Setting {
        name: "RATE_LIMIT_AUTH_PER_MINUTE",
        group: Group::Server,
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("5"),
        help: "registrations, sign-ins and refreshes a minute from one address",
    },
    Setting {
        name: "RATE_LIMIT_PER_MINUTE",
        group: Group::Server,
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("60"),
        help: "other requests a minute of one user, with all tokens and API keys",
    },
    Setting {
        name: "WORKERS",
        group: Group::Tasks,
        values: Values::Number { min: 0, max: 1_024 },
        default: Fallback::Computed(|| cores().to_string()),
        help: "tasks that run at once; 0 (serve only) leaves them to other processes",
    },
    Setting {
        name: "LEASE_SECONDS",
        group: Group::Tasks,
        values: Values::Number { min: 1, max: 3_600 },
        default: Fallback::Computed(|| seconds(DEFAULT_LEASE)),
        help: "time after which the tasks of a dead process are taken over",
    },
    Setting {
        name: "SHUTDOWN_GRACE_SECONDS",
        group: Group::Tasks,
        values: Values::Number { min: 0, max: 3_600 },
        default: Fallback::Fixed("10"),
        help: "time that running tasks get after SIGTERM before they are released",
    },
    Setting {
        name: "MAX_TASKS_PER_USER",
        group: Group::Tasks,
        values: Values::Number { min: 1, max: 100_000 },
        default: Fallback::Unset("no limit"),
        help: "tasks of one user that run at once in all processes",
    },
    Setting {
        name: "AGENT_CONCURRENCY",
        group: Group::Tasks,
        values: Values::Text("agent=1 to agent=100000, separated by commas"),
        default: Fallback::Unset("no limit"),
        help: "tasks of an agent that run at once in all processes",
    },
    Setting {
        name: "MAX_PENDING_TASKS_PER_USER",
        group: Group::Tasks,
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("10000"),
        help: "tasks of one user that may wait for a worker",
    },
    Setting {
        name: "TASKS_KEEP_DAYS",
        group: Group::Tasks,
        values: Values::Number { min: 1, max: 3_650 },
        default: Fallback::Unset("for ever"),
        help: "retention of completed and cancelled tasks",
    },
    Setting {
        name: "DEAD_LETTER_KEEP_DAYS",
        group: Group::Tasks,
        values: Values::Number { min: 1, max: 3_650 },
        default: Fallback::Unset("for ever"),
        help: "retention of failed tasks",
    },
    Setting {
        name: "MAX_CONVERSATIONS_PER_USER",
        group: Group::Tasks,
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("1000"),
        help: "conversations of one user",
    },
    Setting {
        name: "MAX_MESSAGES_PER_USER",
        group: Group::Tasks,
        values: Values::Number { min: 1, max: 100_000_000 },
        default: Fallback::Fixed("100000"),
        help: "messages in all conversations of one user",
    },
    Setting {
        name: "MAX_MESSAGE_MB_PER_USER",
        group: Group::Tasks,
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("100"),
        help: "megabytes of messages in all conversations of one user",
    },
    Setting {
        name: "MAX_DOCUMENTS_PER_USER",
        group: Group::Tasks,
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("1000"),
        help: "documents of one user",
    },
    Setting {
        name: "MAX_DOCUMENT_MB_PER_USER",
        group: Group::Tasks,
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("500"),
        help: "megabytes of files that one user may have uploaded",
    },
    Setting {
        name: "HOST_NAME",
        group: Group::Metrics,
        values: Values::Text("1 to 253 characters"),
        default: Fallback::Computed(sutazai_agent::metrics::host_name),
        help: "name of this machine in the metric history and in analyses",
    },
    Setting {
        name: "HISTORY_INTERVAL_SECONDS",
        group: Group::Metrics,
        values: Values::Number { min: 1, max: 3_600 },
        default: Fallback::Fixed("60"),
        help: "time between two samples of the metric history",
    },
    Setting {
        name: "HISTORY_KEEP_DAYS",
        group: Group::Metrics,
        values: Values::Number { min: 1, max: 3_650 },
        default: Fallback::Fixed("30"),
        help: "retention of the metric history",
    },
    Setting {
        name: "ENABLE_MONITORING",
        group: Group::Metrics,
        values: Values::Switch,
        default: Fallback::Fixed("true"),
        help: "whether GET /metrics serves metrics for Prometheus",
    },
    Setting {
        name: "METRICS_TOKEN",
        group: Group::Metrics,
        values: Values::Secret { min_bytes: 16 },
        default: Fallback::Unset("only programs on this machine may read"),
        help: "bearer token for GET /metrics",
    },
    Setting {
        name: "OTEL_EXPORTER_OTLP_ENDPOINT",
        group: Group::Metrics,
        values: Values::Address("http:// or https:// and a host, such as http://127.0.0.1:4318"),
        default: Fallback::Unset("no traces"),
        help: "collector that traces are sent to",
    },
    Setting {
        name: "OTEL_SERVICE_NAME",
        group: Group::Metrics,
        values: Values::Text("a name"),
        default: Fallback::Fixed("sutazai"),
        help: "name of this server in log lines and traces",
    },
    Setting {
        name: "LOG_FORMAT",
        group: Group::Metrics,
        values: Values::Choice(&["text", "json"]),
        default: Fallback::Fixed("text"),
        help: "format of log lines",
    },
    Setting {
        name: "LOG_LEVEL",
        group: Group::Metrics,
        values: Values::Text("a level or a filter such as info,sutazai=debug"),
        default: Fallback::Unset("info for serve and worker, warn for the rest"),
        help: "log lines that are written",
    },
    Setting {
        name: "ENVIRONMENT",
        group: Group::Metrics,
        values: Values::Choice(&["development", "production"]),
        default: Fallback::Fixed("development"),
        help: "how strict the start is; production requires JWT_SECRET_KEY",
    },
];

fn models() -> ModelGateConfig {
    ModelGateConfig::default()
}

fn identity() -> IdentityConfig {
    IdentityConfig::default()
}

fn protection() -> Protection {
    Protection::default()
}

fn seconds(duration: Duration) -> String {
    duration.as_secs().to_string()
}

fn days(duration: Duration) -> String {
    (duration.as_secs() / 86_400).to_string()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// `sutazai/sutazai.db` in the user's data folder.
fn default_database() -> String {
    let path = user_data_folder().join("sutazai.db");
    format!("sqlite://{}", path.display())
}

/// `sutazai` in the user's data folder (XDG Base Directory Specification).
pub(crate) fn user_data_folder() -> PathBuf {
    let variable =
        |name: &str| std::env::var(name).ok().filter(|value| value.starts_with('/')).map(PathBuf::from);
    let data = variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")));
    data.unwrap_or_else(|| PathBuf::from("/var/lib")).join("sutazai")
}
