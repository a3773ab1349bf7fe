//! From the values that were found to a [`Config`], or to everything that is wrong with them.

use std::net::SocketAddr;
use std::time::Duration;

use sutazai_core::Error;

use super::layers::Layers;
use super::secret::Secret;
use super::{Config, Environment, FirstAdmin, LogFormat};

impl Layers {
    /// The effective configuration, or everything that is wrong with it.
    pub fn check(&self) -> std::result::Result<Config, Vec<Error>> {
        let mut problems = self.problems.clone();
        let config = self.parse(&mut problems);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }

    /// A key that tokens are signed with.
    fn signing_key(&self, name: &'static str, problems: &mut Vec<Error>) -> Option<Secret> {
        let key = self.text(name).map(Secret::new)?;
        let length = key.expose().len();
        if length < 32 {
            problems.push(Error::invalid(name, format!("expected at least 32 bytes, got {length}")));
        }
        Some(key)
    }

    /// Name and password belong together.
    fn first_admin(&self, problems: &mut Vec<Error>) -> Option<FirstAdmin> {
        match (self.text("ADMIN_USERNAME"), self.text("ADMIN_PASSWORD")) {
            (Some(username), Some(password)) => Some(FirstAdmin {
                email: self.text("ADMIN_EMAIL").unwrap_or_else(|| format!("{username}@localhost")),
                username,
                password: Secret::new(password),
            }),
            (Some(_), None) => {
                let why = "must be set (or ADMIN_PASSWORD_FILE) when ADMIN_USERNAME is";
                problems.push(Error::invalid("ADMIN_PASSWORD", why));
                None
            }
            (None, Some(_)) => {
                let why = "must be set when ADMIN_PASSWORD is";
                problems.push(Error::invalid("ADMIN_USERNAME", why));
                None
            }
            (None, None) => None,
        }
    }

    /// Parses every setting before it gives up, so that `problems` holds all that is wrong.
    fn parse(&self, problems: &mut Vec<Error>) -> Option<Config> {
        let switch =
            [("true", true), ("false", false), ("1", true), ("0", false), ("on", true), ("off", false)];
        let access = self.number("ACCESS_TOKEN_EXPIRE_MINUTES", (1_u64, 1_440), problems);
        let refresh = self.number("REFRESH_TOKEN_EXPIRE_DAYS", (1_u64, 365), problems);
        let workers = self.number("WORKERS", (1_usize, 1_024), problems);
        let interval = self.number("HISTORY_INTERVAL_SECONDS", (1_u64, 3_600), problems);
        let keep = self.number("HISTORY_KEEP_DAYS", (1_u64, 3_650), problems);
        let enable_auth = self.choice("ENABLE_AUTH", &switch, problems);
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let log_format = self.choice("LOG_FORMAT", &formats, problems);
        let environments =
            [("development", Environment::Development), ("production", Environment::Production)];
        let environment = self.choice("ENVIRONMENT", &environments, problems);
        let listen = self.text("LISTEN").and_then(|text| {
            let address = text.parse::<SocketAddr>().ok();
            if address.is_none() {
                let wanted = format!("expected an address and a port such as 127.0.0.1:10010, got {text:?}");
                problems.push(Error::invalid("LISTEN", wanted));
            }
            address
        });
        let argon2_memory_kib = self.number("ARGON2_MEMORY_KIB", (7_168, 2_097_152), problems);
        let argon2_iterations = self.number("ARGON2_ITERATIONS", (1, 100), problems);
        let argon2_parallelism = self.number("ARGON2_PARALLELISM", (1, 64), problems);
        let jwt_secret_key = self.signing_key("JWT_SECRET_KEY", problems);
        let jwt_previous_secret_key = self.signing_key("JWT_PREVIOUS_SECRET_KEY", problems);
        if jwt_secret_key.is_none()
            && (environment, enable_auth) == (Some(Environment::Production), Some(true))
        {
            let why = "must be set (or JWT_SECRET_KEY_FILE) when ENVIRONMENT is production";
            problems.push(Error::invalid("JWT_SECRET_KEY", why));
        }
        if jwt_secret_key.is_some() && jwt_secret_key == jwt_previous_secret_key {
            let why = "expected another key than JWT_SECRET_KEY";
            problems.push(Error::invalid("JWT_PREVIOUS_SECRET_KEY", why));
        }
        let first_admin = self.first_admin(problems);
        if let (Some(false), Some(listen)) = (enable_auth, listen)
            && !listen.ip().is_loopback()
        {
            let why = format!("may be off only on a loopback address, and LISTEN is {listen}");
            problems.push(Error::invalid("ENABLE_AUTH", why));
        }
        Some(Config {
            database_url: self.text("DATABASE_URL").map(Secret::new)?,
            model_backends: self.text("MODEL_BACKENDS").unwrap_or_default(),
            default_model: self.text("DEFAULT_MODEL")?,
            openai_api_key: self.text("OPENAI_API_KEY").map(Secret::new),
            jwt_secret_key,
            jwt_previous_secret_key,
            argon2_memory_kib: argon2_memory_kib?,
            argon2_iterations: argon2_iterations?,
            argon2_parallelism: argon2_parallelism?,
            first_admin,
            access_ttl: Duration::from_secs(access? * 60),
            refresh_ttl: Duration::from_secs(refresh? * 86_400),
            listen: listen?,
            enable_auth: enable_auth?,
            workers: workers?,
            history_interval: Duration::from_secs(interval?),
            history_keep: Duration::from_secs(keep? * 86_400),
            log_format: log_format?,
            log_level: self.text("LOG_LEVEL"),
            environment: environment?,
        })
    }
}
