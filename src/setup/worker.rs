//! Workers without a server.

use sutazai_core::Result;
use sutazai_core::engine::{Engine, EngineBuilder};
use sutazai_store::Stores;

use super::engine::{built, engine_builder};
use super::shared::SharedParts;
use super::stores;
use crate::config::Config;

/// Workers without a server, as `sutazai worker` runs them. They share their store with servers and other
/// workers, and run the tasks of the agents that they have.
///
/// # Examples
///
/// ```
/// use sutazai::config::Layers;
/// use sutazai::prelude::*;
/// use sutazai::setup::Worker;
///
/// async fn echo(input: Value, _: AgentContext) -> Result<Value> {
///     Ok(input)
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<()> {
/// let folder = tempfile::tempdir()?;
/// let database = format!("sqlite://{}/sutazai.db", folder.path().display());
/// let settings = [("DATABASE_URL".into(), database.into())];
/// let config = Layers::read(settings, None, &[]).check_worker().map_err(|mut problems| problems.remove(0))?;
///
/// let worker = Worker::open_with(&config, |builder| builder.agent(agent("echo", echo))).await?;
/// worker.start().await?;
/// let output: Value = worker.engine().submit("echo", json!({ "say": "hi" })).await?.output().await?;
/// assert_eq!(output, json!({ "say": "hi" }));
/// worker.shutdown().await
/// # }
/// ```
#[derive(Debug)]
pub struct Worker {
    engine: Engine,
}

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
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn open_with(
        config: &Config,
        more: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Result<Self> {
        Self::open_over(config, stores(config).await?, more).await
    }

    /// Opens workers as [`open_with`](Self::open_with) does, over these stores instead of those of `DATABASE_URL`.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), except those of the database.
    pub async fn open_over(
        config: &Config,
        stores: Stores,
        more: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Result<Self> {
        let shared = SharedParts::open(config)?;
        let builder = engine_builder(config, &stores, &shared).await?;
        Ok(Self { engine: built(more(builder))? })
    }

    /// Returns the engine of the workers.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Starts the workers and every background loop of the engine, and loads the default model.
    ///
    /// # Errors
    /// Those of [`Engine::start`].
    pub async fn start(&self) -> Result<()> {
        self.engine.start().await
    }

    /// Stops the workers: running tasks get `SHUTDOWN_GRACE_SECONDS` to finish, then they are released.
    ///
    /// # Errors
    /// Those of [`Engine::shutdown`].
    pub async fn shutdown(&self) -> Result<()> {
        self.engine.shutdown().await
    }
}
