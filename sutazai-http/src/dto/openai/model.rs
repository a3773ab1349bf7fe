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
}

impl From<ModelInfo> for ProtocolModel {
    fn from(model: ModelInfo) -> Self {
        Self { id: model.name, object: "model", created: 0, owned_by: model.backend }
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
