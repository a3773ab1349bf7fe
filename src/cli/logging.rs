//! Log lines on standard error, for people or as JSON; with colours on a terminal only.

use std::io::stderr;

use sutazai::config::{Config, LogFormat};
use sutazai_core::{Error, Result};
use tracing_subscriber::EnvFilter;

/// Starts logging at the configured level, or at `quiet` where the operator has set none.
///
/// # Errors
/// `InvalidInput` naming `LOG_LEVEL`.
pub(crate) fn start(config: &Config, quiet: &str) -> Result<()> {
    let filter = filter(config.log_level.as_deref().unwrap_or(quiet))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(console::colors_enabled_stderr());
    match config.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).init(),
        LogFormat::Text => lines.init(),
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
