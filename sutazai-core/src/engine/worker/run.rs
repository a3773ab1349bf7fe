//! Worker: runs the agent of one claim under its time limit, forwards its events and determines its outcome.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::field::Empty;
use tracing::{Span, error_span, info_span};

use super::attempt_metrics;
use super::heartbeat::time_to_stop;
use super::in_flight::{CancellationHandle, StopReason};
use super::retry;
use crate::domain::{
    Claim, ClaimKey, NewTask, Outcome, OutcomeRecord, Permission, Step, Task, TaskError, TaskId,
    TraceContext, Wait, later,
};
use crate::engine::events::buffer::EventBuffer;
use crate::engine::shared::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{AgentContext, EventSink};
use crate::trace;

/// Time limit for an agent to stop after its cancellation; then it is aborted.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Interval at which appending the last events of an ended attempt is retried.
const APPEND_RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Runs the claim and sends its outcome to the outcome writer, unless the claim was lost. All logs and records of the
/// attempt belong to the trace of the request that submitted the task.
///
/// A panic of the worker itself, outside of the agent, releases the claim locally: its lease is no longer renewed and
/// expires, which counts as a failure.
pub(crate) async fn run(
    shared: Arc<Shared>,
    outcomes: mpsc::Sender<OutcomeRecord>,
    claim: Claim,
    stop: CancellationHandle,
) {
    let held = HeldClaim::new(shared.clone(), claim.key());
    let place = claim.task.trace.clone().unwrap_or_else(TraceContext::generate);
    let (tracer, span) = (shared.parts.tracer.clone(), span_of(&claim.task, &place));
    let Some(record) = trace::run(tracer, span, place, perform(shared, claim, stop)).await else { return };
    match outcomes.send(record).await {
        Ok(()) => held.pass_on(),
        Err(_) => {
            tracing::error!(task = %held.key.task, "outcome writer stopped; task waits until its lease expires")
        }
    }
}

/// A claim whose lease is renewed. It is dropped from the in-flight claims unless its outcome was sent, for whatever
/// reason.
struct HeldClaim {
    shared: Arc<Shared>,
    key: ClaimKey,
    passed_on: bool,
}

impl HeldClaim {
    fn new(shared: Arc<Shared>, key: ClaimKey) -> Self {
        Self { shared, key, passed_on: false }
    }

    /// Passes the claim to the outcome writer, which removes it when the outcome is recorded.
    fn pass_on(mut self) {
        self.passed_on = true;
    }
}

impl Drop for HeldClaim {
    fn drop(&mut self) {
        if self.passed_on {
            return;
        }
        if std::thread::panicking() {
            let ClaimKey { task, attempt, .. } = self.key;
            tracing::error!(%task, attempt, "worker panicked; task waits until its lease expires");
        }
        self.shared.in_flight.remove(&self.key);
    }
}

/// Creates the span of an attempt. Fields without a dot are for log lines; those with one are for traces and follow
/// OpenTelemetry's semantic conventions for messaging. The level `ERROR` keeps the ids on log lines under every filter.
fn span_of(task: &Task, place: &TraceContext) -> Span {
    error_span!(
        "task",
        trace_id = place.id(),
        user_id = task.owner.map(display),
        task = %task.id,
        agent = task.agent,
        otel.name = format!("process {}", task.agent),
        otel.kind = "consumer",
        messaging.system = "sutazai",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = task.agent,
        messaging.message.id = %task.id,
        error.type = Empty,
    )
}

