//! `sutazai config check`.

use std::process::ExitCode;
use std::sync::Arc;

use sutazai::config::Config;
use sutazai::{setup, store};
use sutazai_core::ports::SystemClock;
use sutazai_core::{Error, Result};

use super::arguments::{SettingFlags, with_own_program};
use super::logging;
use super::output;
use super::printable::Printable;

/// Prints every setting with its value and origin, then every problem: of the settings, and of what they name.
pub(crate) async fn run(settings: &SettingFlags) -> Result<ExitCode> {
    let layers = settings.layers(&[]);
    for (name, value, origin) in layers.effective() {
        output::line(format_args!("{name:<28} {value}  ({origin})"))?;
    }
    let problems = match layers.check() {
        Ok(config) => unusable(&with_own_program(config)).await,
        Err(problems) => problems,
    };
    match problems.as_slice() {
        [] => {
            output::line(format_args!("\nNothing is wrong with it."))?;
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

/// What each setting says well, and what it names is not to be had: the database, the log filter, the model files,
/// the certificates.
/// Servers are not asked: they may be started later.
async fn unusable(config: &Config) -> Vec<Error> {
    let database = store::migrations::status(config.database_url.expose()).await.map(|_| ());
    let filter = config.log_level.as_deref().map_or(Ok(()), |level| logging::filter(level).map(|_| ()));
    let models = setup::models(config, Arc::new(SystemClock)).await.map(|_| ());
    let shared = setup::check_shared(config);
    [database, filter, models, shared, config.server.check()].into_iter().filter_map(Result::err).collect()
}
