//! Start and shutdown of an engine: one handle owns the workers and every background loop.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use super::engine::Engine;
use crate::engine::background::{agent_liveness, retention};
use crate::engine::worker::in_flight::StopReason;
use crate::engine::worker::{claimer, heartbeat, outcome_writer};
use crate::error::{Error, Result};

impl Engine {
    /// Starts the workers, and each background loop whose parts the engine has:
    ///
    /// | loop | runs with |
    /// |---|---|
    /// | workers, renewal of leases, agent heartbeats | at least one worker |
    /// | schedules | a schedule store |
    /// | retention of tasks | a retention policy |
    /// | relay to the message bus | a message bus |
    /// | metric history | a metric store and a metric source |
    /// | poller of session revocations | an identity |
    /// | those of the embedder | [`EngineBuilder::background`](super::builder::EngineBuilder::background) |
    ///
    /// Has no effect when called again or after the shutdown.
    ///
    /// # Errors
    /// Those of the relay store, whose first start sets from which event on events are published. Nothing runs then.
    ///
    /// # Panics
    /// When it is called outside of a Tokio runtime.
    ///
    /// # Cancel safety
    /// If the future is dropped before it completes, nothing runs.
    pub async fn start(&self) -> Result<()> {
        let shared = &self.shared;
        let parts = &shared.parts;
        if shared.closing.is_cancelled() || shared.started.load(Ordering::SeqCst) {
            return Ok(());
        }
        if let Some(relay) = &parts.relay {
            relay.begin().await?;
        }
        if shared.started.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let stop = || shared.closing.child_token();
        if self.workers() > 0 {
            let (sender, receiver) = mpsc::channel(outcome_writer::CAPACITY);
            self.spawn("outcome writer", outcome_writer::run(shared.clone(), receiver));
            self.spawn("renewal of leases", heartbeat::run(shared.clone()));
            self.spawn("agent heartbeats", agent_liveness::record_heartbeats(shared.clone()));
            self.spawn("claimer", claimer::run(shared.clone(), sender));
        }
        if let Some(schedules) = self.schedules() {
            let stop = stop();
            self.spawn("schedules", async move { schedules.run(stop).await });
        }
        self.spawn("retention", retention::run(self.clone(), parts.retention, stop()));
        if let Some(relay) = parts.relay.clone() {
            let stop = stop();
            self.spawn("relay", async move { relay.run(stop).await });
        }
        if let Some(history) = parts.history.clone() {
            let (sources, stop) = (parts.metric_sources.clone(), stop());
            self.spawn("metric history", async move { history.run(&sources, stop).await });
        }
        #[cfg(feature = "identity")]
        if let Some(identity) = parts.identity.clone() {
            let stop = stop();
            self.spawn("revocation poller", async move { identity.follow_ended_sessions(stop).await });
        }
        let background =
            std::mem::take(&mut *shared.background.lock().unwrap_or_else(PoisonError::into_inner));
        for task in background {
            let (name, run) = task.into_parts();
            self.spawn(name, run(self.clone(), stop()));
        }
        Ok(())
    }

    /// Shuts down as [`shutdown_within`](Self::shutdown_within) does, with the grace of the builder.
    ///
    /// # Errors
    /// `Internal` naming the background loops that panicked.
    ///
    /// # Cancel safety
    /// That of [`shutdown_within`](Self::shutdown_within).
    pub async fn shutdown(&self) -> Result<()> {
        self.shutdown_within(self.shared.parts.shutdown_grace).await
    }

    /// Shuts down: stops claiming and every background loop, releases prefetched claims, gives running tasks `grace` to
    /// end, then cancels and releases them. Nothing of the engine runs any more when this returns.
    ///
    /// # Errors
    /// `Internal` naming the background loops that panicked.
    ///
    /// # Cancel safety
    /// A dropped future leaves an engine that claims nothing more and finishes its running tasks; another call
    /// continues the shutdown.
    pub async fn shutdown_within(&self, grace: Duration) -> Result<()> {
        let shared = &self.shared;
        shared.closing.cancel();
        let all = u32::try_from(shared.parts.workers).unwrap_or(u32::MAX);
        tokio::select! {
            _ = shared.slots.acquire_many(all) => {}
            () = shared.parts.clock.sleep(grace) => shared.in_flight.stop_all(StopReason::Shutdown),
        }
        // The outcome writer ends when the claimer and the last worker have dropped their senders.
        shared.tracker.close();
        shared.tracker.wait().await;
        let panicked = shared.panicked.lock().unwrap_or_else(PoisonError::into_inner);
        if panicked.is_empty() {
            return Ok(());
        }
        Err(Error::internal(format!("background loops panicked: {}", panicked.join(", "))))
    }
}
