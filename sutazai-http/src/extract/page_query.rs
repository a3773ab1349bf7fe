//! Query parameters that request one page of a list.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;
use sutazai_bodies::page::{Cursor, read_cursor, read_limit};
use sutazai_core::domain::{PageLimit, PageRequest};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};

use crate::error::ApiError;
use crate::extract::Query;

/// Page that the query parameters `limit` and `cursor` request, where `C` is the key of the list; 422 naming the one that is
/// invalid.
#[derive(Debug)]
pub(crate) struct PageQuery<C>(pub(crate) PageRequest<C>);

#[derive(Debug, Deserialize)]
#[serde(bound = "C: Cursor")]
struct Parameters<C> {
    #[serde(default, deserialize_with = "read_limit")]
    limit: PageLimit,
    #[serde(default, deserialize_with = "read_cursor")]
    cursor: Option<C>,
}

impl<C: Cursor, S: Send + Sync> FromRequestParts<S> for PageQuery<C> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(Parameters { limit, cursor }) = Query::from_request_parts(parts, state).await?;
        Ok(Self(PageRequest { cursor, limit }))
    }
}

impl<C: Cursor> IntoParams for PageQuery<C> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |name: &str, description: &str, schema: ObjectBuilder| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .description(Some(description))
                .schema(Some(schema))
                .build()
        };
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
            .minimum(Some(1))
            .maximum(Some(PageLimit::MAX.get()))
            .default(Some(PageLimit::default().get().into()));
        let cursor = ObjectBuilder::new().schema_type(Type::String).pattern(Some(C::PATTERN));
        vec![
            parameter("limit", "Maximum number of items on a page.", limit),
            parameter("cursor", "`next_cursor` of the previous page.", cursor),
        ]
    }
}
