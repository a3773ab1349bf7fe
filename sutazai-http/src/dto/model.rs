//! Models.

use serde::{Deserialize, Serialize};
use sutazai_core::domain::{ModelInfo, ModelProcess};
use utoipa::ToSchema;

/// A model that is there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Model)]
pub(crate) struct ModelView {
    /// Its name, as requests give it.
    name: String,
    /// The backend that has it.
    backend: String,
    /// Its size on disk, where known.
    size_bytes: Option<u64>,
    /// How many parameters it has, where known.
    parameters: Option<u64>,
    /// The longest conversation that a request can have, its answer included, in tokens, where known.
    context_length: Option<u32>,
    /// Identifies its weights, where known.
    digest: Option<String>,
    /// The child process that runs it; null where it runs elsewhere.
    process: Option<ModelProcessView>,
    /// What an operator should know of it, such as a chat template that is not used; null where all is well.
    note: Option<String>,
}

/// The child process that runs an embedded model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelProcess)]
struct ModelProcessView {
    /// `starting`, `ready` or `restarting`.
    state: &'static str,
    /// How often it has ended unexpectedly since the server started.
    crashes: u64,
    /// How it last ended unexpectedly.
    last_crash: Option<String>,
    /// The CPU variant whose kernels it uses.
    variant: Option<String>,
}

impl From<ModelProcess> for ModelProcessView {
    fn from(process: ModelProcess) -> Self {
        let ModelProcess { state, crashes, last_crash, variant } = process;
        Self { state: state.as_str(), crashes, last_crash, variant }
    }
}

impl From<ModelInfo> for ModelView {
    fn from(model: ModelInfo) -> Self {
        Self {
            name: model.name,
            backend: model.backend,
            size_bytes: model.size_bytes,
            parameters: model.parameters,
            context_length: model.context_length,
            digest: model.digest,
            process: model.process.map(ModelProcessView::from),
            note: model.note,
        }
    }
}

/// All models that are there, in the order of preference.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelList {
    items: Vec<ModelView>,
}

impl From<Vec<ModelInfo>> for ModelList {
    fn from(models: Vec<ModelInfo>) -> Self {
        Self { items: models.into_iter().map(ModelView::from).collect() }
    }
}

/// A request for a model that is not there yet.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PullModel {
    /// Its name, as the backend knows it.
    #[schema(min_length = 1, max_length = 200, example = "tinyllama")]
    pub(crate) model: String,
}
