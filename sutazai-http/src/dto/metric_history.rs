//! History of metric series.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_core::domain::MetricPoint;
use utoipa::{IntoParams, ToSchema};

/// History of several series of this machine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MetricHistory {
    /// Name of the measured machine.
    pub(crate) host: String,
    /// Start of the time range, inclusive.
    pub(crate) from: DateTime<Utc>,
    /// End of the time range, exclusive.
    pub(crate) to: DateTime<Utc>,
    /// Series in the order of the request.
    pub(crate) series: Vec<SeriesView>,
}

/// Points of one series.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricSeries)]
pub(crate) struct SeriesView {
    #[schema(example = "host.cpu.used_percent")]
    name: String,
    /// Points in order of time; none if the series does not exist.
    points: Vec<PointView>,
}

impl SeriesView {
    /// Creates the view of a series. Figures that are not finite have no representation in JSON and are left out.
    pub(crate) fn new(name: String, points: Vec<MetricPoint>) -> Self {
        let finite =
            |point: &MetricPoint| [point.mean, point.min, point.max].iter().all(|one| one.is_finite());
        let points = points.into_iter().filter(finite);
        Self { name, points: points.map(PointView::from).collect() }
    }
}

/// One sample, or a group of consecutive samples.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricPoint)]
struct PointView {
    /// Time of the first sample.
    at: DateTime<Utc>,
    /// Mean of the samples, in the unit of the series.
    mean: f64,
    /// Least of the samples.
    min: f64,
    /// Largest of the samples.
    max: f64,
}

impl From<MetricPoint> for PointView {
    fn from(MetricPoint { at, mean, min, max }: MetricPoint) -> Self {
        Self { at, mean, min, max }
    }
}

/// Query parameters of the list of series.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListSeries {
    /// Beginning of the names.
    #[serde(default)]
    #[param(max_length = 512, example = "host.disks")]
    pub(crate) prefix: String,
}

/// Names of the series of this machine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SeriesList {
    /// Name of the measured machine.
    pub(crate) host: String,
    /// Names in ascending order.
    pub(crate) items: Vec<String>,
}
