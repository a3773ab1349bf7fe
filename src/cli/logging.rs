//! Log lines on standard error, as text or JSON; colored only on a terminal.

use std::fmt::{self, Debug, Display, Write};
use std::io::stderr;

use sutazai::config::{Config, LogFormat};
use sutazai_core::{Error, Result};
use tracing_subscriber::fmt::format::{JsonFields, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::json_lines::JsonLines;
use super::printable::is_steering;

/// Starts logging at the configured level, or at `quiet` if none is configured. `spans` is an additional layer that
/// receives all spans, such as the exporter of traces.
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
            // Fields with a dot in their name are for traces: they would hide the message from a human reader.
            let fields = debug_fn(|writer, field, value| match field.name() {
                "message" => write!(writer, "{}", OneLine(value)),
                name if name.contains('.') => Ok(()),
                name => write!(writer, " {name}={}", OneLine(value)),
            });
            let lines = lines.fmt_fields(fields).with_ansi(console::colors_enabled_stderr());
            subscriber.with(lines.with_filter(filter)).init();
        }
    }
    Ok(())
}

/// Parses a log level or filter.
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

/// `Debug` form of a value on one line. Control characters, line breaks above all, are escaped, so that no value can
/// forge a log line.
struct OneLine<'v>(&'v dyn Debug);

impl Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{:?}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, steering)) = rest.char_indices().find(|(_, c)| is_steering(*c)) {
            write!(self.0, "{}{}", &rest[..at], steering.escape_default())?;
            rest = &rest[at + steering.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_cannot_forge_a_log_line() {
        let forged = format_args!("x\n2026-11-28T00:00:00Z  INFO forged\u{1b}[2J\u{202e}").to_string();
        let shown = OneLine(&format_args!("{forged}")).to_string();
        assert_eq!(shown, r"x\n2026-11-28T00:00:00Z  INFO forged\u{1b}[2J\u{202e}");
        assert_eq!(OneLine(&format_args!("grüezi \u{1f980}")).to_string(), "grüezi \u{1f980}");
    }
}
