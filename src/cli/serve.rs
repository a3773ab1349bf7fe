//! `sutazai serve`: the HTTP server with its workers and the metric history.

use std::process::ExitCode;
use std::time::Duration;

use sutazai::http;
use sutazai::setup::Service;
use sutazai_core::{Error, Result};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::arguments::{Serve, SettingFlags};

/// How long running tasks get at the end before they are handed back.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or SIGINT, then finishes or hands back what runs.
pub(crate) async fn run(settings: &SettingFlags, command: &Serve) -> Result<ExitCode> {
    let config = settings.load(&[
        ("LISTEN", command.listen.clone()),
        ("WORKERS", command.workers.clone()),
        ("LOG_FORMAT", command.log_format.clone()),
    ])?;
    super::logging::start(&config, "info")?;
    config.server.check()?;
    super::descriptors::make_room_for(config.server.max_connections);
    let service = Service::open(&config).await?;
    let listener = TcpListener::bind(config.listen).await.map_err(|e| {
        Error::unavailable(format!("cannot listen on {}: {e}", config.listen)).with_field("LISTEN")
    })?;
    service.start();
    let tls = config.server.tls.is_some();
    tracing::info!(address = %config.listen, tls, workers = config.workers, auth = config.enable_auth, "listening");
    http::serve_with(&config.server, listener, http::router(service.app()), asked_to_stop()?).await?;
    tracing::info!("stopping");
    service.shutdown(GRACE).await;
    Ok(ExitCode::SUCCESS)
}

/// Ends at the first SIGTERM or SIGINT.
fn asked_to_stop() -> Result<impl Future<Output = ()> + Send + 'static> {
    let listen = |kind| signal(kind).map_err(|e| Error::internal("cannot listen for signals").with_source(e));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
