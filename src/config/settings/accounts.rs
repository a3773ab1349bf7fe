//! Settings: users, sessions and their keys.
//!
//! They are described in a build without the server too, as those of the server are.

use super::setting::{Fallback, Setting, Values};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "ENABLE_AUTH",
        values: Values::Switch,
        default: Fallback::Fixed("true"),
        help: "whether callers must sign in; may be off only on a loopback address",
    },
    Setting {
        name: "ENABLE_REGISTRATION",
        values: Values::Switch,
        default: Fallback::Unset("true, false in production"),
        help: "whether anyone may register, or only people with an invitation",
    },
    Setting {
        name: "USERS_READ_METRICS",
        values: Values::Switch,
        default: Fallback::Unset("true, false in production"),
        help: "whether users may see the metrics of the machine, or only admins",
    },
    Setting {
        name: "ADMIN_USERNAME",
        values: Values::Text("3 to 50 of A-Z, a-z, 0-9 and _; needs ADMIN_PASSWORD"),
        default: Fallback::Unset("none"),
        help: "admin who is created at the start unless the name is taken",
    },
    Setting {
        name: "ADMIN_EMAIL",
        values: Values::Text("an e-mail address"),
        default: Fallback::Unset("ADMIN_USERNAME at localhost"),
        help: "e-mail address of that admin",
    },
    Setting {
        name: "ADMIN_PASSWORD",
        values: Values::Secret { min_bytes: 0 },
        default: Fallback::Unset("none"),
        help: "first password of that admin: at least 8 characters, not easy to guess",
    },
    Setting {
        name: "JWT_SECRET_KEY",
        values: Values::Secret { min_bytes: 32 },
        default: Fallback::Unset("in development: created next to the database, mode 0600"),
        help: "key that signs access tokens: at least 32 random bytes, such as `openssl rand -hex 32`, or an Ed25519 private key in PEM",
    },
    Setting {
        name: "JWT_PREVIOUS_SECRET_KEY",
        values: Values::Secret { min_bytes: 32 },
        default: Fallback::Unset("none"),
        help: "previous signing key, whose tokens are still accepted",
    },
    Setting {
        name: "ACCESS_TOKEN_EXPIRE_MINUTES",
        values: Values::Number { min: 1, max: 1_440 },
        default: Fallback::Fixed("30"),
        help: "lifetime of an access token",
    },
    Setting {
        name: "REFRESH_TOKEN_EXPIRE_DAYS",
        values: Values::Number { min: 1, max: 365 },
        default: Fallback::Fixed("7"),
        help: "lifetime of a refresh token",
    },
    Setting {
        name: "SESSION_MAX_DAYS",
        values: Values::Number { min: 1, max: 365 },
        default: Fallback::Fixed("90"),
        help: "maximum age of a session, however often it is refreshed",
    },
    Setting {
        name: "ADMIN_SESSION_MAX_DAYS",
        values: Values::Number { min: 1, max: 365 },
        default: Fallback::Fixed("7"),
        help: "maximum age of an admin's session",
    },
    Setting {
        name: "ARGON2_MEMORY_KIB",
        values: Values::Number { min: 7_168, max: 2_097_152 },
        default: Fallback::Fixed("19456"),
        help: "memory of one password hash in KiB",
    },
    Setting {
        name: "ARGON2_ITERATIONS",
        values: Values::Number { min: 1, max: 100 },
        default: Fallback::Fixed("2"),
        help: "passes of one password hash over its memory",
    },
];
