//! `sutazai migrate up|down|status`: applies, reverts or lists migrations.

use std::process::ExitCode;

use sutazai::store::migrations;
use sutazai_core::Result;

use super::arguments::{Migrate, SettingFlags};
use super::output;

/// Migrates the schema forward or back, or shows its state.
pub(crate) async fn run(settings: &SettingFlags, command: &Migrate) -> Result<ExitCode> {
    let url = settings.load(&[])?.database_url;
    let url = url.expose();
    let changed = match command {
        Migrate::Up => migrations::up(url).await?,
        Migrate::Down { steps } => migrations::down(url, *steps).await?,
        Migrate::Status => {
            for migration in migrations::status(url).await? {
                let state = if migration.applied { "applied" } else { "pending" };
                output::line(format_args!("{:04}  {state}  {}", migration.version, migration.name))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
    };
    let verb = if matches!(command, Migrate::Up) { "applied" } else { "reverted" };
    for migration in &changed {
        output::line(format_args!("{:04}  {verb}  {}", migration.version, migration.name))?;
    }
    if changed.is_empty() {
        output::line(format_args!("Nothing to do."))?;
    }
    Ok(ExitCode::SUCCESS)
}
