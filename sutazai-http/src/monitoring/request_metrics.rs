//! Request metrics. Their handles are cached, because looking a metric up by its labels costs as much as a small
//! response.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, histogram};

/// Methods with a label of their own; all others are counted as `other`.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// Request metrics by route template. Requests cannot create more series than there are routes, methods and statuses.
/// The handles belong to the recorder that is installed when the first request of a series arrives.
#[derive(Debug, Default)]
pub(crate) struct RequestMetrics {
    known: RwLock<HashMap<String, Vec<SeriesHandles>>>,
}

/// Metrics of the requests with one method and one status.
#[derive(Debug)]
struct SeriesHandles {
    method: &'static str,
    status: StatusCode,
    took: Histogram,
    answered: Counter,
}

impl SeriesHandles {
    fn new(method: &'static str, route: &str, status: StatusCode) -> Self {
        let (endpoint, code) = (route.to_owned(), status.as_str().to_owned());
        Self {
            method,
            status,
            took: histogram!("http_request_duration_seconds", "method" => method, "endpoint" => endpoint.clone()),
            answered: counter!("http_requests_total", "method" => method, "endpoint" => endpoint, "status" => code),
        }
    }

    fn note(&self, took: Duration) {
        self.took.record(took.as_secs_f64());
        self.answered.increment(1);
    }
}

impl RequestMetrics {
    /// Records a request. `route` is its template, `None` for an unknown path.
    pub(crate) fn note(&self, method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
        let method = METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("other");
        let route = route.unwrap_or("unknown");
        let same = |figures: &&SeriesHandles| figures.method == method && figures.status == status;
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(figures) = known.get(route).and_then(|of_route| of_route.iter().find(same)) {
                return figures.note(took);
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let of_route = known.entry(route.to_owned()).or_default();
        if !of_route.iter().any(|figures| same(&figures)) {
            of_route.push(SeriesHandles::new(method, route, status));
        }
        if let Some(figures) = of_route.iter().find(same) {
            figures.note(took);
        }
    }
}
