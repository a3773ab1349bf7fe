//! Builds a ready service from a [`Config`]; the only place that chooses adapters.
//!
//! All other modules use ports. The binary and the Python package use [`Service::open`]; an embedder who
//! needs other parts builds an [`Engine`] directly or passes a closure to [`Service::open_with`].

mod analysis;
mod model_backends;
mod shared;
mod signing_key;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sutazai_agent::metrics::History;
use sutazai_agent::{agents, metrics};
use sutazai_core::Result;
use sutazai_core::chat::Chat;
use sutazai_core::documents::Documents;
use sutazai_core::domain::{Caller, NewUser, RetentionPolicy};
use sutazai_core::engine::{Engine, EngineBuilder};
use sutazai_core::identity::{Identity, IdentityConfig, UserData};
use sutazai_core::ports::{Clock, MetricSource};
use sutazai_core::relay::Relay;
use sutazai_core::schedules::Schedules;
use sutazai_http::auth::{Argon2Cost, Argon2PasswordHasher, JwtTokenSigner};
use sutazai_http::{App, Monitoring, RateLimits, SecuritySettings};
use sutazai_store::Stores;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use model_backends::load;
use shared::SharedParts;
use signing_key::kept_secret;

use crate::config::{Config, FirstAdmin, Secret};

pub use analysis::LocalAnalysis;
pub use model_backends::{model_permissions, models};

/// Engine with its stores, models, metrics and identity, as configured.
#[derive(Debug)]
pub struct Service {
    engine: Engine,
    identity: Option<Identity>,
    protection: SecuritySettings,
    chat: Chat,
    documents: Documents,
    schedules: Schedules,
    retention_policy: RetentionPolicy,
    history: Arc<History>,
    monitoring: Option<Monitoring>,
    shared: SharedParts,
    relay: Option<Arc<Relay>>,
    data_folder: Option<PathBuf>,
    stop: CancellationToken,
    background: TaskTracker,
}

impl Service {
    /// Opens the stores, loads the models, and registers the built-in agents. Nothing runs before
    /// [`start`](Self::start).
    ///
    /// # Errors
    /// `InvalidInput` naming the setting, or `Unavailable` naming the service that cannot be reached.
    pub async fn open(config: &Config) -> Result<Self> {
        Self::open_with(config, |builder| builder).await
    }

