//! Progress bars on standard error while a command works; hidden when that is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use sutazai_core::domain::{EventKind, NewEvent};
use sutazai_core::ports::{EventSink, PullProgress};

use super::printable::printable;

/// Number of characters of the text that are shown: with the bar and the message, the line fits 80 columns.
const TAIL: usize = 24;

/// Progress of an agent and the text that its model writes, on one line.
#[derive(Debug)]
pub(crate) struct AgentProgress {
    bar: ProgressBar,
}

impl AgentProgress {
    /// Shows the line until [`clear`](Self::clear); hidden when standard error is no terminal.
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(100);
        bar.set_style(style("{spinner} {bar:16} {msg} {prefix:.dim}"));
        keep_moving(&bar);
        Self { bar }
    }

    /// Removes the line from the terminal.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl EventSink for AgentProgress {
    fn emit(&self, event: NewEvent) {
        match event.kind {
            EventKind::Progress { fraction, message, .. } => {
                self.bar.set_position((f64::from(fraction) * 100.0) as u64);
                self.bar.set_message(printable(&message));
                self.bar.set_prefix("");
            }
            EventKind::Text { text, .. } => {
                let written = format!("{}{}", self.bar.prefix(), printable(&text.replace('\n', " ")));
                let start = written.char_indices().rev().nth(TAIL - 1).map_or(0, |(at, _)| at);
                self.bar.set_prefix(written[start..].to_owned());
            }
            _ => {}
        }
    }
}

/// Progress of the measurement of a model.
pub(crate) struct CheckBar {
    bar: ProgressBar,
}

impl CheckBar {
    /// Shows a bar named after the model.
    pub(crate) fn new(model: &str) -> Self {
        let bar = ProgressBar::new(100);
        bar.set_style(style("{prefix} {bar:30} {percent:>3} % {msg}"));
        bar.set_prefix(printable(model));
        keep_moving(&bar);
        Self { bar }
    }

    /// Shows the completed share and the current measurement.
    pub(crate) fn show(&self, fraction: f32, what: &str) {
        self.bar.set_position((f64::from(fraction) * 100.0) as u64);
        self.bar.set_message(printable(what));
    }

    /// Removes the bar from the terminal.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Progress of the download of a model.
pub(crate) struct PullBar {
    bar: ProgressBar,
}

impl PullBar {
    /// Shows a bar named after the model.
    pub(crate) fn new(model: &str) -> Self {
        let bar = ProgressBar::no_length();
        bar.set_style(style("{prefix} {bar:30} {bytes}/{total_bytes} {msg}"));
        bar.set_prefix(printable(model));
        Self { bar }
    }

    /// Shows one progress report of the backend.
    pub(crate) fn show(&self, progress: &PullProgress) {
        if let Some(total) = progress.total_bytes {
            self.bar.set_length(total);
        }
        if let Some(completed) = progress.completed_bytes {
            self.bar.set_position(completed);
        }
        self.bar.set_message(printable(&progress.status));
    }

    /// Removes the bar from the terminal.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Redraws the bar 10 times a second on a thread of its own, if the bar is visible and a thread can be
/// started: the library panics otherwise.
fn keep_moving(bar: &ProgressBar) {
    if !bar.is_hidden() && std::thread::Builder::new().spawn(|| ()).is_ok() {
        bar.enable_steady_tick(Duration::from_millis(100));
    }
}

/// Parses a template; one that does not parse falls back to indicatif's default, which is never a reason to
/// stop.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use sutazai_core::testing::event_sink;

    use super::*;

    #[test]
    fn progress_line_conforms() {
        event_sink::run_all(AgentProgress::new, |_| Vec::new());
    }
}
