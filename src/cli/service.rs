//! Common part of `serve` and `worker`: log lines, traces and the signal to stop.

use sutazai::config::Config;
#[cfg(feature = "otel")]
use sutazai::telemetry::Telemetry;
use sutazai_core::engine::EngineBuilder;
use sutazai_core::{Error, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Logging and tracing of a process, from its start to its end.
#[derive(Debug)]
pub(crate) struct Observed {
    #[cfg(feature = "otel")]
    telemetry: Option<Telemetry>,
}

impl Observed {
    /// Starts logging, and sending traces if a collector is configured.
    ///
    /// # Errors
    /// `InvalidInput` naming the setting.
    pub(crate) fn start(config: &Config) -> Result<Self> {
        #[cfg(feature = "otel")]
        let telemetry = {
            let endpoint = config.otlp_endpoint.as_deref();
            let start = |endpoint| Telemetry::start(endpoint, &config.service_name);
            endpoint.map(start).transpose()?
        };
        #[cfg(feature = "otel")]
        super::logging::start(config, "info", telemetry.as_ref().map(Telemetry::layer))?;
        #[cfg(not(feature = "otel"))]
        super::logging::start(config, "info", None)?;
        for warning in &config.warnings {
            tracing::warn!(%warning, "environment variable ignored");
        }
        Ok(Self {
            #[cfg(feature = "otel")]
            telemetry,
        })
    }

    /// Adds the tracer that records the engine's spans, if traces are sent.
    pub(crate) fn traced(&self, builder: EngineBuilder) -> EngineBuilder {
        #[cfg(feature = "otel")]
        if let Some(telemetry) = &self.telemetry {
            return builder.tracer(telemetry.tracer());
        }
        builder
    }

    /// Sends the remaining traces and stops.
    pub(crate) async fn end(self) {
        #[cfg(feature = "otel")]
        if let Some(telemetry) = self.telemetry {
            // Off the async threads: it waits for the collector.
            if let Ok(Err(e)) = tokio::task::spawn_blocking(move || telemetry.shutdown()).await {
                tracing::warn!(error = %e, "not all traces were sent");
            }
        }
    }
}

/// Completes at the first SIGTERM or SIGINT.
///
/// # Errors
/// `Internal` when signals cannot be listened for.
pub(crate) fn asked_to_stop() -> Result<impl Future<Output = ()> + Send + 'static> {
    let listen = |kind| signal(kind).map_err(|e| Error::internal("cannot listen for signals").with_source(e));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
