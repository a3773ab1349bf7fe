//! Settings: the HTTP server and its limits.
//!
//! They are described in a build without the server too, because servers and workers may share one file. Their defaults
//! are therefore texts; a test compares them with those of the server.

use super::setting::{Fallback, Setting, Values};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "LISTEN",
        values: Values::Text("address and port, such as 0.0.0.0:8080 or [::1]:10010"),
        default: Fallback::Fixed("127.0.0.1:10010"),
        help: "address and port of the server",
    },
    Setting {
        name: "TLS_CERT",
        values: Values::Text("path of a PEM file; needs TLS_KEY"),
        default: Fallback::Unset("plain HTTP"),
        help: "certificate chain of the server, up to its root",
    },
    Setting {
        name: "TLS_KEY",
        values: Values::Text("path of a PEM file"),
        default: Fallback::Unset("none"),
        help: "private key of the certificate",
    },
    Setting {
        name: "TRUSTED_PROXIES",
        values: Values::Text("networks or addresses, separated by commas, such as 10.0.0.0/8,::1"),
        default: Fallback::Unset("none"),
        help: "proxies whose Forwarded or X-Forwarded-For is trusted",
    },
    Setting {
        name: "CORS_ORIGINS",
        values: Values::Text(
            "origins, separated by commas, such as https://app.example.org, or * (not with ENABLE_AUTH=false)",
        ),
        default: Fallback::Unset("none"),
        help: "origins whose pages may call from a browser",
    },
    Setting {
        name: "REQUEST_TIMEOUT_SECONDS",
        values: Values::Number { min: 1, max: 3_600 },
        default: Fallback::Fixed("30"),
        help: "time limit of a request",
    },
    Setting {
        name: "BODY_TIMEOUT_SECONDS",
        values: Values::Number { min: 1, max: 3_600 },
        default: Fallback::Fixed("20"),
        help: "time limit for receiving the body of a request",
    },
    Setting {
        name: "HEADER_TIMEOUT_SECONDS",
        values: Values::Number { min: 1, max: 3_600 },
        default: Fallback::Fixed("30"),
        help: "time limit for receiving the head of a connection's next request",
    },
    Setting {
        name: "BODY_MEMORY_MB",
        values: Values::Number { min: 64, max: 1_048_576 },
        default: Fallback::Fixed("256"),
        help: "memory of all request bodies, parsed, and of large answers in MB; one user gets half of it",
    },
    Setting {
        name: "MAX_CONNECTIONS",
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("10000"),
        help: "connections at once",
    },
    Setting {
        name: "MAX_CONNECTIONS_PER_ADDRESS",
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("256"),
        help: "connections of one address at once, except TRUSTED_PROXIES",
    },
    Setting {
        name: "MAX_STREAMS_PER_USER",
        values: Values::Number { min: 1, max: 100_000 },
        default: Fallback::Fixed("32"),
        help: "event streams and WebSockets of one user at once",
    },
    Setting {
        name: "ENABLE_RATE_LIMITING",
        values: Values::Switch,
        default: Fallback::Fixed("true"),
        help: "whether requests are limited by rate",
    },
    Setting {
        name: "RATE_LIMIT_AUTH_PER_MINUTE",
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("5"),
        help: "registrations, sign-ins and refreshes a minute from one address",
    },
    Setting {
        name: "RATE_LIMIT_PER_MINUTE",
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("60"),
        help: "other requests a minute of one user, with all tokens and API keys",
    },
];
