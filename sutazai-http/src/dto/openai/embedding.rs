//! Embeddings.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sutazai_core::Result;
use sutazai_core::domain::Embeddings;
use utoipa::ToSchema;

use super::texts::Texts;
use crate::extract::Protocol;

/// A request for embeddings. `user` is taken and not used.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateEmbeddings {
    /// The model's name.
    #[schema(min_length = 1)]
    pub(crate) model: String,
    /// What to make embeddings of.
    input: Texts<2_048>,
    #[serde(default)]
    encoding_format: Encoding,
}

/// How the numbers of an embedding are written.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    /// As JSON numbers.
    #[default]
    Float,
    /// As the bytes of 32-bit floating-point numbers, little-endian, in Base64.
    Base64,
}

impl Protocol for CreateEmbeddings {
    const HARMLESS: &'static [&'static str] = &["user"];
    const MISSING: &'static [(&'static str, &'static str)] = &[("dimensions", "null")];
}

impl CreateEmbeddings {
    /// The model, the texts, and how their embeddings are to be written.
    ///
    /// # Errors
    /// `InvalidInput` naming `input`.
    pub(crate) fn texts(self) -> Result<(String, Vec<String>, Encoding)> {
        let texts = self.input.list("input")?;
        Ok((self.model, texts, self.encoding_format))
    }
}

/// The embeddings, in the order of the texts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EmbeddingList {
    object: &'static str,
    model: String,
    data: Vec<Embedding>,
    usage: EmbeddingUsage,
}

/// The embedding of one text.
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

/// Tokens read; 0 where the backend does not tell.
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
