//! `sutazai serve`: the HTTP server with its workers and the metric history.

use std::process::ExitCode;
use std::time::Duration;

#[cfg(feature = "otel")]
use sutazai::config::Config;
use sutazai::http;
use sutazai::setup::Service;
#[cfg(feature = "otel")]
use sutazai::telemetry::Telemetry;
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
    #[cfg(feature = "otel")]
    let telemetry = telemetry(&config)?;
    #[cfg(feature = "otel")]
    super::logging::start(&config, "info", telemetry.as_ref().map(Telemetry::layer))?;
    #[cfg(not(feature = "otel"))]
    super::logging::start(&config, "info", None)?;
    config.server.check()?;
    super::descriptors::make_room_for(config.server.max_connections);
    let service = Service::open_with(&config, |builder| {
        #[cfg(feature = "otel")]
        if let Some(telemetry) = &telemetry {
            return builder.tracer(telemetry.tracer());
        }
        builder
    })
    .await?;
    let listener = TcpListener::bind(config.listen).await.map_err(|e| {
        Error::unavailable(format!("cannot listen on {}: {e}", config.listen)).with_field("LISTEN")
    })?;
    service.start();
    let tls = config.server.tls.is_some();
    tracing::info!(address = %config.listen, tls, workers = config.workers, auth = config.enable_auth, "listening");
    http::serve_with(&config.server, listener, http::router(service.app()), asked_to_stop()?).await?;
    tracing::info!("stopping");
    service.shutdown(GRACE).await;
    #[cfg(feature = "otel")]
    if let Some(telemetry) = telemetry {
        send_the_rest(telemetry).await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Traces, if they are to be sent anywhere.
#[cfg(feature = "otel")]
fn telemetry(config: &Config) -> Result<Option<Telemetry>> {
    config
        .otlp_endpoint
        .as_deref()
        .map(|endpoint| Telemetry::start(endpoint, &config.service_name))
        .transpose()
}

/// Off the async threads: it waits for the collector.
#[cfg(feature = "otel")]
async fn send_the_rest(telemetry: Telemetry) {
    if let Ok(Err(e)) = tokio::task::spawn_blocking(move || telemetry.shutdown()).await {
        tracing::warn!(error = %e, "not all traces were sent");
    }
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
