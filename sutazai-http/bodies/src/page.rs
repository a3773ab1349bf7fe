//! Pages of lists: cursors, limits, and the response. A cursor is opaque to clients: they return it unchanged to get the
//! next page.

use std::borrow::Cow;

use chrono::DateTime;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use sutazai_core::domain::{
    ConversationCursor, ConversationId, DocumentId, MessageId, Page, PageLimit, ScheduleId, TaskId, UserId,
};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

/// Key of a list that clients see as a cursor.
pub trait Cursor: Sized {
    /// Regular expression that each cursor matches.
    const PATTERN: &'static str;

    /// Formats the key of the last item of a page.
    fn write(&self) -> String;

    /// Parses a cursor of [`write`](Self::write); `None` for any other text.
    fn parse(text: &str) -> Option<Self>;

    /// Reads a cursor. Any other spelling of the same key is rejected, so that the format can change.
    fn read(text: &str) -> Option<Self> {
        Self::parse(text).filter(|key| key.write() == text)
    }
}

macro_rules! id_cursors {
    ($($id:ident),*) => {$(
        impl Cursor for $id {
            const PATTERN: &'static str = "^[0-9a-f]{32}$";

            fn write(&self) -> String {
                self.0.simple().to_string()
            }

            fn parse(text: &str) -> Option<Self> {
                Uuid::try_parse(text).ok().map(Self)
            }
        }
    )*};
}
id_cursors!(DocumentId, MessageId, ScheduleId, TaskId, UserId);

impl Cursor for ConversationCursor {
    const PATTERN: &'static str = "^[0-9a-f]{48}$";

    fn write(&self) -> String {
        // Nanoseconds fit for the years 1677 to 2262; later times, which no clock shows, share a cursor.
        let at = self.updated_at.timestamp_nanos_opt().unwrap_or(i64::MAX);
        format!("{:016x}{}", at.cast_unsigned(), self.id.0.simple())
    }

    fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.split_at_checked(16)?;
        let at = u64::from_str_radix(at, 16).ok()?.cast_signed();
        Some(Self {
            updated_at: DateTime::from_timestamp_nanos(at),
            id: ConversationId(Uuid::try_parse(id).ok()?),
        })
    }
}

impl Cursor for u64 {
    const PATTERN: &'static str = "^[0-9a-f]{16}$";

    fn write(&self) -> String {
        format!("{self:016x}")
    }

    fn parse(text: &str) -> Option<Self> {
        Self::from_str_radix(text, 16).ok()
    }
}

/// Deserializes the query parameter `cursor`.
///
/// # Errors
/// If it is not a cursor of such a list.
pub fn read_cursor<'de, D: Deserializer<'de>, C: Cursor>(text: D) -> Result<Option<C>, D::Error> {
    let text = Cow::<str>::deserialize(text)?;
    C::read(&text).map(Some).ok_or_else(|| D::Error::custom("expected the next_cursor of the previous page"))
}

/// Deserializes the query parameter `limit`.
///
/// # Errors
/// If it is not a number from 1 to 100.
pub fn read_limit<'de, D: Deserializer<'de>>(number: D) -> Result<PageLimit, D::Error> {
    PageLimit::new(u32::deserialize(number)?).map_err(|e| D::Error::custom(e.message()))
}

/// One page of a list.
#[derive(Debug, Serialize, Deserialize)]
pub struct PageView<T> {
    /// Items of the page in the order of the list.
    pub items: Vec<T>,
    /// Cursor of the next page; `None` on the last one.
    pub next_cursor: Option<String>,
}

impl<I, C: Cursor, T: From<I>> From<Page<I, C>> for PageView<T> {
    fn from(page: Page<I, C>) -> Self {
        Self {
            next_cursor: page.next.as_ref().map(Cursor::write),
            items: page.items.into_iter().map(T::from).collect(),
        }
    }
}

impl<T: ToSchema> PartialSchema for PageView<T> {
    fn schema() -> RefOr<Schema> {
        let next_cursor = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some("Cursor of the next page; null on the last page."));
        ObjectBuilder::new()
            .description(Some("One page of the list."))
            .property("items", ArrayBuilder::new().items(Ref::from_schema_name(T::name())))
            .required("items")
            .property("next_cursor", next_cursor)
            .into()
    }
}

impl<T: ToSchema> ToSchema for PageView<T> {
    fn name() -> Cow<'static, str> {
        format!("{}List", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}
