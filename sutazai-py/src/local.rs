//! Engine in this process: its parts, and how it is opened and closed.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use sutazai::agent::models::ModelManager;
use sutazai::chat::Chat;
use sutazai::config::{Config, Layers, ModelProgram};
use sutazai::documents::Documents;
use sutazai::domain::Caller;
use sutazai::engine::{Engine, EngineBuilder};
use sutazai::external::CancellationToken;
use sutazai::memory::{
    MemoryAgentStore, MemoryApiKeyStore, MemoryConversationStore, MemoryDocumentStore, MemoryIdentityStore,
    MemoryMetricStore, MemoryScheduleStore, MemoryTaskStore,
};
use sutazai::ports::{Clock, ModelBackend, SystemClock};
use sutazai::setup::{self, Worker};
use sutazai::store::Stores;
use sutazai::{Error, Result};

use crate::agent::{AgentQueues, Declaration, PythonAgent};
use crate::agent_call::RunningCalls;
use crate::ended::{EndedTasks, EndedWaiter};
use crate::metric_source::{PythonMetricSource, SourceDeclaration};
use crate::model_backend::{BackendDeclaration, PythonModelBackend};
use crate::port_call::PortQueues;
use crate::server::{Servers, Variables};
use crate::watches::Watches;

/// Address of stores that end with the engine.
pub(crate) const MEMORY: &str = ":memory:";

/// Step of the clock of a test while its engine closes.
#[cfg(feature = "testing")]
const TEST_CLOCK_STEP: Duration = Duration::from_millis(20);

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
    model_backends: Vec<BackendDeclaration>,
    /// Indicates that the first model of the first backend is the default one.
    #[serde(default)]
    first_model_is_default: bool,
    #[serde(default)]
    metric_sources: Vec<SourceDeclaration>,
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

    /// Returns the settings: the environment, and over it the settings of the program.
    fn variables(&self) -> Variables {
        let mut variables: HashMap<OsString, OsString> = HashMap::new();
        if self.reads_environment {
            variables.extend(std::env::vars_os());
        }
        variables.extend(self.settings.iter().map(|(name, value)| (name.into(), value.into())));
        if let Some(database) = self.database.as_ref().filter(|database| *database != MEMORY) {
            variables.insert("DATABASE_URL".into(), database.into());
        }
        Variables(variables)
    }

    /// Returns the configuration of a process of workers.
    ///
    /// # Errors
    /// `InvalidInput` naming the first invalid setting.
    pub(crate) fn config(&self) -> Result<Config> {
        let layers = Layers::read(self.variables().0, None, &[]);
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

/// Queues through which Python serves an engine.
#[derive(Debug, Clone)]
pub(crate) struct Queues {
    /// Queues through which Python runs agents.
    pub(crate) agents: AgentQueues,
    /// Queues of model backends and metric sources.
    pub(crate) ports: PortQueues,
}

/// Parts that an engine of a test has in place of the usual ones.
#[derive(Debug, Default)]
pub(crate) struct TestParts {
    /// Model in place of the configured ones.
    pub(crate) model: Option<Arc<dyn ModelBackend>>,
    /// Clock of an engine in memory.
    #[cfg(feature = "testing")]
    pub(crate) clock: Option<Arc<sutazai::testing::ManualClock>>,
}

/// Opened engine with the state of its callers. Clones share everything but their caller.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    engine: Engine,
    /// Caller of the requests.
    pub(crate) caller: Caller,
    pub(crate) chat: Chat,
    pub(crate) documents: Documents,
    pub(crate) ended: EndedTasks,
    /// Runs of agents that use models.
    pub(crate) running: RunningCalls,
    pub(crate) watches: Arc<Watches<EndedWaiter>>,
    pub(crate) servers: Arc<Servers>,
    /// Queues of the agents, for those that are registered later.
    queues: AgentQueues,
    /// Cancelled once the engine has shut down; no request waits longer.
    pub(crate) closed: CancellationToken,
    #[cfg(feature = "testing")]
    test_clock: Option<Arc<sutazai::testing::ManualClock>>,
}

