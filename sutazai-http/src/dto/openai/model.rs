//! Models.

use serde::Serialize;
use sutazai_core::domain::ModelInfo;
use utoipa::ToSchema;

/// A model that can be asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenAiModel)]
pub(crate) struct ProtocolModel {
    /// Its name, as requests give it.
    id: String,
    object: &'static str,
    /// The protocol wants a time; backends do not tell one. Always 0.
    created: i64,
    /// The backend that has it.
    owned_by: String,
    /// The longest conversation that a request can have, its answer included, in tokens; missing where it is not known. Not of
    /// the protocol.
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

/// All models that can be asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenAiModelList)]
pub(crate) struct ProtocolModelList {
    object: &'static str,
    data: Vec<ProtocolModel>,
}

impl ProtocolModelList {
    /// Each name once: the first backend that has it answers to it.
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
