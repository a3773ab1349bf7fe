//! Analyzes this machine by rules alone and prints the report of `sutazai analyze`.
//!
//! It needs no store, server or model, so it compiles within the first minutes of a cold `make run`, while the
//! program with all of them is still being built.

use std::process::ExitCode;
use std::sync::Arc;

use console::Term;
use report::{Look, render};
use serde_json::json;
use sutazai_agent::agents::hardware_optimizer;
use sutazai_agent::metrics;
use sutazai_core::domain::{NewTask, Task};
use sutazai_core::ports::{AgentContext, Clock, SilentEventSink, SystemClock};

#[path = "../cli/printable.rs"]
mod printable;
#[path = "../cli/report.rs"]
mod report;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let new = NewTask::new("hardware-optimizer", json!({ "use_model": false }));
    let task = Task::pending(new, None, None, SystemClock.now());
    // The analysis takes less than a second, so its progress is not shown.
    let mut context = AgentContext::new(task, Arc::new(SystemClock), Arc::new(SilentEventSink));
    (context.metric_sources, context.host) = (metrics::all(), metrics::host_name());
    let analysis = match hardware_optimizer::analyze(&context).await {
        Ok(analysis) => analysis,
        Err(e) => {
            eprintln!("sutazai: {}", printable::Printable(e));
            return ExitCode::FAILURE;
        }
    };
    let width = usize::from(Term::stdout().size().1).clamp(40, 100);
    let text = render(&analysis, Look { colours: console::colors_enabled(), width });
    match Term::stdout().write_str(&text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
