//! `sutazai analyze`: analyzes this machine directly, without a queue or a server.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use console::Term;
use sutazai::setup::LocalAnalysis;
use sutazai_core::domain::{Analysis, PriorityLevel};
use sutazai_core::ports::EventSink;
use sutazai_core::{Error, ErrorKind, Result};

use super::arguments::{Analyze, SettingFlags};
use super::output;
use super::progress::AgentProgress;
use super::report::{Look, render};

/// Analyzes the machine once, or repeatedly with `--watch`.
pub(crate) async fn run(settings: &SettingFlags, command: &Analyze) -> Result<ExitCode> {
    let config = settings.load(&[])?;
    super::logging::start(&config, "warn", None)?;
    let progress = Arc::new(AgentProgress::new());
    let look = LocalAnalysis::open(&config, !command.no_model, progress.clone()).await;
    progress.clear();
    let mut look = look?;
    let cancellation = look.context().cancellation.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cancellation.cancel();
        }
    });
    loop {
        let progress = Arc::new(AgentProgress::new());
        look.report_to(progress.clone() as Arc<dyn EventSink>);
        let analysis = look.run().await;
        progress.clear();
        let analysis = match analysis {
            Err(e) if e.kind() == ErrorKind::Cancelled && command.watch.is_some() => {
                return Ok(ExitCode::SUCCESS);
            }
            other => other?,
        };
        print(&analysis, command)?;
        let Some(seconds) = command.watch else {
            return Ok(if command.exit_code {
                level_code(analysis.priority_level)
            } else {
                ExitCode::SUCCESS
            });
        };
        tokio::select! {
            () = look.context().clock.sleep(Duration::from_secs(seconds)) => {}
            () = look.context().cancellation.cancelled() => return Ok(ExitCode::SUCCESS),
        }
    }
}

fn print(analysis: &Analysis, command: &Analyze) -> Result<()> {
    let terminal = Term::stdout();
    if command.json {
        return output::json(&serde_json::to_string(analysis).map_err(Error::json)?);
    }
    if command.watch.is_some() && terminal.is_term() {
        // If the terminal cannot be cleared, the output scrolls.
        let _ = terminal.clear_screen();
    }
    let width = if terminal.is_term() { usize::from(terminal.size().1).min(100) } else { 100 };
    output::write(format_args!("{}", render(analysis, Look { colours: console::colors_enabled(), width })))?;
    Ok(())
}

fn level_code(level: PriorityLevel) -> ExitCode {
    ExitCode::from(match level {
        PriorityLevel::Low => 0,
        PriorityLevel::Medium => 10,
        PriorityLevel::High => 11,
        PriorityLevel::Critical => 12,
    })
}
