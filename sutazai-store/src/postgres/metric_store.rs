//! [`MetricStore`] in a PostgreSQL database.

use std::borrow::Cow;
use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use sutazai_core::domain::MetricSample;
use sutazai_core::ports::{MetricStore, SeriesQuery};
use sutazai_core::{Error, ErrorKind, Result};

use super::database::Database;
use super::error::StoreResult;
use super::text::{given, kept};
use super::time::Times;
use super::timeout_class::TimeoutClass;
use super::transaction::Transaction;
use crate::tables::{METRIC_SAMPLES, METRIC_SERIES};

/// Samples of metrics in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresMetricStore {
    database: Database,
}

impl PostgresMetricStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl MetricStore for PostgresMetricStore {
    async fn append(&self, samples: &[MetricSample]) -> Result<()> {
        self.database
            .write(METRIC_SAMPLES.insert(), samples.to_vec(), |tx, samples| Box::pin(append(tx, samples)))
            .await
    }

    async fn range(&self, query: &SeriesQuery) -> Result<Vec<MetricSample>> {
        let read = self.database.run_within(
            METRIC_SAMPLES.select(),
            TimeoutClass::Long,
            query.clone(),
            |connection, query| Box::pin(range(connection, query)),
        );
        read.await
    }

    async fn series(&self, host: &str, prefix: &str) -> Result<Vec<String>> {
        self.database
            .run(
                METRIC_SERIES.select(),
                (host.to_owned(), prefix.to_owned()),
                |connection, (host, prefix)| Box::pin(series(connection, host, prefix)),
            )
            .await
    }

    async fn compact(&self, fine_until: DateTime<Utc>, keep_from: DateTime<Utc>) -> Result<u64> {
        self.database
            .write_within(METRIC_SAMPLES.delete(), TimeoutClass::Long, (), move |tx, ()| {
                Box::pin(compact(tx, fine_until, keep_from))
            })
            .await
    }
}

/// Returns at most `max_points` samples: consecutive samples are averaged in groups of about equal size, and
/// each group has the time of its first sample.
async fn range(connection: &mut PgConnection, query: &SeriesQuery) -> StoreResult<Vec<MetricSample>> {
    const RANGE: &str = "\
        WITH found AS (
            SELECT at, value, row_number() OVER (ORDER BY at) - 1 AS place, count(*) OVER () AS total
            FROM metric_samples
            WHERE series_id = (SELECT id FROM metric_series WHERE host = $1 AND name = $2)
            AND at >= $3 AND at < $4
        )
        SELECT min(at) AS first, avg(value) FROM found
        GROUP BY CASE WHEN total <= $5 THEN place ELSE place * $5 / total END ORDER BY first";
    let rows = sqlx::query(RANGE)
        .bind(kept(&query.host))
        .bind(kept(&query.series))
        .bind(query.from)
        .bind(query.to)
        .bind(i64::from(query.max_points))
        .fetch_all(connection)
        .await?;
    let sample = |row: &PgRow| -> StoreResult<MetricSample> {
        Ok(MetricSample {
            host: query.host.clone(),
            series: query.series.clone(),
            at: row.time(0)?,
            value: row.try_get(1)?,
        })
    };
    rows.iter().map(sample).collect()
}

async fn series(connection: &mut PgConnection, host: &str, prefix: &str) -> StoreResult<Vec<String>> {
    // Sorted by bytes, as in the other stores, whatever the collation of the database.
    const NAMES: &str = "SELECT name FROM metric_series WHERE host = $1 AND starts_with(name, $2) \
        AND EXISTS (SELECT 1 FROM metric_samples WHERE series_id = id) ORDER BY name COLLATE \"C\"";
    let rows = sqlx::query(NAMES).bind(kept(host)).bind(kept(prefix)).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(given(row.try_get(0)?))).collect()
}

async fn append(transaction: &mut Transaction<'_>, samples: &[MetricSample]) -> StoreResult<()> {
    const SERIES: &str = "INSERT INTO metric_series (host, name) \
                          SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING";
    // Locked, so that a concurrent compaction does not remove a series before its first sample is inserted.
    const IDS: &str = "SELECT host, name, id FROM metric_series \
                       WHERE (host, name) IN (SELECT * FROM unnest($1::text[], $2::text[])) FOR KEY SHARE";
    const INSERT: &str = "\
        INSERT INTO metric_samples (series_id, at, value)
        SELECT series_id, at, value
        FROM unnest($1::integer[], $2::timestamptz[], $3::float8[]) AS new (series_id, at, value)
        ON CONFLICT (series_id, at) DO UPDATE SET value = excluded.value";
    let connection = &mut *transaction.connection;
    let mut keys: Vec<(Cow<'_, str>, Cow<'_, str>)> =
        samples.iter().map(|sample| (kept(&sample.host), kept(&sample.series))).collect();
    keys.sort_unstable();
    keys.dedup();
    let (hosts, names): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
    sqlx::query(SERIES).bind(&hosts).bind(&names).execute(&mut *connection).await?;
    let rows = sqlx::query(IDS).bind(&hosts).bind(&names).fetch_all(&mut *connection).await?;
    let mut ids = HashMap::with_capacity(rows.len());
    for row in &rows {
        ids.insert((row.try_get::<&str, _>(0)?, row.try_get::<&str, _>(1)?), row.try_get::<i32, _>(2)?);
    }
    // One statement may not write a row twice: of two samples of the same time the later one wins.
    let mut latest = HashMap::with_capacity(samples.len());
    for sample in samples {
        let removed = || Error::new(ErrorKind::Busy, "a series was removed concurrently");
        let id = *ids.get(&(&*kept(&sample.host), &*kept(&sample.series))).ok_or_else(removed)?;
        latest.insert((id, sample.at.timestamp_micros()), (sample.at, sample.value));
    }
    sqlx::query(INSERT)
        .bind(latest.keys().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(latest.values().map(|(at, _)| *at).collect::<Vec<_>>())
        .bind(latest.values().map(|(_, value)| *value).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Reduces minutes before `fine_until` to one sample each, their mean, and deletes samples before
/// `keep_from`.
async fn compact(
    transaction: &mut Transaction<'_>,
    fine_until: DateTime<Utc>,
    keep_from: DateTime<Utc>,
) -> StoreResult<u64> {
    const DELETE_OLD: &str = "DELETE FROM metric_samples WHERE at < $1";
    const MEANS: &str = "\
        WITH minutes AS (
            SELECT series_id, date_trunc('minute', at, 'UTC') AS minute, min(at) AS first, avg(value) AS mean
            FROM metric_samples WHERE at < $1 GROUP BY 1, 2 HAVING count(*) > 1
        ), kept AS (
            UPDATE metric_samples SET value = mean FROM minutes
            WHERE metric_samples.series_id = minutes.series_id AND at = first
        )
        DELETE FROM metric_samples USING minutes
        WHERE metric_samples.series_id = minutes.series_id AND at > first AND at < $1
            AND at < minute + interval '1 minute'";
    const DELETE_EMPTY_SERIES: &str = "DELETE FROM metric_series WHERE NOT EXISTS \
                            (SELECT 1 FROM metric_samples WHERE series_id = metric_series.id)";
    let connection = &mut *transaction.connection;
    let forgotten = sqlx::query(DELETE_OLD).bind(keep_from).execute(&mut *connection).await?.rows_affected();
    let thinned = sqlx::query(MEANS).bind(fine_until).execute(&mut *connection).await?.rows_affected();
    sqlx::query(DELETE_EMPTY_SERIES).execute(&mut *connection).await?;
    Ok(forgotten + thinned)
}
