//! Runs one model for the process that started it, and nothing else: the child of a
//! [`ModelLauncher`](sutazai_agent::models::ModelLauncher) for programs that cannot run it themselves.

use std::process::ExitCode;

fn main() -> ExitCode {
    sutazai_agent::models::run_model_process()
}
