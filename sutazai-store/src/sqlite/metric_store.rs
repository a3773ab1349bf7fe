//! [`MetricStore`] in an SQLite database.

use std::sync::LazyLock;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{Row, SqliteConnection};
use sutazai_core::Result;
use sutazai_core::domain::{MetricPoint, MetricSample};
use sutazai_core::ports::{MetricStore, SeriesQuery};

use super::columns::bind;
use super::database::Database;
use super::error::StoreResult;
use super::statement::{bulk, instant, nanos};
use super::writer::Transaction;
use crate::columns::{SAMPLE, SERIES, join, names};
use crate::metric_series::one_of_each_series;
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

    async fn range(&self, query: &SeriesQuery) -> Result<Vec<MetricPoint>> {
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

/// Returns at most `max_points` points: consecutive samples form groups of about equal size, each with their mean,
/// least and largest value and the time of the first.
async fn range(connection: &mut SqliteConnection, query: &SeriesQuery) -> StoreResult<Vec<MetricPoint>> {
    const RANGE: &str = "\
        WITH found AS (
            SELECT at, value, row_number() OVER (ORDER BY at) - 1 AS place, count(*) OVER () AS total
            FROM metric_samples
            WHERE series_id = (SELECT id FROM metric_series WHERE host = ?1 AND name = ?2)
            AND at >= ?3 AND at < ?4
        )
        SELECT min(at) AS first, avg(value) AS mean, min(value) AS least, max(value) AS largest FROM found
        GROUP BY CASE WHEN total <= ?5 THEN place ELSE place * ?5 / total END ORDER BY first";
    let rows = sqlx::query(RANGE)
        .bind(&query.host)
        .bind(&query.series)
        .bind(nanos(query.from))
        .bind(nanos(query.to))
        .bind(query.max_points)
        .fetch_all(&mut *connection)
        .await?;
    let point = |row: &sqlx::sqlite::SqliteRow| -> StoreResult<MetricPoint> {
        Ok(MetricPoint {
            at: instant(row.try_get("first")?),
            mean: row.try_get("mean")?,
            min: row.try_get("least")?,
            max: row.try_get("largest")?,
        })
    };
    rows.iter().map(point).collect()
}

async fn series(connection: &mut SqliteConnection, host: &str, prefix: &str) -> StoreResult<Vec<String>> {
    const NAMES: &str = "\
        SELECT name FROM metric_series WHERE host = ?1 AND substr(name, 1, length(?2)) = ?2 \
        AND EXISTS (SELECT 1 FROM metric_samples WHERE series_id = id) ORDER BY name";
    let rows = sqlx::query(NAMES).bind(host).bind(prefix).fetch_all(&mut *connection).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

async fn append(tx: &mut Transaction, samples: Vec<MetricSample>) -> StoreResult<()> {
    static INSERT_SERIES: LazyLock<String> =
        LazyLock::new(|| format!("INSERT OR IGNORE INTO metric_series ({}) VALUES", names(SERIES)));
    static INSERT: LazyLock<String> = LazyLock::new(|| {
        let values = join(SAMPLE, |place, _| format!("column{}", SERIES.len() + place + 1));
        let columns = names(SAMPLE);
        format!(
            "INSERT OR REPLACE INTO metric_samples (series_id, {columns}) SELECT id, {values} FROM (VALUES"
        )
    });
    static OF_SERIES: LazyLock<String> = LazyLock::new(|| {
        let values = join(SERIES, |place, _| format!("column{}", place + 1));
        format!(") JOIN metric_series ON ({}) = ({values})", names(SERIES))
    });
    let connection = &mut tx.connection;
    let series = (INSERT_SERIES.as_str(), SERIES.len(), "");
    let new = one_of_each_series(&samples);
    bulk(connection, series, &new, |sample, to| bind(to, SERIES, *sample)).await?;
    let insert = (INSERT.as_str(), SERIES.len() + SAMPLE.len(), OF_SERIES.as_str());
    bulk(connection, insert, &samples, |sample, to| {
        bind(to, SERIES, sample)?;
        bind(to, SAMPLE, sample)
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
