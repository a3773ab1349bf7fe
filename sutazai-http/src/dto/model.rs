//! Models of the backends, and requests to download one.

use serde::Serialize;
use sutazai_core::admission_control::ModelLoad;
use sutazai_core::domain::{ModelInfo, ModelPermission, ModelPermissions, ModelProcess, ModelPurpose};
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
    /// Purpose of the model: `write` for text, `embed` for embeddings; null when unknown.
    #[schema(value_type = Option<String>)]
    purpose: Option<&'static str>,
    /// True for the model that answers requests which name none.
    default: bool,
    /// Permissions that measurements have granted: `choose` among the sentences of the rules, `word` recommendations,
    /// `plan` tasks. A model without any of them writes nothing into an analysis.
    #[schema(value_type = Vec<String>)]
    permissions: Vec<&'static str>,
    /// Reason why permissions are missing; null if the model was measured, or if nothing is known.
    permissions_note: Option<String>,
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

impl ModelView {
    fn new(model: ModelInfo, permissions: ModelPermissions, default: bool) -> Self {
        Self {
            purpose: model.purpose.map(ModelPurpose::as_str),
            default,
            permissions: permissions.granted.into_iter().map(ModelPermission::as_str).collect(),
            permissions_note: permissions.note,
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
    /// Requests of all users to the models of this server.
    queue: ModelQueue,
    /// Names of the models that are being downloaded, or will be.
    fetching: Vec<String>,
}

/// Requests to the models.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelQueue {
    /// Maximum number of concurrent answers.
    slots: usize,
    /// Number of requests that are being answered.
    running: usize,
    /// Number of requests that wait.
    waiting: usize,
}

impl From<ModelLoad> for ModelQueue {
    fn from(ModelLoad { slots, running, waiting }: ModelLoad) -> Self {
        Self { slots, running, waiting }
    }
}

impl ModelList {
    /// Creates the list of these models with their permissions, which are in the same order. `default` is the one that
    /// answers by default, if that is known.
    pub(crate) fn new(
        models: Vec<(ModelInfo, ModelPermissions)>,
        default: Option<&ModelPermissions>,
        load: ModelLoad,
        fetching: Vec<String>,
    ) -> Self {
        let is_default = |model: &ModelInfo| {
            default.is_some_and(|default| (&default.backend, &default.model) == (&model.backend, &model.name))
        };
        let view = |(model, permissions): (ModelInfo, _)| {
            let default = is_default(&model);
            ModelView::new(model, permissions, default)
        };
        Self { items: models.into_iter().map(view).collect(), queue: load.into(), fetching }
    }
}
