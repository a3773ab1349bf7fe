//! Models in the form of OpenAI's protocol.

use serde::Serialize;
use sutazai_core::domain::ModelInfo;
use utoipa::ToSchema;

/// Model that a backend offers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenAiModel)]
pub(crate) struct ProtocolModel {
    /// Name of the model, used in requests.
    id: String,
    object: &'static str,
    /// Always 0: the protocol requires a creation time, but backends do not report one.
    created: i64,
    /// Backend that runs the model.
    owned_by: String,
    /// Maximum length of a conversation in tokens, including the answer; absent when unknown. Not part of OpenAI's
    /// protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    context_length: Option<u32>,
}

impl From<ModelInfo> for ProtocolModel {
    fn from(model: ModelInfo) -> Self {
        let context_length = model.context_length;
        Self { id: model.name, object: "model", created: 0, owned_by: model.backend, context_length }
    }
}

/// List of all available models.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenAiModelList)]
pub(crate) struct ProtocolModelList {
    object: &'static str,
    data: Vec<ProtocolModel>,
}

impl ProtocolModelList {
    /// Lists each name once: the first backend that has a model of this name answers requests for it.
    pub(crate) fn new(models: Vec<ModelInfo>) -> Self {
        let mut data: Vec<ProtocolModel> = Vec::new();
        for model in models {
            if data.iter().all(|known| known.id != model.name) {
                data.push(model.into());
            }
        }
        Self { object: "list", data }
    }
}
