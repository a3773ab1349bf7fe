//! Settings: databases and brokers.

use std::path::PathBuf;

use super::setting::{Fallback, Setting, Values};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "DATABASE_URL",
        values: Values::Address("sqlite:///absolute/path.db or postgres://user:password@host:5432/database"),
        default: Fallback::Computed(default_database),
        help: "database of tasks, users and history",
    },
    Setting {
        name: "DATABASE_LISTEN_URL",
        values: Values::Address("postgres://user:password@host:5432/database"),
        default: Fallback::Unset("DATABASE_URL"),
        help: "PostgreSQL server itself, where DATABASE_URL leads to a pooler, for notifications of other processes",
    },
    Setting {
        name: "REDIS_URL",
        values: Values::Address("redis://user:password@host:6379/0, or rediss:// over TLS"),
        default: Fallback::Unset("each server counts and caches by itself"),
        help: "Redis in which servers share rate limits and caches",
    },
    Setting {
        name: "REDIS_CA_FILE",
        values: Values::Text("path of a PEM file"),
        default: Fallback::Unset("the system's roots"),
        help: "roots for the certificate of a Redis over TLS",
    },
    Setting {
        name: "RABBITMQ_URL",
        values: Values::Address("amqp://user:password@host:5672/%2f, or amqps:// over TLS"),
        default: Fallback::Unset("no messages"),
        help: "RabbitMQ that events are published to",
    },
];

/// Returns the path of `sutazai/sutazai.db` in the user's data folder.
fn default_database() -> String {
    let path = user_data_folder().join("sutazai.db");
    format!("sqlite://{}", path.display())
}

/// Returns the path of `sutazai` in the user's data folder (XDG Base Directory Specification).
pub(crate) fn user_data_folder() -> PathBuf {
    let variable =
        |name: &str| std::env::var(name).ok().filter(|value| value.starts_with('/')).map(PathBuf::from);
    let data = variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")));
    data.unwrap_or_else(|| PathBuf::from("/var/lib")).join("sutazai")
}
