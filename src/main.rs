//! The `sutazai` binary: parses the command line and runs one command.

mod cli;

use std::panic;
use std::process::ExitCode;

use clap::Parser;
use cli::arguments::{Cli, Command};
use mimalloc::MiMalloc;
use sutazai_core::{Error, Result};
use tokio::runtime::{Builder, Runtime};

/// Allocator of the process. A request allocates many small values on one thread and frees them on another, which is
/// slow with the allocator of the C library.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    #[cfg(feature = "llama-cpp-native")]
    if matches!(cli.command, Command::ModelProcess) {
        // This process only runs a model, so it needs no runtime.
        return sutazai::agent::models::run_model_process();
    }
    run(&cli)
}

fn run(cli: &Cli) -> ExitCode {
    let runtime = match &cli.command {
        // The analysis must work on a machine where no thread can be started.
        Command::Analyze(_) => Builder::new_current_thread().enable_all().build().map_err(no_runtime),
        _ => with_workers(),
    };
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return cli::exit::failed(&error),
    };
    let code = runtime.block_on(command(cli));
    // Does not wait for tasks that are blocked by a device or a mount that does not respond.
    runtime.shutdown_background();
    code
}

/// Builds a runtime with one thread per processor.
///
/// # Errors
/// `Unavailable` when the threads cannot be started.
fn with_workers() -> Result<Runtime> {
    // The library panics if a thread cannot be started; the error below replaces its message.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let built = panic::catch_unwind(|| Builder::new_multi_thread().enable_all().build());
    panic::set_hook(hook);
    match built {
        Ok(built) => built.map_err(no_runtime),
        Err(_) => Err(Error::unavailable(
            "no thread can be started: this user or this control group has reached its limit of processes and \
             threads (`ulimit -u`, `pids.max`)",
        )),
    }
}

fn no_runtime(e: std::io::Error) -> Error {
    Error::unavailable(format!("the runtime cannot be started: {e}")).with_source(e)
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
        Command::Openapi => cli::openapi::run(),
        Command::Admin(command) => cli::admin::run(settings, command).await,
        #[cfg(feature = "llama-cpp-native")]
        Command::ModelProcess => Ok(ExitCode::FAILURE),
    };
    ended.unwrap_or_else(|error| cli::exit::failed(&error))
}
