//! The names, the defaults and a line about each of all settings.

use std::path::PathBuf;

/// One setting that is understood.
#[derive(Debug)]
pub struct Setting {
    /// Its name, as an environment variable.
    pub name: &'static str,
    /// Whether its value is hidden.
    pub secret: bool,
    /// One line for people.
    pub help: &'static str,
    pub(super) default: fn() -> Option<String>,
}

/// Every setting that is understood.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "DATABASE_URL",
        secret: false,
        help: "where tasks, users and history live",
        default: || Some(default_database()),
    },
    Setting {
        name: "DATABASE_LISTEN_URL",
        secret: true,
        help: "the PostgreSQL server itself, where DATABASE_URL leads to a pooler: to hear what other processes say",
        default: || None,
    },
    Setting {
        name: "REDIS_URL",
        secret: true,
        help: "Redis that servers share limits and caches in, such as redis://:password@127.0.0.1:6379/0; rediss:// over TLS",
        default: || None,
    },
    Setting {
        name: "REDIS_CA_FILE",
        secret: false,
        help: "PEM file of the roots for a Redis over TLS; not set: the system's",
        default: || None,
    },
    Setting {
        name: "RABBITMQ_URL",
        secret: true,
        help: "RabbitMQ that other programs hear of events over, such as amqp://user:password@127.0.0.1:5672/%2f; amqps:// over TLS",
        default: || None,
    },
    Setting {
        name: "MODEL_BACKENDS",
        secret: false,
        help: "backends in order: llama-cpp=/model.gguf,ollama=http://127.0.0.1:11434,openai=http://127.0.0.1:8080/v1",
        default: || None,
    },
    Setting {
        name: "MODEL_PROGRAM",
        secret: false,
        help: "program that runs llama-cpp models in child processes, or in-process; the sutazai binary uses itself",
        default: || None,
    },
    Setting {
        name: "MODEL_MEMORY_LIMIT_MB",
        secret: false,
        help: "limit of a model's child process in MB of private memory, 64 to 16777216; the mapped file does not count",
        default: || None,
    },
    Setting {
        name: "DEFAULT_MODEL",
        secret: false,
        help: "the model to use when it is there",
        default: || Some("tinyllama".into()),
    },
    Setting {
        name: "MODEL_AUTO_PULL",
        secret: false,
        help: "whether a missing DEFAULT_MODEL is pulled by the first backend that can",
        default: || Some("false".into()),
    },
    Setting {
        name: "OPENAI_API_KEY",
        secret: true,
        help: "bearer key for OpenAI-compatible servers",
        default: || None,
    },
    Setting {
        name: "JWT_SECRET_KEY",
        secret: true,
        help: "key that access tokens are signed with: at least 32 bytes, or PEM of an Ed25519 private key",
        default: || None,
    },
    Setting {
        name: "JWT_PREVIOUS_SECRET_KEY",
        secret: true,
        help: "the key of before a change of keys: its tokens are taken still",
        default: || None,
    },
    Setting {
        name: "ARGON2_MEMORY_KIB",
        secret: false,
        help: "memory of one password hash in KiB, 7168 to 2097152",
        default: || Some("19456".into()),
    },
    Setting {
        name: "ARGON2_ITERATIONS",
        secret: false,
        help: "passes of one password hash over its memory, 1 to 100",
        default: || Some("2".into()),
    },
    Setting {
        name: "ARGON2_PARALLELISM",
        secret: false,
        help: "lanes of one password hash, 1 to 64",
        default: || Some("1".into()),
    },
    Setting {
        name: "ADMIN_USERNAME",
        secret: false,
        help: "who is made an admin at the start, if there is nobody of that name",
        default: || None,
    },
    Setting {
        name: "ADMIN_EMAIL",
        secret: false,
        help: "the e-mail address of that admin; NAME@localhost if not set",
        default: || None,
    },
    Setting {
        name: "ADMIN_PASSWORD",
        secret: true,
        help: "the password of that admin to begin with",
        default: || None,
    },
    Setting {
        name: "ACCESS_TOKEN_EXPIRE_MINUTES",
        secret: false,
        help: "lifetime of an access token, 1 to 1440",
        default: || Some("30".into()),
    },
    Setting {
        name: "REFRESH_TOKEN_EXPIRE_DAYS",
        secret: false,
        help: "lifetime of a refresh token, 1 to 365",
        default: || Some("7".into()),
    },
    Setting {
        name: "SESSION_MAX_DAYS",
        secret: false,
        help: "longest life of a session, however often it is refreshed, 1 to 365",
        default: || Some("90".into()),
    },
    Setting {
        name: "ADMIN_SESSION_MAX_DAYS",
        secret: false,
        help: "longest life of an admin's session, 1 to 365",
        default: || Some("7".into()),
    },
    Setting {
        name: "ENABLE_REGISTRATION",
        secret: false,
        help: "whether anybody may register, or only who has an invitation of an admin; not set: on, off in production",
        default: || None,
    },
    Setting {
        name: "USERS_READ_METRICS",
        secret: false,
        help: "whether users may see the metrics of the machine, or only admins; not set: on, off in production",
        default: || None,
    },
    Setting {
        name: "LISTEN",
        secret: false,
        help: "address and port of the server",
        default: || Some("127.0.0.1:10010".into()),
    },
    Setting {
        name: "ENABLE_AUTH",
        secret: false,
        help: "whether callers must sign in; off only on a loopback address",
        default: || Some("true".into()),
    },
    Setting {
        name: "TLS_CERT",
        secret: false,
        help: "PEM file of the server's certificate and those up to its root; makes it speak TLS only",
        default: || None,
    },
    Setting {
        name: "TLS_KEY",
        secret: false,
        help: "PEM file of the certificate's private key",
        default: || None,
    },
    Setting {
        name: "ENABLE_RATE_LIMITING",
        secret: false,
        help: "whether callers are counted",
        default: || Some("true".into()),
    },
    Setting {
        name: "RATE_LIMIT_AUTH_PER_MINUTE",
        secret: false,
        help: "registrations, sign-ins and refreshes a minute from one address, 1 to 1000000",
        default: || Some("5".into()),
    },
    Setting {
        name: "RATE_LIMIT_PER_MINUTE",
        secret: false,
        help: "other requests a minute of one user, with all tokens and API keys, 1 to 1000000",
        default: || Some("60".into()),
    },
    Setting {
        name: "TRUSTED_PROXIES",
        secret: false,
        help: "networks whose Forwarded or X-Forwarded-For is believed, such as 10.0.0.0/8,::1",
        default: || None,
    },
    Setting {
        name: "CORS_ORIGINS",
        secret: false,
        help: "origins whose pages may call from a browser, such as https://app.example.org, or *",
        default: || None,
    },
    Setting {
        name: "REQUEST_TIMEOUT_SECONDS",
        secret: false,
        help: "how long a request may take, 1 to 3600",
        default: || Some("30".into()),
    },
    Setting {
        name: "BODY_TIMEOUT_SECONDS",
        secret: false,
        help: "how long the body of a request may take to arrive, 1 to 3600",
        default: || Some("20".into()),
    },
    Setting {
        name: "BODY_MEMORY_MB",
        secret: false,
        help: "memory that the bodies of all requests, parsed, and their large answers may take at once, in MB, 64 to 1048576; one user gets half of it",
        default: || Some("256".into()),
    },
    Setting {
        name: "HEADER_TIMEOUT_SECONDS",
        secret: false,
        help: "how long a connection may take to begin its next request, 1 to 3600",
        default: || Some("30".into()),
    },
    Setting {
        name: "MAX_CONNECTIONS",
        secret: false,
        help: "how many connections there may be at once, 1 to 1000000",
        default: || Some("10000".into()),
    },
    Setting {
        name: "MAX_CONNECTIONS_PER_ADDRESS",
        secret: false,
        help: "how many of them one address may have, but for TRUSTED_PROXIES, 1 to 1000000",
        default: || Some("256".into()),
    },
    Setting {
        name: "MAX_STREAMS_PER_USER",
        secret: false,
        help: "event streams and WebSockets that one user may follow at once, 1 to 100000",
        default: || Some("32".into()),
    },
    Setting {
        name: "WORKERS",
        secret: false,
        help: "how many tasks run at once, 0 to 1024; 0: other processes do the work",
        default: || Some(cores().to_string()),
    },
    Setting {
        name: "LEASE_SECONDS",
        secret: false,
        help: "after how long a dead process's tasks are taken over, 1 to 3600",
        default: || Some("10".into()),
    },
    Setting {
        name: "SHUTDOWN_GRACE_SECONDS",
        secret: false,
        help: "how long running tasks may go on after SIGTERM before they are handed back, 0 to 3600",
        default: || Some("10".into()),
    },
    Setting {
        name: "MAX_TASKS_PER_USER",
        secret: false,
        help: "tasks of one user that run at once in all processes, 1 to 100000; not set: no limit",
        default: || None,
    },
    Setting {
        name: "MAX_PENDING_TASKS_PER_USER",
        secret: false,
        help: "tasks of one user that may wait for a worker, 1 to 1000000",
        default: || Some("10000".into()),
    },
    Setting {
        name: "MAX_CONVERSATIONS_PER_USER",
        secret: false,
        help: "conversations that one user may have, 1 to 1000000",
        default: || Some("1000".into()),
    },
    Setting {
        name: "MAX_DOCUMENTS_PER_USER",
        secret: false,
        help: "documents that one user may have, 1 to 1000000",
        default: || Some("1000".into()),
    },
    Setting {
        name: "MAX_DOCUMENT_MB_PER_USER",
        secret: false,
        help: "megabytes of files that one user may have uploaded, 1 to 1000000",
        default: || Some("500".into()),
    },
    Setting {
        name: "AGENT_CONCURRENCY",
        secret: false,
        help: "tasks of an agent that run at once in all processes, such as hardware-optimizer=2,model-puller=1",
        default: || None,
    },
    Setting {
        name: "MODEL_SLOTS",
        secret: false,
        help: "answers that the models write at once, 1 to 1024; not set: as the first backend says, or 4",
        default: || None,
    },
    Setting {
        name: "MODEL_QUEUE",
        secret: false,
        help: "requests that may wait for the models, 0 to 10000",
        default: || Some("64".into()),
    },
    Setting {
        name: "MODEL_REQUESTS_PER_USER",
        secret: false,
        help: "requests to the models that one user may have under way, 1 to 10000",
        default: || Some("8".into()),
    },
    Setting {
        name: "MODEL_REQUESTS_PER_MINUTE",
        secret: false,
        help: "requests to the models that one user, with all API keys, may begin in a minute, 1 to 1000000",
        default: || Some("120".into()),
    },
    Setting {
        name: "MODEL_TIMEOUT_SECONDS",
        secret: false,
        help: "how long an answer of the models may take, waiting included, 1 to 86400",
        default: || Some("300".into()),
    },
    Setting {
        name: "MODEL_IDLE_TIMEOUT_SECONDS",
        secret: false,
        help: "longest silence of a model that was asked, in seconds, before it counts as stuck, 1 to 86400",
        default: || Some("120".into()),
    },
    Setting {
        name: "HOST_NAME",
        secret: false,
        help: "name of this machine in the metric history and in analyses, 1 to 253 characters",
        default: || Some(sutazai_agent::metrics::host_name()),
    },
    Setting {
        name: "HISTORY_INTERVAL_SECONDS",
        secret: false,
        help: "time between two samples of the metric history, 1 to 3600",
        default: || Some("60".into()),
    },
    Setting {
        name: "HISTORY_KEEP_DAYS",
        secret: false,
        help: "how long the metric history is kept, 1 to 3650",
        default: || Some("30".into()),
    },
    Setting {
        name: "TASKS_KEEP_DAYS",
        secret: false,
        help: "how long tasks are kept after they were completed or cancelled, 1 to 3650; not set: for ever",
        default: || None,
    },
    Setting {
        name: "DEAD_LETTER_KEEP_DAYS",
        secret: false,
        help: "how long failed tasks are kept, 1 to 3650; not set: for ever",
        default: || None,
    },
    Setting {
        name: "ENABLE_MONITORING",
        secret: false,
        help: "whether GET /metrics shows figures for Prometheus",
        default: || Some("true".into()),
    },
    Setting {
        name: "METRICS_TOKEN",
        secret: true,
        help: "bearer token for GET /metrics, at least 16 bytes; not set: only programs on this machine may read",
        default: || None,
    },
    Setting {
        name: "OTEL_EXPORTER_OTLP_ENDPOINT",
        secret: false,
        help: "collector that traces are sent to, such as http://127.0.0.1:4318; not set: none are",
        default: || None,
    },
    Setting {
        name: "OTEL_SERVICE_NAME",
        secret: false,
        help: "what this server is called in log lines and traces",
        default: || Some("sutazai".into()),
    },
    Setting { name: "LOG_FORMAT", secret: false, help: "text or json", default: || Some("text".into()) },
    Setting {
        name: "LOG_LEVEL",
        secret: false,
        help: "a level or a filter such as info,sutazai=debug; not set: info for serve and worker, warn for the rest",
        default: || None,
    },
    Setting {
        name: "ENVIRONMENT",
        secret: false,
        help: "development or production",
        default: || Some("development".into()),
    },
];

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
