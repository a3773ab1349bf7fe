//! Validation: turns the found values into a [`Config`], or into all their problems.

use std::net::SocketAddr;
use std::time::Duration;

use sutazai_core::Error;
use sutazai_core::admission_control::AdmissionControlConfig;
use sutazai_core::domain::AccessPolicy;
use sutazai_http::CorsOrigins;
use sutazai_http::auth::JwtTokenSigner;

use super::layers::Layers;
use super::secret::Secret;
use super::settings::{Values, setting_named};
use super::{Config, Environment, FirstAdmin, LogFormat, ModelProgram};

/// Minimum entropy of a signing key in bits, estimated from its characters: half of what 32 random bytes in
/// hexadecimal have.
const MIN_KEY_ENTROPY: f64 = 96.0;

impl Layers {
    /// Returns the effective configuration of a server, or all its problems.
    pub fn check(&self) -> std::result::Result<Config, Vec<Error>> {
        self.checked(true)
    }

    /// Returns the effective configuration of a process of workers only, or all its problems. It needs no
    /// signing key, because nobody calls it, but at least one worker.
    pub fn check_worker(&self) -> std::result::Result<Config, Vec<Error>> {
        self.checked(false)
    }

    fn checked(&self, serves: bool) -> std::result::Result<Config, Vec<Error>> {
        let mut problems = self.problems.clone();
        let config = self.parse(serves, &mut problems);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }

    /// Reads a key that signs tokens.
    fn signing_key(&self, name: &'static str, problems: &mut Vec<Error>) -> Option<Secret> {
        let key = self.text(name).map(Secret::new)?;
        if let Err(e) = JwtTokenSigner::new(key.expose().as_bytes()) {
            problems.push(e.with_field(name));
        } else if !key.is_pem() && key.entropy_bits() < MIN_KEY_ENTROPY {
            let why =
                "expected a random key, such as that of `openssl rand -hex 32`; this one repeats itself";
            problems.push(Error::invalid(name, why));
        }
        Some(key)
    }

    /// Reads a secret of at least the minimum length of its setting.
    fn secret(&self, name: &'static str, problems: &mut Vec<Error>) -> Option<Secret> {
        let Values::Secret { min_bytes } = setting_named(name)?.values else { return None };
        let secret = self.text(name).map(Secret::new)?;
        let length = secret.expose().len();
        if length < min_bytes {
            problems.push(Error::invalid(name, format!("expected at least {min_bytes} bytes, got {length}")));
        }
        Some(secret)
    }

    /// Reads a switch whose default is on in development and off in production.
    fn unless_production(
        &self,
        name: &'static str,
        environment: Option<Environment>,
        problems: &mut Vec<Error>,
    ) -> Option<bool> {
        match self.text(name) {
            Some(_) => self.switch(name, problems),
            None => environment.map(|environment| environment != Environment::Production),
        }
    }

    /// Reads the address of another server. It may contain a password, so errors do not repeat it.
    fn address(&self, name: &'static str, is_built: bool, problems: &mut Vec<Error>) -> Option<Secret> {
        let Values::Address(form) = setting_named(name)?.values else { return None };
        let address = self.text(name)?;
        let scheme = form.split("://").next().unwrap_or_default();
        // With an `s` appended, the scheme is the one over TLS.
        let rest = address.strip_prefix(scheme).map(|rest| rest.strip_prefix('s').unwrap_or(rest));
        let rest = rest.and_then(|rest| rest.strip_prefix("://"));
        if rest.is_none_or(str::is_empty) {
            problems.push(Error::invalid(name, format!("expected {form}")));
        } else if !is_built {
            let why = format!("this build has no feature {}", name.trim_end_matches("_URL").to_lowercase());
            problems.push(Error::unsupported(why).with_field(name));
        }
        Some(Secret::new(address))
    }

    /// Reads the name of this machine, with the length limit of a DNS name.
    fn host_name(&self, problems: &mut Vec<Error>) -> Option<String> {
        let name = self.text("HOST_NAME")?;
        if !(1..=253).contains(&name.chars().count()) || name.contains(char::is_control) {
            let why = "expected 1 to 253 characters without control characters";
            problems.push(Error::invalid("HOST_NAME", why));
        }
        Some(name)
    }

