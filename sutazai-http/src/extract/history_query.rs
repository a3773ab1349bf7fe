//! Query parameters that request the history of several metric series.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use sutazai_bodies::time::time;
use sutazai_core::Error;
use utoipa::IntoParams;

use crate::app::App;
use crate::error::ApiError;
use crate::extract::Query;

/// Maximum number of series of one request.
const MAX_SERIES: usize = 20;
/// Maximum length of the name of a series, and of a prefix, in characters. A name has the path of a mount in it.
const MAX_NAME_LENGTH: usize = 512;
/// Maximum and default number of points of each series.
const MAX_POINTS: u32 = 1_000;
const DEFAULT_POINTS: u32 = 300;
/// Length of the time range if only its end is known.
const DEFAULT_RANGE: TimeDelta = TimeDelta::hours(1);

/// Series and time range of a request; 422 naming the parameter that is invalid.
#[derive(Debug)]
pub(crate) struct HistoryQuery {
    /// Names of the series, in the order of the request.
    pub(crate) series: Vec<String>,
    /// Start of the range, inclusive.
    pub(crate) from: DateTime<Utc>,
    /// End of the range, exclusive.
    pub(crate) to: DateTime<Utc>,
    /// Maximum number of points of each series.
    pub(crate) points: u32,
}

/// Query parameters of a history but `series`, which may be repeated, as serde_urlencoded cannot read it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryParameters {
    /// Start of the time range, inclusive; default one hour before its end.
    #[serde(default, deserialize_with = "time")]
    #[param(nullable = false)]
    from: Option<DateTime<Utc>>,
    /// End of the time range, exclusive; default now.
    #[serde(default, deserialize_with = "time")]
    #[param(nullable = false)]
    to: Option<DateTime<Utc>>,
    /// Maximum number of points of each series; more samples are grouped.
    #[serde(default = "default_points")]
    #[param(minimum = 1, maximum = 1000, default = 300)]
    points: u32,
}

fn default_points() -> u32 {
    DEFAULT_POINTS
}

impl FromRequestParts<App> for HistoryQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Query(read): Query<HistoryParameters> = Query::from_request_parts(parts, app).await?;
        let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let series = pairs.filter(|(name, _)| name == "series").map(|(_, value)| value.into_owned());
        let series: Vec<String> = series.collect();
        if series.is_empty() || series.len() > MAX_SERIES {
            let message = format!("expected 1 to {MAX_SERIES} series, got {}", series.len());
            return Err(Error::invalid("series", message).into());
        }
        series.iter().try_for_each(|name| check_name("series", name))?;
        if !(1..=MAX_POINTS).contains(&read.points) {
            let message = format!("expected 1 to {MAX_POINTS}, got {}", read.points);
            return Err(Error::invalid("points", message).into());
        }
        let to = read.to.unwrap_or_else(|| app.engine().clock().now());
        let from = read.from.unwrap_or_else(|| to.checked_sub_signed(DEFAULT_RANGE).unwrap_or(to));
        if from >= to {
            return Err(Error::invalid("from", "expected a time before `to`").into());
        }
        Ok(Self { series, from, to, points: read.points })
    }
}

/// Requires at most [`MAX_NAME_LENGTH`] characters.
///
/// # Errors
/// `InvalidInput` naming the field.
pub(crate) fn check_name(field: &str, name: &str) -> Result<(), Error> {
    match name.chars().count() {
        count if count > MAX_NAME_LENGTH => {
            Err(Error::invalid(field, format!("expected at most {MAX_NAME_LENGTH} characters, got {count}")))
        }
        _ => Ok(()),
    }
}