    /// Opens a service as [`open`](Self::open) does, with more agents, sources or another model backend in
    /// the engine.
    pub async fn open_with(
        config: &Config,
        more: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Result<Self> {
        // First, because the parts that are opened below register metrics.
        let monitoring = config.enable_monitoring.then(|| monitoring(config)).transpose()?;
        let stores = stores(config).await?;
        let clock = stores.clock.clone();
        let shared = SharedParts::open(config)?;
        let mut identity =
            config.enable_auth.then(|| identity(config, &stores, clock.clone())).transpose()?;
        if let Some(cache) = shared.cache() {
            identity = identity.map(|identity| identity.with_cache(cache));
        }
        if let (Some(identity), Some(admin)) = (&identity, &config.first_admin) {
            first_admin(identity, admin).await?;
        }
        let protection = protection(config, &shared, &clock);
        let service = Self::without_callers(config, stores, shared, more).await?;
        Ok(Self { identity, monitoring, protection, ..service })
    }

    /// Builds the parts that serve no external callers: engine, chat, documents, schedules, history and
    /// relay.
    async fn without_callers(
        config: &Config,
        stores: Stores,
        shared: SharedParts,
        more: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Result<Self> {
        let clock = stores.clock.clone();
        let relay = shared.relay(&stores, &clock);
        if let Some(relay) = &relay {
            relay.begin().await?;
        }
        let mut builder = Engine::builder()
            .task_store(stores.tasks.clone())
            .identity_store(stores.identity)
            .access(config.access)
            .max_pending_per_owner(config.quotas.pending_tasks)
            .metric_store(stores.metrics.clone())
            .host(&config.host_name)
            .agent_store(stores.agents)
            .clock(clock.clone())
            .workers(config.workers)
            .lease(config.lease)
            .limits(config.limits.clone())
            .admission_control(config.admission_control.clone());
        if let Some(manager) = models(config, clock.clone()).await? {
            builder = builder.model(manager);
        }
        if let Some(cache) = shared.cache() {
            builder = builder.cache(cache);
        }
        for source in metric_sources() {
            builder = builder.metric_source(source);
        }
        for agent in agents::all() {
            builder = builder.agent(agent);
        }
        let engine = more(builder).build().map_err(|e| match e.field() {
            Some("per_agent") => e.with_field("AGENT_CONCURRENCY"),
            _ => e,
        })?;
        let chat = Chat::new(stores.conversations, engine.clone())
            .max_conversations_per_user(config.quotas.conversations)
            .message_quota_per_user(config.quotas.messages);
        let documents =
            Documents::new(stores.documents, clock.clone()).quota_per_user(config.quotas.documents);
        let schedules = Schedules::new(stores.schedules, engine.clone());
        let history = Arc::new(
            History::new(stores.metrics, clock)
                .host(&config.host_name)
                .interval(config.history_interval)
                .keep(config.history_keep),
        );
        Ok(Self {
            engine,
            identity: None,
            chat,
            documents,
            schedules,
            retention_policy: config.retention_policy,
            history,
            protection: SecuritySettings::default(),
            monitoring: None,
            shared,
            relay,
            data_folder: data_folder(config),
            stop: CancellationToken::new(),
            background: TaskTracker::new(),
        })
    }

    /// Returns the engine of the service.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns the parts that the HTTP server needs.
    pub fn app(&self) -> App {
        let mut app = App::new(self.engine.clone(), self.identity.clone())
            .protected(self.protection.clone())
            .with_chat(self.chat.clone())
            .with_documents(self.documents.clone())
            .with_schedules(self.schedules.clone());
        if let Some(monitoring) = self.monitoring.clone() {
            app = app.monitoring(monitoring);
        }
        if let Some(folder) = &self.data_folder {
            app = app.data_folder(folder);
        }
        self.shared.watched(app)
    }

    /// Starts the workers, the schedules, the removal of old tasks, the metric history, the upkeep of the
    /// metrics, the relay to the message bus, and the poller of session revocations, and loads the default
    /// model.
    pub fn start(&self) {
        self.engine.start();
        if let Some(model) = self.engine.model_for(&Caller::System) {
            let stop = self.stop.clone();
            self.background.spawn(async move { stop.run_until_cancelled(load(&*model)).await });
        }
        let (schedules, stop) = (self.schedules.clone(), self.stop.clone());
        self.background.spawn(async move { schedules.run(stop).await });
        let (engine, keep, stop) = (self.engine.clone(), self.retention_policy, self.stop.clone());
        self.background.spawn(async move { engine.run_retention(keep, stop).await });
        let (history, stop) = (self.history.clone(), self.stop.clone());
        self.background.spawn(async move { history.run(&metric_sources(), stop).await });
        if let Some(monitoring) = self.monitoring.clone() {
            let (clock, stop) = (self.engine.clock(), self.stop.clone());
            self.background.spawn(async move {
                while stop.run_until_cancelled(clock.sleep(Monitoring::UPKEEP)).await.is_some() {
                    monitoring.upkeep();
                }
            });
        }
        if let Some(relay) = self.relay.clone() {
            let stop = self.stop.clone();
            self.background.spawn(async move { relay.run(stop).await });
        }
        if let Some(identity) = self.identity.clone() {
            let stop = self.stop.clone();
            self.background.spawn(async move { identity.follow_ended_sessions(stop).await });
        }
    }

    /// Stops the service: running tasks get `grace` to finish, then they are released.
    pub async fn shutdown(&self, grace: Duration) {
        self.stop.cancel();
        self.engine.shutdown(grace).await;
        self.chat.finish().await;
        self.background.close();
        self.background.wait().await;
    }
}

/// Workers without a server, as `sutazai worker` runs them. They share their store with servers and other
/// workers, and run the tasks of the agents that they have.
#[derive(Debug)]
pub struct Worker(Service);

impl Worker {
    /// Opens the stores, loads the models, and registers the built-in agents. Nothing runs before
    /// [`start`](Self::start).
    ///
    /// # Errors
    /// `InvalidInput` naming the setting, or `Unavailable` naming the service that cannot be reached.
    pub async fn open(config: &Config) -> Result<Self> {
        Self::open_with(config, |builder| builder).await
    }

    /// Opens workers as [`open`](Self::open) does, with more agents, sources or another model backend in the
    /// engine. Servers that accept tasks for these agents need them as well, because they validate payloads
    /// by the agents' schemas.
    pub async fn open_with(
        config: &Config,
        more: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Result<Self> {
        let stores = stores(config).await?;
        let shared = SharedParts::open(config)?;
        Service::without_callers(config, stores, shared, more).await.map(Self)
    }

    /// Returns the engine of the workers.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Starts the workers and the metric history, and loads the default model.
    pub fn start(&self) {
        self.0.start();
    }

    /// Stops the workers: running tasks get `grace` to finish, then they are released.
    pub async fn shutdown(&self, grace: Duration) {
        self.0.shutdown(grace).await;
    }
}

/// Installs the metrics of this process, readable with the configured token.
fn monitoring(config: &Config) -> Result<Monitoring> {
    let monitoring = Monitoring::install()?;
    Ok(match &config.metrics_token {
        Some(token) => monitoring.token(token.expose()),
        None => monitoring,
    })
}

/// Returns the folder of the database if that is a file.
fn data_folder(config: &Config) -> Option<PathBuf> {
    let file = config.database_url.expose().strip_prefix("sqlite://").map(PathBuf::from);
    file.as_deref().and_then(Path::parent).map(Path::to_path_buf)
}

/// Opens the stores of the database at `DATABASE_URL`.
pub async fn stores(config: &Config) -> Result<Stores> {
    let listen_url = config.database_listen_url.as_ref().map(Secret::expose);
    sutazai_store::open_listening(config.database_url.expose(), listen_url).await
}

/// Reads the files that belong to `REDIS_URL` and `RABBITMQ_URL`, such as certificates, without connecting.
///
/// # Errors
/// `InvalidInput` naming the setting.
pub fn check_shared(config: &Config) -> Result<()> {
    SharedParts::open(config).map(drop)
}

/// Builds the use cases of identity over these stores.
pub fn identity(config: &Config, stores: &Stores, clock: Arc<dyn Clock>) -> Result<Identity> {
    let secret = match &config.jwt_secret_key {
        Some(secret) => secret.clone(),
        None => kept_secret(config)?,
    };
    let hasher = Arc::new(Argon2PasswordHasher::new(Argon2Cost {
        memory_kib: config.argon2_memory_kib,
        iterations: config.argon2_iterations,
        ..Argon2Cost::default()
    })?);
    let mut signer = JwtTokenSigner::new(secret.expose().as_bytes())?;
    if let Some(previous) = &config.jwt_previous_secret_key {
        signer = signer.accept_previous(previous.expose().as_bytes())?;
    }
    let settings = IdentityConfig {
        access_ttl: config.access_ttl,
        refresh_ttl: config.refresh_ttl,
        session_ttl: config.session_ttl,
        admin_session_ttl: config.admin_session_ttl,
        open_registration: config.open_registration,
        access: config.access,
    };
    let (users, keys) = (stores.identity.clone(), stores.api_keys.clone());
    let data = UserData {
        tasks: stores.tasks.clone(),
        schedules: stores.schedules.clone(),
        conversations: stores.conversations.clone(),
        documents: stores.documents.clone(),
    };
    Ok(Identity::new(users, keys, hasher, Arc::new(signer), clock, settings).with_data(data))
}

/// Returns the security settings of the API.
fn protection(config: &Config, shared: &SharedParts, clock: &Arc<dyn Clock>) -> SecuritySettings {
    let limits = config.rate_limits.map(|limits| RateLimits {
        sign_in: shared.limiter("sign-in", limits.sign_in, clock),
        calls: shared.limiter("calls", limits.calls, clock),
    });
    SecuritySettings {
        rate_limits: limits,
        trusted_proxies: config.trusted_proxies.clone(),
        cors_origins: config.cors_origins.clone(),
        listen: Some(config.listen.ip()),
        request_timeout: config.request_timeout,
        body_timeout: config.body_timeout,
        body_memory: config.body_memory,
        streams_per_user: config.streams_per_user,
    }
}

/// Creates the first admin, unless the username is taken.
async fn first_admin(identity: &Identity, admin: &FirstAdmin) -> Result<()> {
    let new = NewUser {
        username: admin.username.clone(),
        email: admin.email.clone(),
        password: admin.password.expose().to_owned(),
    };
    identity.ensure_admin(new).await.map_err(|e| match e.field() {
        Some("username") => e.with_field("ADMIN_USERNAME"),
        Some("email") => e.with_field("ADMIN_EMAIL"),
        Some("password") => e.with_field("ADMIN_PASSWORD"),
        _ => e,
    })
}

/// Returns every built-in metric source.
pub fn metric_sources() -> Vec<Arc<dyn MetricSource>> {
    metrics::all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;
    use std::os::unix::fs::PermissionsExt;
    use sutazai_core::ports::SystemClock;

    async fn open(folder: &Path, more: &[(&str, &str)]) -> Result<Service> {
        let database = format!("sqlite://{}/sutazai.db", folder.display());
        let settings = [&[("DATABASE_URL", database.as_str())], more].concat();
        let environment = settings.into_iter().map(|(name, value)| (name.into(), value.into()));
        Service::open(&Layers::read(environment, None, &[]).check().unwrap()).await
    }

    #[tokio::test]
    async fn first_admin_exists_after_the_start_and_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let begin = [
            ("ADMIN_USERNAME", "root_1"),
            ("ADMIN_PASSWORD", "correct horse battery"),
            ("ARGON2_MEMORY_KIB", "8192"),
            ("ARGON2_ITERATIONS", "3"),
        ];
        let identity = open(folder.path(), &begin).await.unwrap().identity.unwrap();
        let user = identity.login("root_1", "correct horse battery", None).await.unwrap().user;
        assert_eq!((user.role.as_str(), user.email.as_str()), ("admin", "root_1@localhost"));
        assert!(user.password_hash.starts_with("$argon2id$v=19$m=8192,t=3,p=1$"), "{}", user.password_hash);
        let again = [("ADMIN_USERNAME", "root_1"), ("ADMIN_PASSWORD", "another good password")];
        let identity = open(folder.path(), &again).await.unwrap().identity.unwrap();
        identity.login("root_1", "correct horse battery", None).await.unwrap();
        for (setting, settings) in [
            ("ADMIN_PASSWORD", [("ADMIN_USERNAME", "root_2"), ("ADMIN_PASSWORD", "password1")]),
            ("ADMIN_USERNAME", [("ADMIN_USERNAME", "a b"), ("ADMIN_PASSWORD", "correct horse battery")]),
        ] {
            assert_eq!(open(folder.path(), &settings).await.unwrap_err().field(), Some(setting));
        }
    }

    #[tokio::test]
    async fn limit_of_an_unknown_agent_names_the_setting() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), &[("AGENT_CONCURRENCY", "hardware-optimizer=2")]).await.unwrap();
        let error = open(folder.path(), &[("AGENT_CONCURRENCY", "hardware-optimiser=2")]).await.unwrap_err();
        assert_eq!(error.field(), Some("AGENT_CONCURRENCY"), "{error}");
        assert!(error.to_string().contains("hardware-optimizer"), "{error}");
    }

    #[cfg(all(feature = "ollama", feature = "openai"))]
    #[tokio::test]
    async fn silent_model_server_times_out_after_the_configured_time() {
        use sutazai_core::ports::ModelBackend;

        // The kernel accepts the connection; nothing responds.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        for backend in [format!("openai=http://{address}/v1"), format!("ollama=http://{address}")] {
            let settings = [("MODEL_BACKENDS", backend.as_str()), ("MODEL_IDLE_TIMEOUT_SECONDS", "1")];
            let environment = settings.into_iter().map(|(name, value)| (name.into(), value.into()));
            let config = Layers::read(environment, None, &[]).check().unwrap();
            let models = models(&config, Arc::new(SystemClock)).await.unwrap().unwrap();
            let begun = std::time::Instant::now();
            let e = models.embed(Some("small".to_owned()), &["a".to_owned()]).await.unwrap_err();
            let took = begun.elapsed();
            assert!(e.to_string().contains("sent no data for 1s"), "{backend}: {e}");
            assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(60), "{backend}: {took:?}");
        }
    }

    #[tokio::test]
    async fn key_file_readable_by_others_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), &[]).await.unwrap();
        let key = folder.path().join("jwt_secret_key");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let e = open(folder.path(), &[]).await.unwrap_err();
        assert_eq!(e.field(), Some("JWT_SECRET_KEY"), "{e}");
        assert!(e.to_string().contains(&format!("run `chmod 600 {}`", key.display())), "{e}");
        let elsewhere = folder.path().join("elsewhere");
        std::fs::rename(&key, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &key).unwrap();
        let e = open(folder.path(), &[]).await.unwrap_err();
        assert!(e.to_string().contains("is a symbolic link"), "{e}");
    }

    #[tokio::test]
    async fn tokens_of_the_previous_key_are_taken_after_a_change_of_keys() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = ("7f3a91c04be2d8561e9fa07c3b5d2846", "c81d5e3f97a204b66b0e8d1f2a9c7345");
        let admin = [("ADMIN_USERNAME", "root_1"), ("ADMIN_PASSWORD", "correct horse battery")];
        let before = [&admin[..], &[("JWT_SECRET_KEY", old)]].concat();
        let identity = open(folder.path(), &before).await.unwrap().identity.unwrap();
        let token = identity.login("root_1", "correct horse battery", None).await.unwrap().access_token;
        let after = [("JWT_SECRET_KEY", new)];
        let during = [&after[..], &[("JWT_PREVIOUS_SECRET_KEY", old)]].concat();
        for (settings, good) in [(&during[..], true), (&after[..], false)] {
            let identity = open(folder.path(), settings).await.unwrap().identity.unwrap();
            assert_eq!(identity.authenticate(&token).is_ok(), good);
        }
    }
}
