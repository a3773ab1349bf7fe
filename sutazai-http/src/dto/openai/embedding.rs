//! Requests for embeddings, and their responses.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sutazai_core::Result;
use sutazai_core::domain::Embeddings;
use utoipa::ToSchema;

use super::text_input::Texts;
use crate::extract::Protocol;

/// Request for embeddings. `user` is accepted and ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateEmbeddings {
    /// Name of the model.
    #[schema(min_length = 1)]
    pub(crate) model: String,
    /// One text, or 1 to 2,048 texts.
    input: Texts<2_048>,
    #[serde(default)]
    encoding_format: Encoding,
}

/// Encoding of the numbers of an embedding.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    /// Array of JSON numbers.
    #[default]
    Float,
    /// Base64 of the bytes of 32-bit floating-point numbers, little-endian.
    Base64,
}

impl Protocol for CreateEmbeddings {
    const HARMLESS: &'static [&'static str] = &["user"];
    const MISSING: &'static [(&'static str, &'static str)] = &[("dimensions", "null")];
}

impl CreateEmbeddings {
    /// Returns the model, the texts, and the encoding of their embeddings.
    ///
    /// # Errors
    /// `InvalidInput` naming `input`.
    pub(crate) fn texts(self) -> Result<(String, Vec<String>, Encoding)> {
        let texts = self.input.list("input")?;
        Ok((self.model, texts, self.encoding_format))
    }
}

/// Embeddings in the order of the texts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingList {
    object: &'static str,
    model: String,
    data: Vec<Embedding>,
    usage: EmbeddingUsage,
}

/// Embedding of one text.
#[derive(Debug, Serialize, ToSchema)]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Numbers,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Numbers {
    Float(Vec<f32>),
    Base64(String),
}

/// Number of tokens of the texts; 0 when the backend does not report it.
#[derive(Debug, Serialize, ToSchema)]
struct EmbeddingUsage {
    prompt_tokens: u32,
    total_tokens: u32,
}

impl EmbeddingList {
    pub(crate) fn new(made: Embeddings, encoding: Encoding) -> Self {
        let numbers = |numbers: Vec<f32>| match encoding {
            Encoding::Float => Numbers::Float(numbers),
            Encoding::Base64 => {
                let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
                Numbers::Base64(STANDARD.encode(bytes))
            }
        };
        let embedding = |(index, found)| Embedding { object: "embedding", index, embedding: numbers(found) };
        let data = made.vectors.into_iter().enumerate().map(embedding).collect();
        let prompt_tokens = made.prompt_tokens.unwrap_or_default();
        let usage = EmbeddingUsage { prompt_tokens, total_tokens: prompt_tokens };
        Self { object: "list", model: made.model, data, usage }
    }
}
