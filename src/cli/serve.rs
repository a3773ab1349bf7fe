//! `sutazai serve`: runs the HTTP server with its workers and the metric history.

use std::process::ExitCode;

use sutazai::http;
use sutazai::http::TrustedProxies;
use sutazai::setup::Service;
use sutazai_core::{Error, Result};
use tokio::net::TcpListener;

use super::arguments::{Serve, SettingFlags};
use super::service::{Observed, asked_to_stop};
use super::{browser, first_run, private_memory};

/// Serves until SIGTERM or SIGINT, then completes or releases the running tasks.
pub(crate) async fn run(settings: &SettingFlags, command: &Serve) -> Result<ExitCode> {
    let config = settings.load(&[
        ("LISTEN", command.listen.clone()),
        ("WORKERS", command.workers.clone()),
        ("LOG_FORMAT", command.log_format.clone()),
    ])?;
    let observed = Observed::start(&config)?;
    private_memory::keep_private();
    config.server.connections.check()?;
    super::descriptors::make_room_for(config.server.connections.max_connections);
    let service = Service::open_with(&config, |builder| observed.traced(builder)).await?;
    let listener = TcpListener::bind(config.server.listen).await.map_err(|e| {
        Error::unavailable(format!("cannot listen on {}: {e}", config.server.listen)).with_field("LISTEN")
    })?;
    service.start().await?;
    let tls = config.server.connections.tls.is_some();
    if !tls
        && !config.server.listen.ip().is_loopback()
        && config.server.trusted_proxies == TrustedProxies::default()
    {
        tracing::warn!(
            address = %config.server.listen,
            "plain HTTP on an address that other machines reach: set TLS_CERT and TLS_KEY, or TRUSTED_PROXIES"
        );
    }
    let url = first_run::url(listener.local_addr().unwrap_or(config.server.listen), tls);
    if let Some(identity) = service.engine().identity() {
        first_run::show(identity, &url).await?;
    }
    if command.open {
        // Without the setup code: other users of this machine see the arguments of programs.
        browser::open(if http::has_ui() { format!("{url}/ui/") } else { format!("{url}/api/openapi.json") });
    }
    // Before the log says that the server listens, since whoever reads that may stop it.
    let stop = asked_to_stop()?;
    tracing::info!(address = %config.server.listen, tls, workers = config.workers, auth = config.server.enable_auth, "server listening");
    http::serve_with(&config.server.connections, listener, http::router(service.app()), stop).await?;
    tracing::info!(held = service.engine().held(), "server stopping");
    service.shutdown().await?;
    observed.end().await;
    Ok(ExitCode::SUCCESS)
}