/// Runs the attempt; returns its outcome unless the claim was lost.
async fn perform(shared: Arc<Shared>, claim: Claim, stop: CancellationHandle) -> Option<OutcomeRecord> {
    let key = claim.key();
    let task = claim.task.clone();
    let unfinished = unfinished(&claim.children);
    let begun = shared.parts.clock.monotonic();
    let events = Arc::new(EventBuffer::default());
    let result = match stop.reason() {
        // The task was cancelled before the attempt started.
        Some(_) => Err(Error::cancelled("the task was asked to stop")),
        None => {
            let attempt = attempt(&shared, claim, &stop, events.clone());
            tokio::pin!(attempt);
            loop {
                tokio::select! {
                    biased;
                    result = &mut attempt => break result,
                    () = events.gathered(shared.parts.clock.as_ref()) => {}
                }
                // Outside of the `select!`: cancelling an append could lose its events.
                events.flush(shared.parts.events.as_ref(), &key).await;
            }
        }
    };
    if stop.reason() == Some(StopReason::Lost) {
        tracing::warn!(task = %key.task, attempt = key.attempt, "claim lost; outcome discarded");
        return None;
    }
    while !events.flush(shared.parts.events.as_ref(), &key).await && shared.in_flight.holds(&key) {
        shared.parts.clock.sleep(APPEND_RETRY_INTERVAL).await;
    }
    let result = result.and_then(|step| checked(&shared, &task, step));
    if let Err(e) = &result {
        Span::current().record("error.type", e.kind().as_str());
    }
    let outcome = outcome(&shared, (&task, unfinished), stop.reason(), result);
    let took = shared.parts.clock.monotonic().saturating_sub(begun);
    attempt_metrics::attempted(&task.agent, took);
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        attempt = key.attempt,
        status = attempt_metrics::status(&outcome).as_str(),
        milliseconds,
        "attempt ended"
    );
    Some(OutcomeRecord { claim: key, outcome })
}

/// Runs the agent in a spawned task, so that a panic ends this attempt only.
async fn attempt(
    shared: &Shared,
    claim: Claim,
    stop: &CancellationHandle,
    events: Arc<dyn EventSink>,
) -> Result<Step> {
    let key = claim.key();
    let agent = shared.parts.registry.agent(&claim.task.agent).ok_or_else(|| {
        Error::internal(format!("agent {} has a claimed task but is not registered here", claim.task.agent))
    })?;
    let limit = claim.task.timeout();
    let timed_out = stop.token().child_token();
    let named = agent.permissions(&claim.task.payload);
    let reads_metrics = named.contains(&Permission::ReadMetrics);
    let gate = shared.parts.model.as_ref().filter(|_| named.contains(&Permission::UseModels));
    let model = gate.map(|gate| gate.model_for_task(claim.task.owner));
    let context = AgentContext {
        task: claim.task,
        children: claim.children,
        model,
        metric_sources: if reads_metrics { shared.parts.metric_sources.clone() } else { Vec::new() },
        metric_store: shared.parts.metric_store.clone().filter(|_| reads_metrics),
        host: shared.parts.host.clone(),
        clock: shared.parts.clock.clone(),
        cancellation: timed_out.clone(),
        events,
    };
    let span = info_span!(
        "invoke_agent",
        otel.name = format!("invoke_agent {}", context.task.agent),
        gen_ai.operation.name = "invoke_agent",
        gen_ai.agent.name = context.task.agent,
    );
    let (tracer, place) = (shared.parts.tracer.clone(), trace::current());
    let mut run = tokio::spawn(async move {
        let place = place.unwrap_or_else(TraceContext::generate);
        trace::run(tracer, span, place, agent.run(&context)).await
    });
    let clock = &shared.parts.clock;
    let stopped = stop.token();
    let ended = tokio::select! {
        biased;
        ended = &mut run => return joined(&key, ended),
        () = stopped.cancelled() => Error::cancelled("the task was asked to stop"),
        () = clock.sleep(limit) => Error::timeout(format!("the attempt took longer than {} s", limit.as_secs())),
    };
    timed_out.cancel();
    // An attempt with a lost claim is stopped shortly before its lease expires and must have ended by then.
    let to_stop = match stop.reason() {
        Some(StopReason::Lost) => STOP_TIMEOUT.min(time_to_stop(shared.parts.lease)),
        _ => STOP_TIMEOUT,
    };
    tokio::select! {
        biased;
        finished = &mut run => match (ended.kind(), joined(&key, finished)) {
            // A result that an agent completed in spite of its cancellation is kept.
            (ErrorKind::Cancelled, Ok(step @ Step::Done(_))) => Ok(step),
            _ => Err(ended),
        },
        () = clock.sleep(to_stop) => {
            run.abort();
            tracing::warn!(task = %key.task, "agent aborted: it did not stop in time");
            Err(ended)
        }
    }
}

