//! Engine in this process: its parts, and how it is opened and closed.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use sutazai::chat::Chat;
use sutazai::config::{Config, Layers, ModelProgram};
use sutazai::documents::Documents;
use sutazai::engine::{Engine, EngineBuilder};
use sutazai::external::CancellationToken;
use sutazai::memory::{
    MemoryAgentStore, MemoryApiKeyStore, MemoryConversationStore, MemoryDocumentStore, MemoryIdentityStore,
    MemoryMetricStore, MemoryScheduleStore, MemoryTaskStore,
};
use sutazai::ports::{ModelBackend, SystemClock};
use sutazai::setup::{self, Worker};
use sutazai::store::Stores;
use sutazai::{Error, Result};

use crate::agent::{AgentQueues, Declaration, PythonAgent};
use crate::agent_call::RunningCalls;
use crate::ended::{EndedTasks, EndedWaiter};
use crate::watches::Watches;

/// Address of stores that end with the engine.
const MEMORY: &str = ":memory:";

/// Command line that runs a model in a child process.
#[derive(Debug, Deserialize)]
struct ModelCommand {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl From<ModelCommand> for ModelProgram {
    fn from(command: ModelCommand) -> Self {
        let ModelCommand { program, arguments, environment } = command;
        Self::Command { program, arguments, environment }
    }
}

/// Options of an engine or an analysis, as Python sends them.
#[derive(Debug, Deserialize)]
pub(crate) struct Options {
    database: Option<String>,
    settings: BTreeMap<String, String>,
    reads_environment: bool,
    model_program: ModelCommand,
    #[serde(default)]
    agents: Vec<Declaration>,
    #[serde(default)]
    workers: Option<usize>,
    #[serde(default)]
    lease: Option<f64>,
    #[serde(default)]
    shutdown_grace: Option<f64>,
}

impl Options {
    /// Reads options from their JSON.
    ///
    /// # Errors
    /// `InvalidInput` saying what does not fit.
    pub(crate) fn read(json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json).map_err(|e| Error::invalid("options", e.to_string()))
    }

    /// Returns the configuration of a process of workers: the environment, and over it the settings of the program.
    ///
    /// # Errors
    /// `InvalidInput` naming the first invalid setting.
    pub(crate) fn config(&mut self) -> Result<Config> {
        let mut variables: HashMap<OsString, OsString> = HashMap::new();
        if self.reads_environment {
            variables.extend(std::env::vars_os());
        }
        let settings = std::mem::take(&mut self.settings);
        variables.extend(settings.into_iter().map(|(name, value)| (name.into(), value.into())));
        if let Some(database) = self.database.as_ref().filter(|database| *database != MEMORY) {
            variables.insert("DATABASE_URL".into(), database.into());
        }
        let layers = Layers::read(variables, None, &[]);
        let mut config = layers.check_worker().map_err(|mut problems| problems.swap_remove(0))?;
        let command = &self.model_program;
        config.model_program.get_or_insert_with(|| ModelProgram::Command {
            program: command.program.clone(),
            arguments: command.arguments.clone(),
            environment: command.environment.clone(),
        });
        Ok(config)
    }
}

/// Opened engine with the state of its callers.
#[derive(Debug)]
pub(crate) struct Local {
    worker: Worker,
    pub(crate) chat: Chat,
    pub(crate) documents: Documents,
    pub(crate) ended: EndedTasks,
    /// Runs of agents that use models.
    pub(crate) running: RunningCalls,
    pub(crate) watches: Watches<EndedWaiter>,
    /// Cancelled once the engine has shut down; no request waits longer.
    pub(crate) closed: CancellationToken,
}

impl Local {
    /// Opens the stores and starts the engine. A model that is given replaces those of the configuration.
    ///
    /// # Errors
    /// `InvalidInput` naming the setting or the agent, or `Unavailable` naming the service that cannot be reached.
    pub(crate) async fn open(
        options: &[u8],
        queues: AgentQueues,
        model: Option<Arc<dyn ModelBackend>>,
    ) -> Result<Self> {
        let mut options = Options::read(options)?;
        let config = options.config()?;
        let workers = options.workers.unwrap_or(config.workers);
        let lease = options.lease.map_or(Ok(config.lease), seconds)?;
        let grace = options.shutdown_grace.map_or(Ok(config.shutdown_grace), seconds)?;
        let agents = std::mem::take(&mut options.agents)
            .into_iter()
            .map(|declaration| PythonAgent::new(declaration, &queues))
            .collect::<Result<Vec<_>>>()?;
        let ended = EndedTasks::default();
        let follower = ended.clone();
        let more = |builder: EngineBuilder| {
            let builder = builder.workers(workers).lease(lease).shutdown_grace(grace);
            let builder = agents.into_iter().fold(builder, EngineBuilder::agent);
            let builder = match model {
                Some(model) => builder.model(model),
                None => builder,
            };
            builder.background("ends of tasks", |engine, stop| follower.run(engine, stop))
        };
        let stores = match options.database.as_deref() {
            Some(MEMORY) => memory(),
            _ => setup::stores(&config).await?,
        };
        let (conversations, documents) = (stores.conversations.clone(), stores.documents.clone());
        let documents = Documents::new(documents, stores.clock.clone());
        let worker = Worker::open_over(&config, stores, more).await?;
        worker.start().await?;
        Ok(Self {
            chat: Chat::new(conversations, worker.engine().clone()),
            documents,
            worker,
            ended,
            running: queues.running,
            watches: Watches::default(),
            closed: CancellationToken::new(),
        })
    }

    /// Returns the engine that runs the tasks.
    pub(crate) fn engine(&self) -> &Engine {
        self.worker.engine()
    }

    /// Shuts the engine down and releases all requests that wait.
    ///
    /// # Errors
    /// Those of [`Engine::shutdown`].
    pub(crate) async fn close(&self, grace: Option<f64>) -> Result<()> {
        let outcome = match grace.map(seconds).transpose()? {
            Some(grace) => self.engine().shutdown_within(grace).await,
            None => self.engine().shutdown().await,
        };
        self.closed.cancel();
        self.watches.clear();
        outcome
    }
}

/// Converts seconds, as Python sends them.
///
/// # Errors
/// `InvalidInput` for a negative or infinite number.
pub(crate) fn seconds(seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| Error::invalid("seconds", format!("expected a duration of at least 0 s, got {seconds}")))
}

/// Returns stores that end with the engine.
fn memory() -> Stores {
    let tasks = Arc::new(MemoryTaskStore::new());
    Stores {
        relays: tasks.relays(),
        tasks,
        identity: Arc::new(MemoryIdentityStore::new()),
        api_keys: Arc::new(MemoryApiKeyStore::new()),
        conversations: Arc::new(MemoryConversationStore::new()),
        documents: Arc::new(MemoryDocumentStore::new()),
        schedules: Arc::new(MemoryScheduleStore::new()),
        metrics: Arc::new(MemoryMetricStore::new()),
        agents: Arc::new(MemoryAgentStore::new()),
        clock: Arc::new(SystemClock),
    }
}
