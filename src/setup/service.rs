//! The server with its workers.

use std::path::PathBuf;
use std::sync::Arc;

use sutazai_core::Result;
use sutazai_core::chat::Chat;
use sutazai_core::documents::Documents;
use sutazai_core::engine::{Engine, EngineBuilder};
use sutazai_core::identity::Identity;
use sutazai_core::ports::Clock;
use sutazai_http::{App, Monitoring, RateLimits, SecuritySettings};
use sutazai_store::Stores;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::engine::{built, engine_builder};
use super::identity::{first_admin, identity};
use super::shared::SharedParts;
use super::{data_folder, stores};
use crate::config::Config;

/// Engine with its stores, models, metrics and identity, as configured.
///
/// # Examples
///
/// ```
/// use sutazai::config::Layers;
/// use sutazai::setup::Service;
///
/// # #[tokio::main]
/// # async fn main() -> sutazai::Result<()> {
/// let folder = tempfile::tempdir()?;
/// let database = format!("sqlite://{}/sutazai.db", folder.path().display());
/// let settings = [("DATABASE_URL".into(), database.into())];
/// let config = Layers::read(settings, None, &[]).check().map_err(|mut problems| problems.remove(0))?;
///
/// let service = Service::open(&config).await?;
/// service.start().await?;
/// // Nested into a router of your own, or served by `sutazai::http::serve`.
/// let router = sutazai::http::router(service.app());
/// service.shutdown().await
/// # }
/// ```
#[derive(Debug)]
pub struct Service {
    engine: Engine,
    security: SecuritySettings,
    chat: Chat,
    documents: Documents,
    monitoring: Option<Monitoring>,
    shared: SharedParts,
    data_folder: Option<PathBuf>,
    /// Identity of a service over an engine that was built without one.
    own_identity: Option<Identity>,
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
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn open_with(
        config: &Config,
        more: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Result<Self> {
        // First, because the parts that are opened below register metrics.
        let monitoring = config.server.enable_monitoring.then(|| monitoring(config)).transpose()?;
        let stores = stores(config).await?;
        let shared = SharedParts::open(config)?;
        let mut builder = engine_builder(config, &stores, &shared).await?;
        if let Some(identity) = configured_identity(config, &stores, &shared).await? {
            builder = builder.identity(identity);
        }
        if let Some(monitoring) = monitoring.clone() {
            builder = builder.background("upkeep of metrics", |engine, stop| async move {
                let clock = engine.clock();
                while stop.run_until_cancelled(clock.sleep(Monitoring::UPKEEP)).await.is_some() {
                    monitoring.upkeep();
                }
            });
        }
        let engine = built(more(builder))?;
        Ok(Self::assembled(config, stores, engine, shared, monitoring))
    }

    /// Creates a service over an engine that runs already, with the stores that it uses, and opens the identity of users
    /// in them. The service neither starts nor stops the engine; [`serve`](Self::serve) runs its own loops.
    ///
    /// # Errors
    /// `InvalidInput` naming the setting; `Unavailable` naming `JWT_SECRET_KEY` if no key is set and none can be kept next
    /// to the database.
    pub async fn over(config: &Config, stores: Stores, engine: Engine) -> Result<Self> {
        let monitoring = config.server.enable_monitoring.then(|| monitoring(config)).transpose()?;
        let shared = SharedParts::open(config)?;
        let own_identity = configured_identity(config, &stores, &shared).await?;
        Ok(Self { own_identity, ..Self::assembled(config, stores, engine, shared, monitoring) })
    }

    fn assembled(
        config: &Config,
        stores: Stores,
        engine: Engine,
        shared: SharedParts,
        monitoring: Option<Monitoring>,
    ) -> Self {
        let clock = stores.clock;
        let chat = Chat::new(stores.conversations, engine.clone())
            .max_conversations_per_user(config.quotas.conversations)
            .message_quota_per_user(config.quotas.messages);
        let documents =
            Documents::new(stores.documents, clock.clone()).quota_per_user(config.quotas.documents);
        let (security, data_folder) = (security(config, &shared, &clock), data_folder(config));
        Self { engine, security, chat, documents, monitoring, shared, data_folder, own_identity: None }
    }

    /// Returns the engine of the service.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns a new setup code, with which a caller creates the first admin; `None` if there is an admin, or if callers need
    /// not sign in.
    ///
    /// # Errors
    /// Those of the identity store.
    pub async fn begin_setup(&self) -> Result<Option<String>> {
        match self.own_identity.as_ref().or_else(|| self.engine.identity()) {
            Some(identity) => identity.begin_setup().await,
            None => Ok(None),
        }
    }

    /// Returns the parts that the HTTP server needs.
    pub fn app(&self) -> App {
        let mut app = App::new(self.engine.clone())
            .security(self.security.clone())
            .chat(self.chat.clone())
            .documents(self.documents.clone());
        if let Some(identity) = self.own_identity.clone() {
            app = app.authenticate_with(identity);
        }
        if let Some(monitoring) = self.monitoring.clone() {
            app = app.monitoring(monitoring);
        }
        if let Some(folder) = &self.data_folder {
            app = app.data_folder(folder);
        }
        self.shared.watched(app)
    }

    /// Serves a service over an engine that runs already, until the token is cancelled, as
    /// [`serve_with`](sutazai_http::serve_with) does.
    ///
    /// # Errors
    /// Those of [`serve_with`](sutazai_http::serve_with).
    pub async fn serve(&self, config: &Config, listener: TcpListener, stop: CancellationToken) -> Result<()> {
        // Ends with the server, whatever ends that.
        let loops = stop.child_token();
        let _ended = loops.clone().drop_guard();
        if let Some(identity) = self.own_identity.clone() {
            let stop = loops.clone();
            tokio::spawn(async move { identity.follow_ended_sessions(stop).await });
        }
        if let Some(monitoring) = self.monitoring.clone() {
            let clock = self.engine.clock();
            tokio::spawn(async move {
                while loops.run_until_cancelled(clock.sleep(Monitoring::UPKEEP)).await.is_some() {
                    monitoring.upkeep();
                }
            });
        }
        let router = sutazai_http::router(self.app());
        let stopped = stop.cancelled_owned();
        sutazai_http::serve_with(&config.server.connections, listener, router, stopped).await
    }

    /// Starts the workers and every background loop of the engine, and loads the default model.
    ///
    /// # Errors
    /// Those of [`Engine::start`].
    pub async fn start(&self) -> Result<()> {
        self.engine.start().await
    }

    /// Stops the service: running tasks get `SHUTDOWN_GRACE_SECONDS` to finish, then they are released.
    ///
    /// # Errors
    /// Those of [`Engine::shutdown`].
    pub async fn shutdown(&self) -> Result<()> {
        self.engine.shutdown().await
    }
}

/// Returns the identity of users if callers sign in, with the first admin if one is configured.
async fn configured_identity(
    config: &Config,
    stores: &Stores,
    shared: &SharedParts,
) -> Result<Option<Identity>> {
    if !config.server.enable_auth {
        return Ok(None);
    }
    let mut identity = identity(config, stores, stores.clock.clone())?;
    if let Some(cache) = shared.cache() {
        identity = identity.cache(cache);
    }
    if let Some(admin) = &config.accounts.first_admin {
        first_admin(&identity, admin).await?;
    }
    Ok(Some(identity))
}

/// Installs the metrics of this process, readable with the configured token.
fn monitoring(config: &Config) -> Result<Monitoring> {
    let monitoring = Monitoring::install()?;
    Ok(match &config.server.metrics_token {
        Some(token) => monitoring.token(token.expose()),
        None => monitoring,
    })
}

/// Returns the security settings of the API.
fn security(config: &Config, shared: &SharedParts, clock: &Arc<dyn Clock>) -> SecuritySettings {
    let limits = config.server.rate_limits.map(|limits| RateLimits {
        sign_in: shared.limiter("sign-in", limits.sign_in, clock),
        calls: shared.limiter("calls", limits.calls, clock),
    });
    SecuritySettings {
        rate_limits: limits,
        trusted_proxies: config.server.trusted_proxies.clone(),
        cors_origins: config.server.cors_origins.clone(),
        listen: Some(config.server.listen.ip()),
        request_timeout: config.server.request_timeout,
        body_timeout: config.server.body_timeout,
        body_memory: config.server.body_memory,
        streams_per_user: config.server.streams_per_user,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    #[cfg(all(feature = "ollama", feature = "openai"))]
    use std::time::Duration;

    use super::*;
    use crate::config::Layers;
    use crate::setup::Worker;

    async fn open(folder: &Path, more: &[(&str, &str)]) -> Result<Service> {
        let database = format!("sqlite://{}/sutazai.db", folder.display());
        let settings = [&[("DATABASE_URL", database.as_str())], more].concat();
        let environment = settings.into_iter().map(|(name, value)| (name.into(), value.into()));
        Service::open(&Layers::read(environment, None, &[]).check().unwrap()).await
    }

    impl Service {
        fn identity(&self) -> Identity {
            self.engine.identity().unwrap().clone()
        }
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
        let identity = open(folder.path(), &begin).await.unwrap().identity();
        let user = identity.login("root_1", "correct horse battery", None).await.unwrap().user;
        assert_eq!((user.role.as_str(), user.email.as_str()), ("admin", "root_1@localhost"));
        assert!(user.password_hash.starts_with("$argon2id$v=19$m=8192,t=3,p=1$"), "{}", user.password_hash);
        let again = [("ADMIN_USERNAME", "root_1"), ("ADMIN_PASSWORD", "another good password")];
        let identity = open(folder.path(), &again).await.unwrap().identity();
        identity.login("root_1", "correct horse battery", None).await.unwrap();
        for (setting, settings) in [
            ("ADMIN_PASSWORD", [("ADMIN_USERNAME", "root_2"), ("ADMIN_PASSWORD", "password1")]),
            ("ADMIN_USERNAME", [("ADMIN_USERNAME", "a b"), ("ADMIN_PASSWORD", "correct horse battery")]),
        ] {
            assert_eq!(open(folder.path(), &settings).await.unwrap_err().field(), Some(setting));
        }
    }

    #[tokio::test]
    async fn users_sign_in_to_an_engine_that_runs_already() {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}/sutazai.db", folder.path().display());
        let settings = [
            ("DATABASE_URL", database.as_str()),
            ("ADMIN_USERNAME", "root_1"),
            ("ADMIN_PASSWORD", "correct horse battery"),
        ];
        let environment = settings.into_iter().map(|(name, value)| (name.into(), value.into()));
        let config = Layers::read(environment, None, &[]).check().unwrap();
        let stores = stores(&config).await.unwrap();
        let worker = Worker::open_over(&config, stores.clone(), |builder| builder).await.unwrap();
        worker.start().await.unwrap();
        let service = Service::over(&config, stores, worker.engine().clone()).await.unwrap();
        assert!(worker.engine().identity().is_none());
        assert_eq!(service.begin_setup().await.unwrap(), None);

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v1", listener.local_addr().unwrap());
        let (stop, client) = (CancellationToken::new(), reqwest::Client::new());
        let stopped = stop.clone();
        let served = tokio::spawn(async move { service.serve(&config, listener, stopped).await });
        assert_eq!(client.get(format!("{url}/tasks")).send().await.unwrap().status(), 401);
        let user = serde_json::json!({ "login": "root_1", "password": "correct horse battery" });
        let signed_in = client.post(format!("{url}/auth/login")).json(&user).send().await.unwrap();
        let signed_in: serde_json::Value = signed_in.json().await.unwrap();
        let token = signed_in["data"]["access_token"].as_str().unwrap();
        let listed = client.get(format!("{url}/tasks")).bearer_auth(token).send().await.unwrap();
        assert_eq!(listed.status(), 200);
        drop(client);
        stop.cancel();
        served.await.unwrap().unwrap();
        worker.shutdown().await.unwrap();
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
        use sutazai_core::ports::{ModelBackend, SystemClock};

        use crate::setup::models;

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
        let identity = open(folder.path(), &before).await.unwrap().identity();
        let token = identity.login("root_1", "correct horse battery", None).await.unwrap().access_token;
        let after = [("JWT_SECRET_KEY", new)];
        let during = [&after[..], &[("JWT_PREVIOUS_SECRET_KEY", old)]].concat();
        for (settings, good) in [(&during[..], true), (&after[..], false)] {
            let identity = open(folder.path(), settings).await.unwrap().identity();
            assert_eq!(identity.authenticate(&token).is_ok(), good);
        }
    }
}
