//! Log lines on standard error, for people or as JSON; with colours on a terminal only.

use std::io::stderr;

use sutazai::config::{Config, LogFormat};
use sutazai_core::{Error, Result};
use tracing_subscriber::fmt::format::{JsonFields, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::json_lines::JsonLines;

/// Starts logging at the configured level, or at `quiet` where the operator has set none; `spans` is what else is done
/// with spans.
///
/// # Errors
/// `InvalidInput` naming `LOG_LEVEL`.
pub(crate) fn start(
    config: &Config,
    quiet: &str,
    spans: Option<Box<dyn Layer<Registry> + Send + Sync>>,
) -> Result<()> {
    let filter = filter(config.log_level.as_deref().unwrap_or(quiet))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr);
    let subscriber = tracing_subscriber::registry().with(spans);
    match config.log_format {
        LogFormat::Json => {
            let format = JsonLines::new(&config.service_name);
            let lines = lines.fmt_fields(JsonFields::new()).event_format(format);
            subscriber.with(lines.with_filter(filter)).init();
        }
        LogFormat::Text => {
            // Fields with a dot in their name are for traces: people would not see the line for them.
            let fields = debug_fn(|writer, field, value| match field.name() {
                "message" => write!(writer, "{value:?}"),
                name if name.contains('.') => Ok(()),
                name => write!(writer, " {name}={value:?}"),
            });
            let lines = lines.fmt_fields(fields).with_ansi(console::colors_enabled_stderr());
            subscriber.with(lines.with_filter(filter)).init();
        }
    }
    Ok(())
}

/// Which lines `level` lets through.
///
/// # Errors
/// `InvalidInput` naming `LOG_LEVEL`.
pub(crate) fn filter(level: &str) -> Result<EnvFilter> {
    EnvFilter::try_new(level).map_err(|e| {
        Error::invalid(
            "LOG_LEVEL",
            format!("expected a level or a filter such as info,sutazai=debug, got {level:?} ({e})"),
        )
    })
}
