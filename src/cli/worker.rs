//! `sutazai worker`: runs workers and the metric history, without a server.

use std::process::ExitCode;

use sutazai::setup::Worker;
use sutazai_core::Result;

use super::arguments::{SettingFlags, Work};
use super::private_memory;
use super::service::{Observed, asked_to_stop};

/// Runs tasks until SIGTERM or SIGINT, then completes or releases the running ones.
pub(crate) async fn run(settings: &SettingFlags, command: &Work) -> Result<ExitCode> {
    let config = settings
        .load_worker(&[("WORKERS", command.workers.clone()), ("LOG_FORMAT", command.log_format.clone())])?;
    let observed = Observed::start(&config)?;
    private_memory::keep_private();
    let worker = Worker::open_with(&config, |builder| observed.traced(builder)).await?;
    let stop = asked_to_stop()?;
    worker.start().await?;
    let engine = worker.engine();
    let agents: Vec<_> = engine.agents().into_iter().map(|agent| agent.name).collect();
    tracing::info!(
        worker = %engine.worker(),
        workers = config.workers,
        agents = agents.join(","),
        lease_seconds = config.lease.as_secs(),
        "worker started"
    );
    stop.await;
    tracing::info!(held = engine.held(), "worker stopping");
    worker.shutdown().await?;
    tracing::info!("worker stopped");
    observed.end().await;
    Ok(ExitCode::SUCCESS)
}