    /// Reads the address of the collector of traces.
    fn otlp_endpoint(&self, problems: &mut Vec<Error>) -> Option<String> {
        let name = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let address = self.text(name)?;
        let host = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"));
        if host.is_none_or(str::is_empty) {
            let wanted = "expected an address such as http://127.0.0.1:4318";
            problems.push(Error::invalid(name, wanted));
        } else if cfg!(not(feature = "otel")) {
            problems.push(Error::unsupported("this build has no feature otel").with_field(name));
        }
        Some(address)
    }

    /// Reads the first admin; username and password must be set together.
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

    /// Reads the limits of admission control in front of the models.
    fn admission_control(&self, problems: &mut Vec<Error>) -> Option<AdmissionControlConfig> {
        let slots = self.number_if_set("MODEL_SLOTS", problems);
        let queue = self.number("MODEL_QUEUE", problems);
        let per_user = self.number("MODEL_REQUESTS_PER_USER", problems);
        let per_minute = self.number("MODEL_REQUESTS_PER_MINUTE", problems);
        let max_tokens = self.number("MODEL_MAX_TOKENS", problems);
        let timeout = self.seconds("MODEL_TIMEOUT_SECONDS", problems);
        Some(AdmissionControlConfig {
            slots: slots?,
            queue: queue?,
            per_user: per_user?,
            per_minute: per_minute?,
            max_tokens: max_tokens?,
            timeout: timeout?,
        })
    }

