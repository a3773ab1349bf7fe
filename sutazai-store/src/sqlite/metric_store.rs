//! [`MetricStore`] in an SQLite database.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{Row, SqliteConnection};
use sutazai_core::Result;
use sutazai_core::domain::MetricSample;
use sutazai_core::ports::{MetricStore, SeriesQuery};

use super::database::Database;
use super::error::StoreResult;
use super::statement::{bulk, instant, nanos};
use super::writer::Transaction;
use crate::tables::{METRIC_SAMPLES, METRIC_SERIES};

/// Samples of metrics in an SQLite file.
#[derive(Debug)]
pub(super) struct SqliteMetricStore {
    database: Database,
}

impl SqliteMetricStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl MetricStore for SqliteMetricStore {
    async fn append(&self, samples: &[MetricSample]) -> Result<()> {
        let samples = samples.to_vec();
        self.database.writer().run(METRIC_SAMPLES.insert(), |tx| Box::pin(append(tx, samples))).await
    }

    async fn range(&self, query: &SeriesQuery) -> Result<Vec<MetricSample>> {
        self.database
            .read(METRIC_SAMPLES.select(), query.clone(), |connection, query| {
                Box::pin(range(connection, query))
            })
            .await
    }

    async fn series(&self, host: &str, prefix: &str) -> Result<Vec<String>> {
        let input = (host.to_owned(), prefix.to_owned());
        self.database
            .read(METRIC_SERIES.select(), input, |connection, (host, prefix)| {
                Box::pin(series(connection, host, prefix))
            })
            .await
    }

    async fn compact(&self, fine_until: DateTime<Utc>, keep_from: DateTime<Utc>) -> Result<u64> {
        self.database
            .writer()
            .run(METRIC_SAMPLES.delete(), move |tx| Box::pin(compact(tx, fine_until, keep_from)))
            .await
    }
}

/// Returns at most `max_points` samples: consecutive samples are averaged in groups of about equal size, and
/// each group has the time of its first sample.
async fn range(connection: &mut SqliteConnection, query: &SeriesQuery) -> StoreResult<Vec<MetricSample>> {
    const RANGE: &str = "\
        WITH found AS (
            SELECT at, value, row_number() OVER (ORDER BY at) - 1 AS place, count(*) OVER () AS total
            FROM metric_samples
            WHERE series_id = (SELECT id FROM metric_series WHERE host = ?1 AND name = ?2)
            AND at >= ?3 AND at < ?4
        )
        SELECT min(at), avg(value) FROM found
        GROUP BY CASE WHEN total <= ?5 THEN place ELSE place * ?5 / total END ORDER BY 1";
    let rows = sqlx::query(RANGE)
        .bind(&query.host)
        .bind(&query.series)
        .bind(nanos(query.from))
        .bind(nanos(query.to))
        .bind(query.max_points)
        .fetch_all(&mut *connection)
        .await?;
    let sample = |row: &sqlx::sqlite::SqliteRow| -> StoreResult<MetricSample> {
        Ok(MetricSample {
            host: query.host.clone(),
            series: query.series.clone(),
            at: instant(row.try_get(0)?),
            value: row.try_get(1)?,
        })
    };
    rows.iter().map(sample).collect()
}

async fn series(connection: &mut SqliteConnection, host: &str, prefix: &str) -> StoreResult<Vec<String>> {
    const NAMES: &str = "\
        SELECT name FROM metric_series WHERE host = ?1 AND substr(name, 1, length(?2)) = ?2 \
        AND EXISTS (SELECT 1 FROM metric_samples WHERE series_id = id) ORDER BY name";
    let rows = sqlx::query(NAMES).bind(host).bind(prefix).fetch_all(&mut *connection).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

async fn append(tx: &mut Transaction, samples: Vec<MetricSample>) -> StoreResult<()> {
    let connection = &mut tx.connection;
    let mut names: Vec<(&str, &str)> =
        samples.iter().map(|sample| (sample.host.as_str(), sample.series.as_str())).collect();
    names.sort_unstable();
    names.dedup();
    let series = ("INSERT OR IGNORE INTO metric_series (host, name) VALUES", 2, "");
    bulk(connection, series, &names, |(host, name), to| {
        sqlx::Arguments::add(to, *host)?;
        sqlx::Arguments::add(to, *name)?;
        Ok(())
    })
    .await?;
    let head = "INSERT OR REPLACE INTO metric_samples (series_id, at, value) \
                SELECT id, column3, column4 FROM (VALUES";
    let tail = ") JOIN metric_series ON host = column1 AND name = column2";
    bulk(connection, (head, 4, tail), &samples, |sample, to| {
        sqlx::Arguments::add(to, sample.host.as_str())?;
        sqlx::Arguments::add(to, sample.series.as_str())?;
        sqlx::Arguments::add(to, nanos(sample.at))?;
        sqlx::Arguments::add(to, sample.value)?;
        Ok(())
    })
    .await?;
    Ok(())
}

/// Reduces minutes before `fine_until` to one sample each, their mean, and deletes samples before
/// `keep_from`.
async fn compact(
    tx: &mut Transaction,
    fine_until: DateTime<Utc>,
    keep_from: DateTime<Utc>,
) -> StoreResult<u64> {
    const DELETE_OLD: &str = "DELETE FROM metric_samples WHERE at < ?";
    const MEANS: &str = "\
        CREATE TEMP TABLE minutes AS
        SELECT series_id, at / 60000000000 AS minute, min(at) AS at, avg(value) AS value, count(*) AS samples
        FROM metric_samples WHERE at < ? GROUP BY 1, 2 HAVING count(*) > 1";
    const CLEAR: &str = "DELETE FROM metric_samples WHERE at < ? \
                         AND (series_id, at / 60000000000) IN (SELECT series_id, minute FROM minutes)";
    const KEEP: &str =
        "INSERT INTO metric_samples (series_id, at, value) SELECT series_id, at, value FROM minutes";
    const DELETE_EMPTY_SERIES: &str = "DELETE FROM metric_series WHERE NOT EXISTS \
                            (SELECT 1 FROM metric_samples WHERE series_id = metric_series.id)";
    let connection = &mut tx.connection;
    let forgotten =
        sqlx::query(DELETE_OLD).bind(nanos(keep_from)).execute(&mut *connection).await?.rows_affected();
    sqlx::query(MEANS).bind(nanos(fine_until)).execute(&mut *connection).await?;
    let cleared = sqlx::query(CLEAR).bind(nanos(fine_until)).execute(&mut *connection).await?.rows_affected();
    let kept = sqlx::query(KEEP).execute(&mut *connection).await?.rows_affected();
    sqlx::query("DROP TABLE minutes").execute(&mut *connection).await?;
    sqlx::query(DELETE_EMPTY_SERIES).execute(&mut *connection).await?;
    Ok(forgotten + cleared - kept)
}
