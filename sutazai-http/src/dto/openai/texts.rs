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
}

impl<const MOST: usize> Texts<MOST> {
    /// All of them.
    ///
    /// # Errors
    /// `InvalidInput` naming `field`.
    pub(crate) fn list(self, field: &str) -> Result<Vec<String>> {
        let texts = match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
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
