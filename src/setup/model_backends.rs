//! From the settings of models to the backends behind one manager.

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

/// Connects the backends that `MODEL_BACKENDS` names; none when it names none.
///
/// # Errors
/// `InvalidInput` for an entry that cannot be understood, or a model file that is none.
pub async fn models(config: &Config, clock: Arc<dyn Clock>) -> Result<Option<Arc<ModelManager>>> {
    if config.model_backends.trim().is_empty() {
        return Ok(None);
    }
    let specs = config.model_backends.clone();
    let options = ConnectOptions {
        openai_api_key: config.openai_api_key.as_ref().map(|key| key.expose().to_owned()),
        idle_timeout: config.model_idle_timeout,
        embedded: embedded_models(config)?,
    };
    let backends = tokio::task::spawn_blocking(move || models::connect_all(&specs, &options))
        .await
        .map_err(|e| Error::internal("connecting the model backends failed").with_source(e))??;
    let manager = ModelManager::new(backends, &config.default_model, clock);
    let manager = manager.with_auto_pull(config.model_auto_pull).with_permissions(model_permissions());
    Ok(Some(Arc::new(manager)))
}

/// Place in which the models of GGUF files run.
///
/// # Errors
/// `Unsupported` naming `MODEL_PROGRAM` for models in the process of a build that has no llama.cpp.
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

/// What models have earned by `sutazai models check`: a file in the user's data folder, whatever the database is, since
/// it belongs to the models of this machine.
pub fn model_permissions() -> PermissionStore {
    PermissionStore::new(user_data_folder().join("model-permissions.json"))
}

/// Pulls a missing default model where that is allowed, and reports the progress. A pull that fails is logged by the
/// manager; the analysis then says why another model answered, or none.
pub(super) async fn pull_missing(
    manager: &ModelManager,
    model: &str,
    events: &dyn EventSink,
    clock: &dyn Clock,
) {
    let report = |step: &PullProgress| {
        let message = format!("pulling {model}: {}", step.status);
        let kind = EventKind::Progress { fraction: step.fraction(), message };
        events.emit(NewEvent { at: clock.now(), kind });
    };
    if let Err(e) = manager.pull_missing(report).await {
        tracing::debug!(error = %e, "analysis goes on without the default model");
    }
}

/// A model that cannot be loaded now is told in the log, since it may be there when it is asked.
pub(super) async fn load(model: &dyn ModelBackend) {
    if let Err(e) = model.load(None).await {
        tracing::warn!(error = %e, "the model is not loaded ahead of its first request");
    }
}
