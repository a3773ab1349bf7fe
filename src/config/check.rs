//! Validation: turns the found values into a [`Config`], or into all their problems.

use sutazai_core::Error;
use sutazai_core::admission_control::AdmissionControlConfig;
use sutazai_core::domain::AccessPolicy;

use super::layers::Layers;
use super::secret::Secret;
use super::settings::{Values, setting_named};
use super::{Config, Environment, LogFormat, ModelProgram};

impl Layers {
    /// Returns the effective configuration, or all its problems; with the feature `http`, that of a server.
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

    /// Reads a switch whose default is on in development and off in production.
    pub(super) fn unless_production(
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
        let log_format = self.word("LOG_FORMAT", problems).map(|word| match word {
            "json" => LogFormat::Json,
            _ => LogFormat::Text,
        });
        let environment = self.word("ENVIRONMENT", problems).map(|word| match word {
            "production" => Environment::Production,
            _ => Environment::Development,
        });
        let users_metrics = self.unless_production("USERS_READ_METRICS", environment, problems);
        let redis_url = self.address("REDIS_URL", cfg!(feature = "redis"), problems);
        let rabbitmq_url = self.address("RABBITMQ_URL", cfg!(feature = "rabbitmq"), problems);
        #[cfg(feature = "http")]
        let enable_auth = self.switch("ENABLE_AUTH", problems);
        #[cfg(feature = "http")]
        let accounts = self.accounts(serves.then_some(enable_auth).flatten(), environment, problems);
        #[cfg(feature = "http")]
        let server = self.server(serves, enable_auth, problems);
        let otlp_endpoint = self.otlp_endpoint(problems);
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
            access: AccessPolicy { users_read_metrics: users_metrics? },
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
            otlp_endpoint,
            service_name: self.text("OTEL_SERVICE_NAME")?,
            log_format: log_format?,
            log_level: self.text("LOG_LEVEL"),
            environment: environment?,
            #[cfg(feature = "http")]
            accounts: accounts?,
            #[cfg(feature = "http")]
            server: server?,
            warnings: self.warnings().to_vec(),
        })
    }
}