fn joined(key: &ClaimKey, ended: std::result::Result<Result<Step>, tokio::task::JoinError>) -> Result<Step> {
    ended.unwrap_or_else(|e| {
        tracing::error!(task = %key.task, attempt = key.attempt, error = %e, "agent panicked");
        Err(Error::internal("the agent panicked"))
    })
}

/// Returns the step, unless its result does not fit the output schema of the agent.
fn checked(shared: &Shared, task: &Task, step: Step) -> Result<Step> {
    if let Step::Done(result) = &step
        && let Err(e) = shared.parts.registry.check_result(&task.agent, result)
    {
        tracing::error!(error = %e, "result discarded: it does not fit the output schema");
        return Err(e);
    }
    Ok(step)
}

/// Returns the children that have not ended, each once.
fn unfinished(children: &[Task]) -> Vec<TaskId> {
    let mut unfinished = Vec::new();
    for child in children.iter().filter(|child| !child.status.has_ended()) {
        if !unfinished.contains(&child.id) {
            unfinished.push(child.id);
        }
    }
    unfinished
}

fn outcome(
    shared: &Shared,
    (task, unfinished): (&Task, Vec<TaskId>),
    stopped: Option<StopReason>,
    result: Result<Step>,
) -> Outcome {
    match (result, stopped) {
        (Ok(Step::Done(value)), _) => Outcome::Completed(value),
        (_, Some(StopReason::CancelRequested)) => Outcome::Cancelled,
        (_, Some(_)) => Outcome::Released,
        (Ok(Step::Wait { children, state, until }), None) => {
            if children.is_empty() && unfinished.is_empty() {
                let e = Error::invalid("children", "expected at least one task to wait for, got none");
                return failed(shared, task, &e);
            }
            match children_of(shared, task, children) {
                Ok(children) => Outcome::Wait(Wait { unfinished, children, until, state }),
                Err(e) => failed(shared, task, &e),
            }
        }
        (Err(e), None) => failed(shared, task, &e),
    }
}

fn children_of(shared: &Shared, task: &Task, children: Vec<NewTask>) -> Result<Vec<Task>> {
    let registry = &shared.parts.registry;
    // The submitter was checked for these permissions; by now they may have no session or account any more.
    let granted = registry.permissions(&task.agent, &task.payload)?;
    for child in &children {
        if let Some(missing) = registry.check(child)?.into_iter().find(|needed| !granted.contains(needed)) {
            let (parent, child) = (&task.agent, &child.agent);
            let why = format!("agent {parent} does not name {missing:?}, which its child {child} needs");
            return Err(Error::new(ErrorKind::Forbidden, why));
        }
    }
    let now = shared.parts.clock.now();
    children.iter().try_for_each(|child| child.validate_times(now))?;
    let child_of = |new| Task {
        trace: trace::current(),
        ..Task::pending(registry.complete(new), task.owner, Some(task.id), now)
    };
    Ok(children.into_iter().map(child_of).collect())
}

fn failed(shared: &Shared, task: &Task, error: &Error) -> Outcome {
    let failures = task.failures.saturating_add(1);
    let recorded = TaskError::from(error);
    if retry::may_help(error.kind()) && failures < task.max_attempts {
        let at = later(shared.parts.clock.now(), retry::wait(failures, error));
        Outcome::Retry { at, error: recorded }
    } else {
        Outcome::Failed(recorded)
    }
}
