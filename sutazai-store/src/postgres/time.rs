//! Times as rows have them.
//!
//! PostgreSQL keeps more than the calendar of the program: infinity either way, and years up to 294276. The library
//! panics at those. Here such a time is read as the nearest that both have, so that no row stops the reading of others.

use chrono::{DateTime, Utc};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgRow, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{ColumnIndex, Decode, Postgres, Row, Type};

use super::fault::Outcome;

/// The first time that PostgreSQL has (24 November 4714 BC), in microseconds since 1970.
const FIRST: i64 = -210_866_803_200_000_000;
/// From 1970 to 2000, where PostgreSQL begins to count, in microseconds.
const EPOCH: i64 = 946_684_800_000_000;

/// Columns that are times.
pub(super) trait Times {
    /// The time in this column.
    fn time<I: ColumnIndex<PgRow>>(&self, column: I) -> Outcome<DateTime<Utc>>;
    /// The time in this column, if there is one.
    fn time_if_any<I: ColumnIndex<PgRow>>(&self, column: I) -> Outcome<Option<DateTime<Utc>>>;
}

impl Times for PgRow {
    fn time<I: ColumnIndex<PgRow>>(&self, column: I) -> Outcome<DateTime<Utc>> {
        Ok(self.try_get::<Stored, _>(column)?.0)
    }

    fn time_if_any<I: ColumnIndex<PgRow>>(&self, column: I) -> Outcome<Option<DateTime<Utc>>> {
        Ok(self.try_get::<Option<Stored>, _>(column)?.map(|stored| stored.0))
    }
}

struct Stored(DateTime<Utc>);

impl Type<Postgres> for Stored {
    fn type_info() -> PgTypeInfo {
        <DateTime<Utc> as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Stored {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Ok(Self(<DateTime<Utc> as Decode<Postgres>>::decode(value)?));
        }
        Ok(Self(instant(<i64 as Decode<Postgres>>::decode(value)?)))
    }
}

/// The time that lies so many microseconds after 2000, or the nearest that the program and PostgreSQL have.
fn instant(micros: i64) -> DateTime<Utc> {
    let since_1970 = micros.saturating_add(EPOCH).max(FIRST);
    DateTime::from_timestamp_micros(since_1970).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Datelike;

    #[test]
    fn every_stored_time_is_read() {
        assert_eq!(instant(0).to_rfc3339(), "2000-01-01T00:00:00+00:00");
        assert_eq!(instant(-1).to_rfc3339(), "1999-12-31T23:59:59.999999+00:00");
        assert_eq!(instant(i64::MIN).year(), -4713, "4714 BC");
        assert_eq!(instant(i64::MAX), DateTime::<Utc>::MAX_UTC);
    }
}
