//! Models of the backends, and requests to download one.

use serde::{Deserialize, Serialize};
use sutazai_core::domain::{ModelInfo, ModelProcess};
use utoipa::ToSchema;

/// Model that a backend offers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Model)]
pub(crate) struct ModelView {
    /// Name of the model, used in requests.
    name: String,
    /// Backend that runs the model.
    backend: String,
    /// Size on disk in bytes; null when unknown.
    size_bytes: Option<u64>,
    /// Number of parameters; null when unknown.
    parameters: Option<u64>,
    /// Maximum length of a conversation in tokens, including the answer; null when unknown.
    context_length: Option<u32>,
    /// Digest of the weights; null when unknown.
    digest: Option<String>,
    /// Child process that runs the model; null unless it is an embedded model.
    process: Option<ModelProcessView>,
    /// Note for the operator, such as a chat template that is not supported; null when there is nothing to note.
    note: Option<String>,
}

/// Child process that runs an embedded model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelProcess)]
struct ModelProcessView {
    /// State of the process: `starting`, `ready` or `restarting`.
    state: &'static str,
    /// Number of unexpected exits since the server started.
    crashes: u64,
    /// Description of the last unexpected exit.
    last_crash: Option<String>,
    /// CPU variant whose kernels the process uses.
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

/// All available models, in order of preference.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelList {
    items: Vec<ModelView>,
}

impl From<Vec<ModelInfo>> for ModelList {
    fn from(models: Vec<ModelInfo>) -> Self {
        Self { items: models.into_iter().map(ModelView::from).collect() }
    }
}

/// Request to download a model.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PullModel {
    /// Name of the model, as the backend knows it.
    #[schema(min_length = 1, max_length = 200, example = "tinyllama")]
    pub(crate) model: String,
}
