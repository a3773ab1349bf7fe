//! Log lines on standard error, for people or as JSON.

use std::io::stderr;

use sutazai::config::{Config, LogFormat};
use tracing_subscriber::EnvFilter;

/// Starts logging at the configured level, or at `quiet` where the operator has set none.
pub(crate) fn start(config: &Config, quiet: &str) {
    let level = if config.log_level == "info" { quiet } else { &config.log_level };
    let filter = EnvFilter::try_new(level).unwrap_or_else(|e| {
        eprintln!("sutazai: LOG_LEVEL: {e}; using info");
        EnvFilter::new("info")
    });
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    match config.log_format {
        LogFormat::Json => lines.json().flatten_event(true).init(),
        LogFormat::Text => lines.init(),
    }
}
