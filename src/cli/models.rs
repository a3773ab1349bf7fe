//! `sutazai models list|pull`.

use std::process::ExitCode;
use std::sync::Arc;

use futures::StreamExt;
use sutazai::setup;
use sutazai_core::ports::{ModelBackend, SystemClock};
use sutazai_core::{Error, Result};

use super::arguments::{Models, SettingFlags};
use super::output;
use super::progress::PullBar;

/// Lists what is there, or fetches one.
pub(crate) async fn run(settings: &SettingFlags, command: &Models) -> Result<ExitCode> {
    let config = settings.load(&[])?;
    super::logging::start(&config, "warn", None)?;
    let manager = setup::models(&config, Arc::new(SystemClock)).await?.ok_or_else(|| {
        Error::invalid(
            "MODEL_BACKENDS",
            "expected at least one backend, such as llama-cpp=/models/small.gguf; none is set",
        )
    })?;
    match command {
        Models::List { json } => {
            let models = manager.models().await?;
            if *json {
                output::line(format_args!("{}", serde_json::to_string(&models)?))?;
                return Ok(ExitCode::SUCCESS);
            }
            for model in models {
                let size = model.size_bytes.map_or_else(String::new, |n| format!("{:.0} MB", n as f64 / 1e6));
                let parameters = model
                    .parameters
                    .map_or_else(String::new, |n| format!("{:.0} M parameters", n as f64 / 1e6));
                output::line(format_args!(
                    "{:<40} {:<12} {size:>10}  {parameters}",
                    model.name, model.backend
                ))?;
            }
        }
        Models::Pull { name } => {
            let bar = PullBar::new(name);
            let mut stream = manager.pull(name).await?;
            while let Some(progress) = stream.next().await {
                bar.show(&progress?);
            }
            bar.clear();
            output::line(format_args!("{name} is there."))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