impl Local {
    /// Opens the stores and starts the engine.
    ///
    /// # Errors
    /// `InvalidInput` naming the setting or the agent, or `Unavailable` naming the service that cannot be reached.
    pub(crate) async fn open(options: &[u8], queues: Queues, mut test: TestParts) -> Result<Self> {
        let mut options = Options::read(options)?;
        let variables = options.variables();
        let mut config = options.config()?;
        let workers = options.workers.unwrap_or(config.workers);
        let lease = options.lease.map_or(Ok(config.lease), seconds)?;
        let grace = options.shutdown_grace.map_or(Ok(config.shutdown_grace), seconds)?;
        let agents = std::mem::take(&mut options.agents)
            .into_iter()
            .map(|declaration| PythonAgent::new(declaration, &queues.agents))
            .collect::<Result<Vec<_>>>()?;
        let sources = std::mem::take(&mut options.metric_sources)
            .into_iter()
            .map(|declaration| PythonMetricSource::new(declaration, &queues.ports))
            .collect::<Result<Vec<_>>>()?;
        let own_models = own_models(&mut options, &mut config, &queues.ports).await?;
        let test_model = test.model.take();
        let ended = EndedTasks::default();
        let follower = ended.clone();
        let more = |builder: EngineBuilder| {
            let builder = builder.workers(workers).lease(lease).shutdown_grace(grace);
            let builder = agents.into_iter().fold(builder, EngineBuilder::agent);
            let builder =
                sources.into_iter().fold(builder, |builder, source| builder.metric_source(Arc::new(source)));
            let builder = match (test_model, own_models) {
                (Some(model), _) => builder.model(model),
                (None, Some(models)) => setup::with_models(builder, models),
                (None, None) => builder,
            };
            builder.background("ends of tasks", |engine, stop| follower.run(engine, stop))
        };
        let stores = match options.database.as_deref() {
            Some(MEMORY) => memory(&test),
            _ => setup::stores(&config).await?,
        };
        let servers = Servers::new(variables, stores.clone(), options.database.as_deref() == Some(MEMORY));
        let (conversations, documents) = (stores.conversations.clone(), stores.documents.clone());
        let documents = Documents::new(documents, stores.clock.clone());
        let worker = Worker::open_over(&config, stores, more).await?;
        worker.start().await?;
        let engine = worker.engine().clone();
        Ok(Self {
            chat: Chat::new(conversations, engine.clone()),
            documents,
            engine,
            caller: Caller::System,
            ended,
            running: queues.agents.running.clone(),
            watches: Arc::default(),
            servers: Arc::new(servers),
            queues: queues.agents,
            closed: CancellationToken::new(),
            #[cfg(feature = "testing")]
            test_clock: test.clock,
        })
    }

    /// Returns this engine for the requests of another caller.
    pub(crate) fn of(&self, caller: Caller) -> Self {
        Self { caller, ..self.clone() }
    }

    /// Returns the engine that runs the tasks.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Adds an agent, or replaces the one with its name.
    ///
    /// # Errors
    /// `InvalidInput` if its name is not in kebab case, or if a schema is invalid.
    pub(crate) fn register(&self, declaration: Declaration) -> Result<()> {
        self.engine().register(PythonAgent::new(declaration, &self.queues)?)
    }

    /// Shuts the engine down and releases all requests that wait.
    ///
    /// # Errors
    /// Those of [`Engine::shutdown`].
    pub(crate) async fn close(&self, grace: Option<f64>) -> Result<()> {
        let grace = grace.map(seconds).transpose()?;
        self.servers.stop_all().await;
        let shutdown = async {
            match grace {
                Some(grace) => self.engine().shutdown_within(grace).await,
                None => self.engine().shutdown().await,
            }
        };
        #[cfg(feature = "testing")]
        let outcome = tokio::select! {
            outcome = shutdown => outcome,
            never = self.advance_test_clock() => match never {},
        };
        #[cfg(not(feature = "testing"))]
        let outcome = shutdown.await;
        self.closed.cancel();
        self.watches.clear();
        outcome
    }

    /// Advances the clock of a test with the time of the machine: the grace of a shutdown is measured by it, and would
    /// not end by itself.
    #[cfg(feature = "testing")]
    async fn advance_test_clock(&self) -> std::convert::Infallible {
        let Some(clock) = &self.test_clock else { return std::future::pending().await };
        loop {
            SystemClock.sleep(TEST_CLOCK_STEP).await;
            clock.advance(TEST_CLOCK_STEP);
        }
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

/// Returns the configured models with those of Python among them, if there are any of Python. The engine then has no
/// others.
async fn own_models(
    options: &mut Options,
    config: &mut Config,
    queues: &PortQueues,
) -> Result<Option<Arc<ModelManager>>> {
    let declarations = std::mem::take(&mut options.model_backends);
    if declarations.is_empty() {
        return Ok(None);
    }
    if options.first_model_is_default {
        config.default_model.clear();
    }
    let own = declarations
        .into_iter()
        .map(|declaration| {
            let position = declaration.position;
            let backend: Arc<dyn ModelBackend> = Arc::new(PythonModelBackend::new(declaration, queues)?);
            Ok((position, backend))
        })
        .collect::<Result<Vec<_>>>()?;
    // In real time, whatever the clock of the engine is: a failed request is repeated after a moment.
    let models = setup::models_with(config, Arc::new(SystemClock), own).await?;
    config.model_backends.clear();
    Ok(models)
}

/// Returns stores that end with the engine.
#[cfg_attr(not(feature = "testing"), expect(unused_variables))]
fn memory(test: &TestParts) -> Stores {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    #[cfg(feature = "testing")]
    let clock = test.clock.clone().map_or(clock, |clock| clock as _);
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
        clock,
    }
}
