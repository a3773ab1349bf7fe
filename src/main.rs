//! The `sutazai` binary: parses the command line and runs one command.

mod cli;

use std::panic;
use std::process::ExitCode;

use clap::Parser;
use cli::arguments::{Cli, Command};
use mimalloc::MiMalloc;
use sutazai_core::{Error, Result};
use tokio::runtime::{Builder, Runtime};

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

fn run(cli: &Cli) -> ExitCode {
    let runtime = match &cli.command {
        // It must come about on a machine on which no thread can be started, so it needs none.
        Command::Analyze(_) => Builder::new_current_thread().enable_all().build().map_err(no_runtime),
        _ => with_workers(),
    };
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return cli::exit::failed(&error),
    };
    let code = runtime.block_on(command(cli));
    // What still waits for a device or a mount that never answers is not waited for.
    runtime.shutdown_background();
    code
}

/// A runtime with a thread for each processor.
///
/// # Errors
/// `Unavailable` where the threads cannot be started.
fn with_workers() -> Result<Runtime> {
    // The library panics where a thread cannot be started; that is said in words of ours.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let built = panic::catch_unwind(|| Builder::new_multi_thread().enable_all().build());
    panic::set_hook(hook);
    match built {
        Ok(built) => built.map_err(no_runtime),
        Err(_) => Err(Error::unavailable(
            "no thread can be started: this user or this control group has as many processes and threads as it may \
             have (`ulimit -u`, `pids.max`)",
        )),
    }
}

fn no_runtime(e: std::io::Error) -> Error {
    Error::unavailable(format!("the process cannot begin to work: {e}")).with_source(e)
}

async fn command(cli: &Cli) -> ExitCode {
    let settings = &cli.settings;
    let ended = match &cli.command {
        Command::Analyze(command) => cli::analyze::run(settings, command).await,
        Command::Serve(command) => cli::serve::run(settings, command).await,
        Command::Worker(command) => cli::worker::run(settings, command).await,
        Command::Migrate(command) => cli::migrate::run(settings, command).await,
        Command::Models(command) => cli::models::run(settings, command).await,
        Command::Config(command) => cli::config::run(settings, command).await,
        Command::Admin(command) => cli::admin::run(settings, command).await,
        #[cfg(feature = "llama-cpp-native")]
        Command::ModelProcess => Ok(ExitCode::FAILURE),
    };
    ended.unwrap_or_else(|error| cli::exit::failed(&error))
}
