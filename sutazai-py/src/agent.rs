//! Agents in Python: each run is a call that Python fetches from a queue.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use sutazai::domain::{AgentDescriptor, Permission, Step, TaskDefaults};
use sutazai::external::async_trait;
use sutazai::ports::{Agent, AgentContext, Clock, SystemClock};
use sutazai::{Error, Result};

use crate::agent_call::{AgentCall, RunningCalls};
use crate::queue::{Item, Queue, Sender};

/// Time after which a thread that ignores its cancellation is interrupted.
const INTERRUPT_AFTER: Duration = Duration::from_secs(2);
/// Interval at which a coroutine that swallowed its cancellation is cancelled again.
const CANCEL_INTERVAL: Duration = Duration::from_secs(1);

/// Declaration of an agent, as Python sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct Declaration {
    name: String,
    description: String,
    capabilities: Vec<String>,
    input_schema: Value,
    output_schema: Option<Value>,
    defaults: TaskDefaults,
    is_async: bool,
    admin_only: bool,
    uses_model: bool,
}

/// Queues through which Python runs agents.
#[derive(Debug, Clone)]
pub(crate) struct AgentQueues {
    /// Queue of the threads that run functions.
    pub(crate) threads: Arc<Sender>,
    /// Queue of the thread that watches them.
    pub(crate) watcher: Arc<Sender>,
    /// Queue of the event loop that runs coroutines.
    pub(crate) event_loop: Option<Arc<Sender>>,
    /// Runs of agents that use models.
    pub(crate) running: RunningCalls,
}

impl AgentQueues {
    /// Returns the sending halves of these queues.
    pub(crate) fn new(threads: &Queue, watcher: &Queue, event_loop: Option<&Queue>) -> Self {
        Self {
            threads: threads.sender(),
            watcher: watcher.sender(),
            event_loop: event_loop.map(Queue::sender),
            running: RunningCalls::default(),
        }
    }
}

/// Agent that runs in Python.
#[derive(Debug)]
pub(crate) struct PythonAgent {
    descriptor: AgentDescriptor,
    permissions: Vec<Permission>,
    calls: Arc<Sender>,
    stops: Arc<Sender>,
    stop_after: Duration,
    /// Runs of agents that use models; `None` if this one does not.
    running: Option<RunningCalls>,
}

impl PythonAgent {
    /// Creates the agent of this declaration.
    ///
    /// # Errors
    /// `InvalidInput` if a coroutine has no event loop to run in.
    pub(crate) fn new(declaration: Declaration, queues: &AgentQueues) -> Result<Self> {
        let Declaration {
            name,
            description,
            capabilities,
            input_schema,
            output_schema,
            defaults,
            is_async,
            ..
        } = declaration;
        let mut permissions = vec![Permission::WriteTasks];
        permissions.extend(declaration.admin_only.then_some(Permission::Administer));
        permissions.extend(declaration.uses_model.then_some(Permission::UseModels));
        let running = declaration.uses_model.then(|| queues.running.clone());
        let missing = || Error::invalid("agents", format!("agent {name} needs an event loop, got none"));
        let (calls, stops, stop_after) = if is_async {
            let queue = queues.event_loop.clone().ok_or_else(missing)?;
            (queue.clone(), queue, Duration::ZERO)
        } else {
            (queues.threads.clone(), queues.watcher.clone(), INTERRUPT_AFTER)
        };
        let mut descriptor =
            AgentDescriptor::new(name, description).input_schema(input_schema).defaults(defaults);
        descriptor.output_schema = output_schema;
        if !capabilities.is_empty() {
            descriptor = descriptor.capabilities(capabilities);
        }
        Ok(Self { descriptor, permissions, calls, stops, stop_after, running })
    }
}

/// Tells the watcher when the engine drops a run that has not ended.
struct Abandonment<'a> {
    call: Option<Arc<AgentCall>>,
    stops: &'a Sender,
}

/// Entry of a run among those that may make requests of a model.
struct Entry<'a> {
    running: &'a RunningCalls,
    number: u64,
}

impl<'a> Entry<'a> {
    fn new(running: &'a RunningCalls, call: Arc<AgentCall>) -> Self {
        let number = call.number;
        running.insert(call);
        Self { running, number }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.running.remove(self.number);
    }
}

impl Drop for Abandonment<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            call.abandon();
            self.stops.push(Item::Abandoned(call.number));
        }
    }
}

#[async_trait]
impl Agent for PythonAgent {
    fn descriptor(&self) -> AgentDescriptor {
        self.descriptor.clone()
    }

    fn permissions(&self, _payload: &Value) -> Vec<Permission> {
        self.permissions.clone()
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        let (call, mut outcome) = AgentCall::new(context.clone());
        let number = call.number;
        let _entry = self.running.as_ref().map(|running| Entry::new(running, call.clone()));
        if !self.calls.push(Item::Call(call.clone())) {
            call.refuse();
        }
        let mut abandonment = Abandonment { call: Some(call), stops: &self.stops };
        let stopping = async {
            context.cancellation.cancelled().await;
            // In real time, whatever the clock of the engine is: user code runs in it.
            SystemClock.sleep(self.stop_after).await;
            // Repeated, because user code can swallow an exception.
            while self.stops.push(Item::Stop(number)) {
                SystemClock.sleep(CANCEL_INTERVAL).await;
            }
        };
        let ended = tokio::select! {
            ended = &mut outcome => ended,
            () = stopping => outcome.await,
        };
        abandonment.call = None;
        ended.unwrap_or_else(|e| Err(Error::internal("the call was dropped").with_source(e)))
    }
}
