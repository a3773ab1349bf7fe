//! Builds the model backends, behind one manager, from their settings.

use std::sync::Arc;

#[cfg(feature = "llama-cpp")]
use sutazai_agent::models::ModelLauncher;
use sutazai_agent::models::{self, ConnectOptions, EmbeddedModels, ModelManager, PermissionStore};
use sutazai_core::domain::{EventKind, NewEvent};
use sutazai_core::ports::{Clock, EventSink, ModelBackend, PullProgress};
use sutazai_core::{Error, Result};

#[cfg(feature = "llama-cpp")]
use crate::config::ModelProgram;
use crate::config::{Config, user_data_folder};

/// Connects the backends of `MODEL_BACKENDS`; `None` when the setting is empty.
///
/// # Errors
/// `InvalidInput` for an entry that cannot be parsed, or a file that is not a model.
pub async fn models(config: &Config, clock: Arc<dyn Clock>) -> Result<Option<Arc<ModelManager>>> {
    models_with(config, clock, Vec::new()).await
}

/// Connects the backends of `MODEL_BACKENDS` as [`models()`] does, with backends of the embedder among them: each at the
/// position in the order of preference that comes with it. Positions ascend.
///
/// # Errors
/// Those of [`models()`].
pub async fn models_with(
    config: &Config,
    clock: Arc<dyn Clock>,
    own: Vec<(usize, Arc<dyn ModelBackend>)>,
) -> Result<Option<Arc<ModelManager>>> {
    let mut backends = connected(config).await?;
    for (position, backend) in own {
        backends.insert(position.min(backends.len()), backend);
    }
    if backends.is_empty() {
        return Ok(None);
    }
    let manager = ModelManager::new(backends, &config.default_model, clock);
    let manager = manager.auto_pull(config.model_auto_pull).with_permissions(model_permissions());
    Ok(Some(Arc::new(manager)))
}

async fn connected(config: &Config) -> Result<Vec<Arc<dyn ModelBackend>>> {
    if config.model_backends.trim().is_empty() {
        return Ok(Vec::new());
    }
    let specs = config.model_backends.clone();
    let options = ConnectOptions {
        openai_api_key: config.openai_api_key.as_ref().map(|key| key.expose().to_owned()),
        idle_timeout: config.model_idle_timeout,
        embedded: embedded_models(config)?,
    };
    tokio::task::spawn_blocking(move || models::connect_all(&specs, &options))
        .await
        .map_err(|e| Error::internal("connecting the model backends failed").with_source(e))?
}

/// Returns the place in which the models of GGUF files run.
///
/// # Errors
/// `Unsupported` naming `MODEL_PROGRAM` for in-process models in a build without llama.cpp.
#[cfg_attr(not(feature = "llama-cpp"), allow(clippy::unnecessary_wraps, unused_variables))]
fn embedded_models(config: &Config) -> Result<Option<EmbeddedModels>> {
    #[cfg(feature = "llama-cpp")]
    match &config.model_program {
        Some(ModelProgram::Command { program, arguments, environment }) => {
            let mut launcher = ModelLauncher::new(program).memory_limit(config.model_memory_limit);
            for argument in arguments {
                launcher = launcher.argument(argument);
            }
            for (name, value) in environment {
                launcher = launcher.variable(name, value);
            }
            return Ok(Some(EmbeddedModels::ChildProcess(launcher)));
        }
        #[cfg(feature = "llama-cpp-native")]
        Some(ModelProgram::InProcess) => return Ok(Some(EmbeddedModels::InProcess)),
        #[cfg(not(feature = "llama-cpp-native"))]
        Some(ModelProgram::InProcess) => {
            let e = Error::unsupported("models in the process need the feature `llama-cpp-native`");
            return Err(e.with_field("MODEL_PROGRAM"));
        }
        None => {}
    }
    Ok(None)
}

/// Opens the permissions that `sutazai models check` has measured. They are in the user's data folder, whatever the
/// database is, because they belong to the models of this machine.
pub fn model_permissions() -> PermissionStore {
    PermissionStore::new(user_data_folder().join("model-permissions.json"))
}

/// Pulls a missing default model if that is allowed, and reports the progress. The manager logs a failed pull; the
/// analysis then says why another model or none answered.
pub(super) async fn pull_missing(
    manager: &ModelManager,
    model: &str,
    events: &dyn EventSink,
    clock: &dyn Clock,
) {
    let report = |step: &PullProgress| {
        let message = format!("pulling {model}: {}", step.status);
        let kind = EventKind::progress(step.fraction(), message);
        events.emit(NewEvent { at: clock.now(), kind });
    };
    if let Err(e) = manager.pull_missing(report).await {
        tracing::debug!(error = %e, "default model not pulled; analysis continues without it");
    }
}

/// Loads the model ahead of its first request. A failure is only logged, because the model may be available by the
/// first request.
pub(super) async fn load(model: &dyn ModelBackend) {
    if let Err(e) = model.load(None).await {
        tracing::warn!(error = %e, "model not preloaded");
    }
}
