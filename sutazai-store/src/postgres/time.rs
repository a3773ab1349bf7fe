//! Times as columns of PostgreSQL.
//!
//! PostgreSQL stores more than the calendar of chrono: infinity in both directions, and years up to 294276.
//! Decoding these panics in sqlx. Here such a time is read as the nearest one that both support, so that no
//! row prevents the reading of others.

use chrono::{DateTime, Utc};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgRow, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{ColumnIndex, Decode, Postgres, Row, Type};

use super::error::StoreResult;

/// First time of PostgreSQL's calendar (24 November 4714 BC), in microseconds since 1970.
const FIRST: i64 = -210_866_803_200_000_000;
/// Microseconds from 1970 to 2000, the epoch of PostgreSQL.
const EPOCH: i64 = 946_684_800_000_000;

/// Reads columns that are times.
pub(super) trait Times {
    /// Returns the time in this column.
    fn time<I: ColumnIndex<PgRow>>(&self, column: I) -> StoreResult<DateTime<Utc>>;
    /// Returns the time in this column, unless it is null.
    fn time_if_any<I: ColumnIndex<PgRow>>(&self, column: I) -> StoreResult<Option<DateTime<Utc>>>;
}

impl Times for PgRow {
    fn time<I: ColumnIndex<PgRow>>(&self, column: I) -> StoreResult<DateTime<Utc>> {
        Ok(self.try_get::<Stored, _>(column)?.0)
    }

    fn time_if_any<I: ColumnIndex<PgRow>>(&self, column: I) -> StoreResult<Option<DateTime<Utc>>> {
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

/// Converts microseconds since 2000 into a time, clamped to what chrono and PostgreSQL support.
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
