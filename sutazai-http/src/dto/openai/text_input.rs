//! One text or a list of texts: parameters of the protocol that accept both.

use std::borrow::Cow;

use serde::Deserialize;
use sutazai_core::{Error, Result};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// One text, or a list of 1 to `MAX` texts; none of them may be empty.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub(crate) enum Texts<const MAX: usize> {
    /// A single text as a string.
    One(String),
    /// A list of texts.
    Many(Vec<String>),
    /// One text as token ids, which this server rejects.
    Tokens(Vec<f64>),
    /// Several texts as token ids, which this server rejects.
    TokenLists(Vec<Vec<f64>>),
}

impl<const MAX: usize> Texts<MAX> {
    /// Returns whether the list is empty.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Many(texts) if texts.is_empty())
    }

    /// Returns all texts as a list.
    ///
    /// # Errors
    /// `InvalidInput` naming `field`.
    pub(crate) fn list(self, field: &str) -> Result<Vec<String>> {
        let texts = match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
            Self::Tokens(numbers) => return Err(token_numbers(field, numbers.len())),
            Self::TokenLists(lists) => return Err(token_numbers(field, lists.iter().map(Vec::len).sum())),
        };
        if !(1..=MAX).contains(&texts.len()) {
            return Err(Error::invalid(field, format!("expected 1 to {MAX} texts, got {}", texts.len())));
        }
        if texts.iter().any(String::is_empty) {
            return Err(Error::invalid(field, "expected texts with at least one character"));
        }
        Ok(texts)
    }
}

/// Rejects token ids: which text they stand for depends on the tokenizer of each model.
fn token_numbers(field: &str, count: usize) -> Error {
    let message = format!(
        "expected a text or a list of texts, got {count} token numbers of another model's vocabulary; LangChain sends texts \
         with check_embedding_ctx_length=False"
    );
    Error::invalid(field, message)
}

impl<const MAX: usize> PartialSchema for Texts<MAX> {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).build();
        let list = ArrayBuilder::new().items(text()).min_items(Some(1)).max_items(Some(MAX)).build();
        OneOfBuilder::new().item(text()).item(list).into()
    }
}

impl<const MAX: usize> ToSchema for Texts<MAX> {
    fn name() -> Cow<'static, str> {
        format!("OneTo{MAX}Texts").into()
    }
}
