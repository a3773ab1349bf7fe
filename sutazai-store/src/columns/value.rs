//! Values of columns: the form in which they pass between the entities and every database.

use std::borrow::Cow;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use sutazai_core::Error;
use sutazai_core::domain::{
    AgentMessageId, ApiKeyId, ConversationId, DocumentId, EventKind, EventOffset, InstanceId, InvitationId,
    MediaType, MessageId, MissedRuns, ModelUsage, OverlapPolicy, Role, ScheduleId, Scope, SessionId,
    TaskError, TaskId, TaskStatus, TraceContext, UploadKey, UserId, UserRole,
};
use uuid::Uuid;

use crate::error::{StoreError, StoreResult};

/// Kind of a column; each database has one type for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Id,
    Text,
    Json,
    Number,
    Real,
    Flag,
    Time,
}

impl Kind {
    /// Returns the cell that stands for one of a damaged row.
    fn neutral(self) -> Cell<'static> {
        match self {
            Self::Id => Cell::Id(Uuid::nil()),
            Self::Text => Cell::Text("".into()),
            Self::Json => Cell::Json("null".into()),
            Self::Number => Cell::Number(0),
            Self::Real => Cell::Real(0.0),
            Self::Flag => Cell::Flag(false),
            Self::Time => Cell::Time(DateTime::from_timestamp_nanos(i64::MIN)),
        }
    }
}

/// Content of a column of one row.
#[derive(Debug, PartialEq)]
pub(crate) enum Cell<'c> {
    Null,
    Id(Uuid),
    Text(Cow<'c, str>),
    Json(Cow<'c, str>),
    Number(i64),
    Real(f64),
    Flag(bool),
    Time(DateTime<Utc>),
}

macro_rules! accessors {
    ($($name:ident: $variant:ident($content:ty)),* $(,)?) => {
        impl<'c> Cell<'c> {
            $(
                /// Returns the content of a cell of this kind, `None` if it is null.
                pub(crate) fn $name(self) -> Option<$content> {
                    if let Self::$variant(content) = self { Some(content) } else { None }
                }
            )*
        }
    };
}

accessors! {
    id: Id(Uuid),
    text: Text(Cow<'c, str>),
    json: Json(Cow<'c, str>),
    number: Number(i64),
    real: Real(f64),
    flag: Flag(bool),
    time: Time(DateTime<Utc>),
}

/// Value that is stored in one column.
pub(crate) trait Value: Sized {
    /// Kind of its column.
    const KIND: Kind;

    /// Converts the value for the database.
    fn to_cell(&self) -> StoreResult<Cell<'_>>;

    /// Converts what the database has stored.
    ///
    /// # Errors
    /// `Internal` if no value has this form.
    fn from_cell(cell: Cell<'_>) -> StoreResult<Self>;

    /// Returns the value that stands for one that cannot be read.
    fn neutral() -> StoreResult<Self> {
        Self::from_cell(Cell::Null).or_else(|_| Self::from_cell(Self::KIND.neutral()))
    }
}

/// Value that is stored in two columns.
pub(crate) trait Pair: Sized {
    /// Kinds of its columns.
    const KINDS: [Kind; 2];

    /// Converts the part in the first column.
    fn first(&self) -> StoreResult<Cell<'_>>;

    /// Converts the part in the second column.
    fn second(&self) -> StoreResult<Cell<'_>>;

    /// Converts what the database has stored.
    fn from_cells(first: Cell<'_>, second: Cell<'_>) -> StoreResult<Self>;
}

/// Returns the error of a column that has no value of its type.
pub(crate) fn unreadable() -> StoreError {
    Error::internal("a stored value is missing or out of range").into()
}

impl<T: Value> Value for Option<T> {
    const KIND: Kind = T::KIND;

    fn to_cell(&self) -> StoreResult<Cell<'_>> {
        self.as_ref().map_or(Ok(Cell::Null), Value::to_cell)
    }

    fn from_cell(cell: Cell<'_>) -> StoreResult<Self> {
        if matches!(cell, Cell::Null) { Ok(None) } else { T::from_cell(cell).map(Some) }
    }
}

/// Implements [`Value`] by two expressions, `$to` of a reference and `$from` of the content of a cell.
macro_rules! values {
    ($($kind:ident of $content:ident: $($type:ty),+ => |$value:ident| $to:expr, |$cell:ident| $from:expr;)*) => {
        $($(
            impl Value for $type {
                const KIND: Kind = Kind::$kind;

                fn to_cell(&self) -> StoreResult<Cell<'_>> {
                    let $value = self;
                    Ok(Cell::$kind($to))
                }

                fn from_cell(cell: Cell<'_>) -> StoreResult<Self> {
                    let $cell = cell.$content().ok_or_else(unreadable)?;
                    $from
                }
            }
        )+)*
    };
}

values! {
    Id of id: AgentMessageId, ApiKeyId, ConversationId, DocumentId, InstanceId, InvitationId, MessageId, ScheduleId,
        SessionId, TaskId, UserId => |value| value.0, |id| Ok(Self(id));
    Text of text: String => |value| value.into(), |text| Ok(text.into_owned());
    Text of text: MediaType, MissedRuns, OverlapPolicy, Role => |value| value.as_str().into(), |text| Ok(text.parse()?);
    Text of text: EventOffset, TraceContext => |value| value.to_string().into(), |text| Ok(text.parse()?);
    Json of json: serde_json::Value, EventKind, ModelUsage, TaskError, Vec<Scope>
        => |value| serde_json::to_string(value)?.into(), |json| Ok(serde_json::from_str(&json)?);
    Number of number: u8, u32 => |value| i64::from(*value), |number| number.try_into().map_err(|_| unreadable());
    Number of number: NonZeroU32 => |value| i64::from(value.get()),
        |number| u32::try_from(number).ok().and_then(Self::new).ok_or_else(unreadable);
    Number of number: u64 => |value| i64::try_from(*value).unwrap_or(i64::MAX),
        |number| number.try_into().map_err(|_| unreadable());
    Real of real: f64 => |value| *value, |real| Ok(real);
    Flag of flag: bool => |value| *value, |flag| Ok(flag);
    Time of time: DateTime<Utc> => |value| *value, |time| Ok(time);
}

impl Value for TaskStatus {
    const KIND: Kind = Kind::Text;

    fn to_cell(&self) -> StoreResult<Cell<'_>> {
        Ok(Cell::Text(self.as_str().into()))
    }

    fn from_cell(cell: Cell<'_>) -> StoreResult<Self> {
        Ok(cell.text().ok_or_else(unreadable)?.parse()?)
    }

    fn neutral() -> StoreResult<Self> {
        Ok(Self::Failed)
    }
}

impl Value for UserRole {
    const KIND: Kind = Kind::Text;

    fn to_cell(&self) -> StoreResult<Cell<'_>> {
        Ok(Cell::Text(self.as_str().into()))
    }

    /// A role that is unknown gives no more rights than those of a user.
    fn from_cell(cell: Cell<'_>) -> StoreResult<Self> {
        let is_admin = cell.text().as_deref() == Some(Self::Admin.as_str());
        Ok(if is_admin { Self::Admin } else { Self::User })
    }
}

