//! [`MetricStore`] in a PostgreSQL database.

use std::collections::HashMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, PgConnection, Row};
use sutazai_core::domain::{MetricPoint, MetricSample};
use sutazai_core::ports::{MetricStore, SeriesQuery};
use sutazai_core::{Error, ErrorKind, Result};

use super::columns::{arrays, bind_arrays};
use super::database::Database;
use super::error::StoreResult;
use super::text::{given, kept};
use super::time::Times;
use super::timeout_class::TimeoutClass;
use super::transaction::Transaction;
use crate::columns::{SAMPLE, SERIES, changes, names, overwritten};
use crate::metric_series::one_of_each_series;
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

    async fn range(&self, query: &SeriesQuery) -> Result<Vec<MetricPoint>> {
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

/// Returns at most `max_points` points: consecutive samples form groups of about equal size, each with their mean,
/// least and largest value and the time of the first.
async fn range(connection: &mut PgConnection, query: &SeriesQuery) -> StoreResult<Vec<MetricPoint>> {
    const RANGE: &str = "\
        WITH found AS (
            SELECT at, value, row_number() OVER (ORDER BY at) - 1 AS place, count(*) OVER () AS total
            FROM metric_samples
            WHERE series_id = (SELECT id FROM metric_series WHERE host = $1 AND name = $2)
            AND at >= $3 AND at < $4
        )
        SELECT min(at) AS first, avg(value) AS mean, min(value) AS least, max(value) AS largest FROM found
        GROUP BY CASE WHEN total <= $5 THEN place ELSE place * $5 / total END ORDER BY first";
    let rows = sqlx::query(RANGE)
        .bind(kept(&query.host))
        .bind(kept(&query.series))
        .bind(query.from)
        .bind(query.to)
        .bind(i64::from(query.max_points))
        .fetch_all(connection)
        .await?;
    let point = |row: &PgRow| -> StoreResult<MetricPoint> {
        Ok(MetricPoint {
            at: row.time("first")?,
            mean: row.try_get("mean")?,
            min: row.try_get("least")?,
            max: row.try_get("largest")?,
        })
    };
    rows.iter().map(point).collect()
}

async fn series(connection: &mut PgConnection, host: &str, prefix: &str) -> StoreResult<Vec<String>> {
    // Sorted by bytes, as in the other stores, whatever the collation of the database.
    const NAMES: &str = "SELECT name FROM metric_series WHERE host = $1 AND starts_with(name, $2) \
        AND EXISTS (SELECT 1 FROM metric_samples WHERE series_id = id) ORDER BY name COLLATE \"C\"";
    let rows = sqlx::query(NAMES).bind(kept(host)).bind(kept(prefix)).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(given(row.try_get(0)?).into_owned())).collect()
}

async fn append(transaction: &mut Transaction<'_>, samples: &[MetricSample]) -> StoreResult<()> {
    static INSERT_SERIES: LazyLock<String> = LazyLock::new(|| {
        let (columns, arrays) = (names(SERIES), arrays(1, SERIES));
        format!("INSERT INTO metric_series ({columns}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING")
    });
    // Locked, so that a concurrent compaction does not remove a series before its first sample is inserted.
    static IDS: LazyLock<String> = LazyLock::new(|| {
        let (columns, arrays) = (names(SERIES), arrays(1, SERIES));
        format!(
            "SELECT {columns}, id FROM metric_series \
             WHERE ({columns}) IN (SELECT * FROM unnest({arrays})) FOR KEY SHARE"
        )
    });
    static INSERT: LazyLock<String> = LazyLock::new(|| {
        let (columns, arrays, new) = (names(SAMPLE), arrays(2, SAMPLE), overwritten(changes(SAMPLE)));
        format!(
            "INSERT INTO metric_samples (series_id, {columns}) SELECT series_id, {columns} \
             FROM unnest($1::integer[], {arrays}) AS new (series_id, {columns}) \
             ON CONFLICT (series_id, at) DO UPDATE SET {new}"
        )
    });
    let connection = &mut *transaction.connection;
    let series = one_of_each_series(samples);
    let series = || -> StoreResult<PgArguments> {
        let mut arguments = PgArguments::default();
        bind_arrays(&mut arguments, SERIES, &series)?;
        Ok(arguments)
    };
    sqlx::query_with(INSERT_SERIES.as_str(), series()?).execute(&mut *connection).await?;
    let rows = sqlx::query_with(IDS.as_str(), series()?).fetch_all(&mut *connection).await?;
    let mut ids = HashMap::with_capacity(rows.len());
    for row in &rows {
        let [host, name] = [row.try_get::<&str, _>("host")?, row.try_get::<&str, _>("name")?];
        ids.insert((host, name), row.try_get::<i32, _>("id")?);
    }
    // One statement may not write a row twice: of two samples of the same time the later one wins.
    let mut latest = HashMap::with_capacity(samples.len());
    for sample in samples {
        let removed = || Error::new(ErrorKind::Busy, "a series was removed concurrently");
        let id = *ids.get(&(&*kept(&sample.host), &*kept(&sample.series))).ok_or_else(removed)?;
        latest.insert((id, sample.at.timestamp_micros()), sample);
    }
    let (keys, samples): (Vec<_>, Vec<_>) = latest.into_iter().unzip();
    let mut arguments = PgArguments::default();
    arguments.add(keys.into_iter().map(|(id, _)| id).collect::<Vec<i32>>())?;
    bind_arrays(&mut arguments, SAMPLE, &samples)?;
    sqlx::query_with(INSERT.as_str(), arguments).execute(&mut *connection).await?;
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