    /// Parses every setting before it fails, so that `problems` contains all that is wrong.
    fn parse(&self, serves: bool, problems: &mut Vec<Error>) -> Option<Config> {
        let access: Option<u64> = self.number("ACCESS_TOKEN_EXPIRE_MINUTES", problems);
        let refresh = self.days("REFRESH_TOKEN_EXPIRE_DAYS", problems);
        let session = self.days("SESSION_MAX_DAYS", problems);
        let admin_session = self.days("ADMIN_SESSION_MAX_DAYS", problems);
        let workers = if serves {
            self.number("WORKERS", problems)
        } else {
            self.number_from("WORKERS", 1..=1_024, problems)
        };
        let lease = self.seconds("LEASE_SECONDS", problems);
        let grace = self.seconds("SHUTDOWN_GRACE_SECONDS", problems);
        let limits = self.concurrency(problems);
        let quotas = self.quotas(problems);
        let retention_policy = self.retention_policy(problems);
        let admission_control = self.admission_control(problems);
        let model_auto_pull = self.switch("MODEL_AUTO_PULL", problems);
        let model_idle = self.seconds("MODEL_IDLE_TIMEOUT_SECONDS", problems);
        let model_memory: Option<Option<u64>> = self.number_if_set("MODEL_MEMORY_LIMIT_MB", problems);
        let host_name = self.host_name(problems);
        let interval = self.seconds("HISTORY_INTERVAL_SECONDS", problems);
        let keep = self.days("HISTORY_KEEP_DAYS", problems);
        let enable_auth = self.switch("ENABLE_AUTH", problems);
        let trusted_proxies = self.list("TRUSTED_PROXIES", problems);
        let server = self.server(trusted_proxies.as_ref(), problems);
        let rate_limits = self.rate_limits(problems);
        let cors_origins: Option<CorsOrigins> = self.list("CORS_ORIGINS", problems);
        let request_timeout = self.seconds("REQUEST_TIMEOUT_SECONDS", problems);
        let body_timeout = self.seconds("BODY_TIMEOUT_SECONDS", problems);
        let body_memory: Option<usize> = self.number("BODY_MEMORY_MB", problems);
        let streams_per_user = self.number("MAX_STREAMS_PER_USER", problems);
        let log_format = self.word("LOG_FORMAT", problems).map(|word| match word {
            "json" => LogFormat::Json,
            _ => LogFormat::Text,
        });
        let environment = self.word("ENVIRONMENT", problems).map(|word| match word {
            "production" => Environment::Production,
            _ => Environment::Development,
        });
        let registration = self.unless_production("ENABLE_REGISTRATION", environment, problems);
        let users_metrics = self.unless_production("USERS_READ_METRICS", environment, problems);
        let listen = self.text("LISTEN").and_then(|text| {
            let address = text.parse::<SocketAddr>().ok();
            if address.is_none() {
                let wanted = format!("expected an address and a port such as 127.0.0.1:10010, got {text:?}");
                problems.push(Error::invalid("LISTEN", wanted));
            }
            address
        });
        let argon2_memory_kib = self.number("ARGON2_MEMORY_KIB", problems);
        let argon2_iterations = self.number("ARGON2_ITERATIONS", problems);
        let jwt_secret_key = self.signing_key("JWT_SECRET_KEY", problems);
        let jwt_previous_secret_key = self.signing_key("JWT_PREVIOUS_SECRET_KEY", problems);
        if serves
            && jwt_secret_key.is_none()
            && (environment, enable_auth) == (Some(Environment::Production), Some(true))
        {
            let why = "must be set (or JWT_SECRET_KEY_FILE) when ENVIRONMENT is production";
            problems.push(Error::invalid("JWT_SECRET_KEY", why));
        }
        if jwt_secret_key.is_some() && jwt_secret_key == jwt_previous_secret_key {
            let why = "expected another key than JWT_SECRET_KEY";
            problems.push(Error::invalid("JWT_PREVIOUS_SECRET_KEY", why));
        }
        let redis_url = self.address("REDIS_URL", cfg!(feature = "redis"), problems);
        let rabbitmq_url = self.address("RABBITMQ_URL", cfg!(feature = "rabbitmq"), problems);
        let first_admin = self.first_admin(problems);
        let enable_monitoring = self.switch("ENABLE_MONITORING", problems);
        let metrics_token = self.secret("METRICS_TOKEN", problems);
        let otlp_endpoint = self.otlp_endpoint(problems);
        if let (Some(false), Some(listen)) = (enable_auth, listen)
            && serves
            && !listen.ip().is_loopback()
        {
            let why = format!("may be off only on a loopback address, and LISTEN is {listen}");
            problems.push(Error::invalid("ENABLE_AUTH", why));
        }
        if let (Some(false), Some(origins)) = (enable_auth, &cors_origins)
            && serves
            && origins.all()
        {
            let why = "expected origins such as http://localhost:3000, got *, which lets every page in when ENABLE_AUTH is off";
            problems.push(Error::invalid("CORS_ORIGINS", why));
        }
        Some(Config {
            database_url: self.text("DATABASE_URL").map(Secret::new)?,
            database_listen_url: self.text("DATABASE_LISTEN_URL").map(Secret::new),
            redis_url,
            redis_ca_file: self.text("REDIS_CA_FILE").map(Into::into),
            rabbitmq_url,
            model_backends: self.text("MODEL_BACKENDS").unwrap_or_default(),
            model_program: self.text("MODEL_PROGRAM").map(|text| match text.as_str() {
                "in-process" => ModelProgram::InProcess,
                program => ModelProgram::sutazai(program),
            }),
            model_memory_limit: model_memory?.map(|megabytes| megabytes * 1_000_000),
            default_model: self.text("DEFAULT_MODEL")?,
            model_auto_pull: model_auto_pull?,
            openai_api_key: self.text("OPENAI_API_KEY").map(Secret::new),
            jwt_secret_key,
            jwt_previous_secret_key,
            argon2_memory_kib: argon2_memory_kib?,
            argon2_iterations: argon2_iterations?,
            first_admin,
            access_ttl: Duration::from_secs(access? * 60),
            refresh_ttl: refresh?,
            session_ttl: session?,
            admin_session_ttl: admin_session?,
            open_registration: registration?,
            access: AccessPolicy { users_read_metrics: users_metrics? },
            listen: listen?,
            enable_auth: enable_auth?,
            server: server?,
            rate_limits: rate_limits?,
            trusted_proxies: trusted_proxies?,
            cors_origins: cors_origins?,
            request_timeout: request_timeout?,
            body_timeout: body_timeout?,
            body_memory: body_memory? * 1_000_000,
            streams_per_user: streams_per_user?,
            workers: workers?,
            lease: lease?,
            shutdown_grace: grace?,
            limits: limits?,
            quotas: quotas?,
            retention_policy,
            admission_control: admission_control?,
            model_idle_timeout: model_idle?,
            host_name: host_name?,
            history_interval: interval?,
            history_keep: keep?,
            enable_monitoring: enable_monitoring?,
            metrics_token,
            otlp_endpoint,
            service_name: self.text("OTEL_SERVICE_NAME")?,
            log_format: log_format?,
            log_level: self.text("LOG_LEVEL"),
            environment: environment?,
            warnings: self.warnings().to_vec(),
        })
    }
}
