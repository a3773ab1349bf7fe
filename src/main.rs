//! The `sutazai` binary: parses the command line and runs one command.

mod cli;

use std::process::ExitCode;

use clap::Parser;
use cli::arguments::{Cli, Command};
use mimalloc::MiMalloc;

/// A request is many small values that one thread makes and another drops, which the C library's allocator is slow with.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    #[cfg(feature = "llama-cpp-native")]
    if matches!(cli.command, Command::ModelProcess) {
        // Without a runtime: this process has nothing to do but to run a model.
        return sutazai::agent::models::run_model_process();
    }
    run(&cli)
}

#[tokio::main]
async fn run(cli: &Cli) -> ExitCode {
    let settings = &cli.settings;
    let ended = match &cli.command {
        Command::Analyze(command) => cli::analyze::run(settings, command).await,
        Command::Serve(command) => cli::serve::run(settings, command).await,
        Command::Worker(command) => cli::worker::run(settings, command).await,
        Command::Migrate(command) => cli::migrate::run(settings, command).await,
        Command::Models(command) => cli::models::run(settings, command).await,
        Command::Config(_) => cli::config::run(settings).await,
        Command::Admin(command) => cli::admin::run(settings, command).await,
        #[cfg(feature = "llama-cpp-native")]
        Command::ModelProcess => Ok(ExitCode::FAILURE),
    };
    ended.unwrap_or_else(|error| cli::exit::failed(&error))
}
