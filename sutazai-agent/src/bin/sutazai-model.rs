//! Child process that runs one model for the process that started it.
//!
//! It is the child of a [`ModelLauncher`](sutazai_agent::models::ModelLauncher), for programs that cannot re-execute
//! themselves for that purpose.

use std::process::ExitCode;

fn main() -> ExitCode {
    sutazai_agent::models::run_model_process()
}
