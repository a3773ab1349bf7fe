//! `sutazai serve`: runs the HTTP server with its workers and the metric history.

use std::process::ExitCode;

use sutazai::http;
use sutazai::http::TrustedProxies;
use sutazai::setup::Service;
use sutazai_core::{Error, Result};
use tokio::net::TcpListener;

use super::arguments::{Serve, SettingFlags};
use super::private_memory;
use super::service::{Observed, asked_to_stop};

/// Serves until SIGTERM or SIGINT, then completes or releases the running tasks.
pub(crate) async fn run(settings: &SettingFlags, command: &Serve) -> Result<ExitCode> {
    let config = settings.load(&[
        ("LISTEN", command.listen.clone()),
        ("WORKERS", command.workers.clone()),
        ("LOG_FORMAT", command.log_format.clone()),
    ])?;
    let observed = Observed::start(&config)?;
    private_memory::keep_private();
    config.server.check()?;
    super::descriptors::make_room_for(config.server.max_connections);
    let service = Service::open_with(&config, |builder| observed.traced(builder)).await?;
    let listener = TcpListener::bind(config.listen).await.map_err(|e| {
        Error::unavailable(format!("cannot listen on {}: {e}", config.listen)).with_field("LISTEN")
    })?;
    service.start();
    let tls = config.server.tls.is_some();
    if !tls && !config.listen.ip().is_loopback() && config.trusted_proxies == TrustedProxies::default() {
        tracing::warn!(
            address = %config.listen,
            "plain HTTP on an address that other machines reach: set TLS_CERT and TLS_KEY, or TRUSTED_PROXIES"
        );
    }
    tracing::info!(address = %config.listen, tls, workers = config.workers, auth = config.enable_auth, "server listening");
    http::serve_with(&config.server, listener, http::router(service.app()), asked_to_stop()?).await?;
    tracing::info!(held = service.engine().held(), "server stopping");
    service.shutdown(config.shutdown_grace).await;
    observed.end().await;
    Ok(ExitCode::SUCCESS)
}
