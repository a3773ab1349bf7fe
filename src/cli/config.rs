//! `sutazai config`: the effective settings and their meaning.

use std::process::ExitCode;
use std::sync::Arc;

use sutazai::adapter::{Group, check_shared, markdown};
use sutazai::config::Config;
use sutazai::{setup, store};
use sutazai_core::ports::SystemClock;
use sutazai_core::{Error, Result};

use super::arguments::{ConfigCommand, SettingFlags, with_own_program};
use super::logging;
use super::output;
use super::printable::Printable;

/// Runs one of the subcommands.
pub(crate) async fn run(settings: &SettingFlags, command: &ConfigCommand) -> Result<ExitCode> {
    match command {
        ConfigCommand::Check => check(settings).await,
        ConfigCommand::Settings { markdown: true } => {
            output::line(format_args!("{}", markdown().trim_end())).map(|()| ExitCode::SUCCESS)
        }
        ConfigCommand::Settings { markdown: false } => list(),
    }
}

/// Prints every setting with its meaning, its values and its default.
fn list() -> Result<ExitCode> {
    for (index, group) in Group::ALL.into_iter().enumerate() {
        let gap = if index > 0 { "\n" } else { "" };
        output::line(format_args!("{gap}{}", group.title()))?;
        for setting in group.settings() {
            output::line(format_args!("  {}: {}", setting.name, setting.help))?;
            output::line(format_args!("      {}; default: {}", setting.expected(), setting.default_text()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints every setting with its value and origin, then every problem: of the settings, and of what they name.
async fn check(settings: &SettingFlags) -> Result<ExitCode> {
    let layers = settings.layers(&[]);
    for (name, value, origin) in layers.effective() {
        output::line(format_args!("{name:<28} {value}  ({origin})"))?;
    }
    for warning in layers.warnings() {
        eprintln!("sutazai: warning: {}", Printable(warning));
    }
    let problems = match layers.check() {
        Ok(config) => unusable(&with_own_program(config)).await,
        Err(problems) => problems,
    };
    match problems.as_slice() {
        [] => {
            output::line(format_args!("\nThe configuration is valid."))?;
            Ok(ExitCode::SUCCESS)
        }
        problems => {
            eprintln!();
            for problem in problems {
                eprintln!("sutazai: {}", Printable(problem));
            }
            Ok(ExitCode::from(2))
        }
    }
}

/// Returns the problems that only opening reveals, of well-formed settings: in the database, the log filter,
/// the model files and the certificates. Servers are not contacted, because they may be started later.
async fn unusable(config: &Config) -> Vec<Error> {
    let database = store::migrations::status(config.database_url.expose()).await.map(|_| ());
    let filter = config.log_level.as_deref().map_or(Ok(()), |level| logging::filter(level).map(|_| ()));
    let models = setup::models(config, Arc::new(SystemClock)).await.map(|_| ());
    let shared = check_shared(config);
    [database, filter, models, shared, config.server.connections.check()]
        .into_iter()
        .filter_map(Result::err)
        .collect()
}
