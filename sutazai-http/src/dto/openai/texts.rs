//! One text, or a list of them: how the protocol writes what is often only one.

use std::borrow::Cow;

use serde::Deserialize;
use sutazai_core::{Error, Result};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// One text, or 1 to `MOST` of them; none of them empty.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub(crate) enum Texts<const MOST: usize> {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
    /// A text as token numbers, which is none for this server.
    Tokens(Vec<f64>),
    /// Several of those.
    TokenLists(Vec<Vec<f64>>),
}

impl<const MOST: usize> Texts<MOST> {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Many(texts) if texts.is_empty())
    }

    /// All of them.
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
        if !(1..=MOST).contains(&texts.len()) {
            return Err(Error::invalid(field, format!("expected 1 to {MOST} texts, got {}", texts.len())));
        }
        if texts.iter().any(String::is_empty) {
            return Err(Error::invalid(field, "expected texts with at least one character"));
        }
        Ok(texts)
    }
}

/// Which text such numbers stand for differs from model to model.
fn token_numbers(field: &str, count: usize) -> Error {
    let message = format!(
        "expected a text or a list of texts, got {count} token numbers of another model's vocabulary; LangChain sends texts \
         with check_embedding_ctx_length=False"
    );
    Error::invalid(field, message)
}

impl<const MOST: usize> PartialSchema for Texts<MOST> {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).build();
        let list = ArrayBuilder::new().items(text()).min_items(Some(1)).max_items(Some(MOST)).build();
        OneOfBuilder::new().item(text()).item(list).into()
    }
}

impl<const MOST: usize> ToSchema for Texts<MOST> {
    fn name() -> Cow<'static, str> {
        format!("OneTo{MOST}Texts").into()
    }
}
