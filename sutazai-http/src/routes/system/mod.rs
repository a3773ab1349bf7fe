//! Measurements of the machine: a snapshot, a stream of snapshots, and the history of metric series.

pub(crate) mod stream;

use axum::extract::State;

use crate::app::App;
use crate::dto::metric_history::{ListSeries, MetricHistory, SeriesList, SeriesView};
use crate::dto::snapshot::SnapshotView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{HistoryParameters, HistoryQuery, Query, check_name};

/// Measure this machine.
#[utoipa::path(
    get,
    path = "/api/v1/system/metrics",
    operation_id = "show_metrics",
    tag = "system",
    responses(
        (status = 200, description = "A snapshot that is at most 1 second old.", body = SnapshotView),
    ),
)]
pub(crate) async fn metrics(State(app): State<App>) -> Result<Reply, ApiError> {
    Ok(Reply::json(app.snapshot().await?))
}

/// Show the history of metrics.
///
/// Returns several series of this machine over one time range. If a series has more samples than `points`, consecutive
/// samples are grouped; each group has their mean, least and largest value.
#[utoipa::path(
    get,
    path = "/api/v1/system/metrics/history",
    operation_id = "show_metric_history",
    tag = "system",
    params(
        ("series" = Vec<String>, Query, style = Form, explode, min_items = 1, max_items = 20, description = "Name of a series, at most 512 characters; repeat the parameter for several."),
        HistoryParameters,
    ),
    responses(
        (status = 200, description = "The series, in the order of the request.", body = MetricHistory),
        (status = 501, description = "This server keeps no history of metrics."),
    ),
)]
pub(crate) async fn history(State(app): State<App>, query: HistoryQuery) -> Result<Reply, ApiError> {
    let HistoryQuery { series: names, from, to, points } = query;
    let mut series = Vec::with_capacity(names.len());
    // One after another, so that a request never holds more than one database connection.
    for name in names {
        let read = app.engine().metric_points(&name, (from, to), points).await?;
        series.push(SeriesView::new(name, read));
    }
    Ok(Reply::ok(&MetricHistory { host: app.engine().host().to_owned(), from, to, series }))
}

/// List the metric series.
#[utoipa::path(
    get,
    path = "/api/v1/system/metrics/series",
    operation_id = "list_metric_series",
    tag = "system",
    params(ListSeries),
    responses(
        (status = 200, description = "The names of the series of this machine.", body = SeriesList),
        (status = 501, description = "This server keeps no history of metrics."),
    ),
)]
pub(crate) async fn series(
    State(app): State<App>,
    Query(ListSeries { prefix }): Query<ListSeries>,
) -> Result<Reply, ApiError> {
    check_name("prefix", &prefix)?;
    let items = app.engine().metric_series(&prefix).await?;
    Ok(Reply::ok(&SeriesList { host: app.engine().host().to_owned(), items }))
}