impl Pair for Option<UploadKey> {
    const KINDS: [Kind; 2] = [Kind::Text; 2];

    fn first(&self) -> StoreResult<Cell<'_>> {
        self.as_ref().map_or(Ok(Cell::Null), |upload| upload.key.to_cell())
    }

    fn second(&self) -> StoreResult<Cell<'_>> {
        self.as_ref().map_or(Ok(Cell::Null), |upload| upload.digest.to_cell())
    }

    fn from_cells(first: Cell<'_>, second: Cell<'_>) -> StoreResult<Self> {
        let parts = first.text().zip(second.text());
        Ok(parts.map(|(key, digest)| UploadKey { key: key.into_owned(), digest: digest.into_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_out_of_range_is_an_error() {
        assert_eq!(u32::from_cell(Cell::Number(u32::MAX.into())).unwrap(), u32::MAX);
        for number in [-1, 1 << 32] {
            assert!(u8::from_cell(Cell::Number(number)).is_err(), "{number}");
            assert!(u32::from_cell(Cell::Number(number)).is_err(), "{number}");
            assert!(Option::<NonZeroU32>::from_cell(Cell::Number(number)).is_err(), "{number}");
        }
        assert!(u64::from_cell(Cell::Number(-1)).is_err());
        assert!(Option::<NonZeroU32>::from_cell(Cell::Number(0)).is_err());
        assert_eq!(Option::<NonZeroU32>::from_cell(Cell::Null).unwrap(), None);
    }
}
