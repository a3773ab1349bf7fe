//! Makes long answers shorter for callers who can read them so.

use axum::body::HttpBody;
use axum::http::Response;
use tower_http::CompressionLevel;
use tower_http::compression::{CompressionLayer, Predicate};

/// Below so many bytes it costs more than it saves.
const WORTH_IT: u64 = 1_024;

/// With gzip, which every client knows; no stream, whose pieces are to arrive one by one.
pub(crate) fn layer() -> CompressionLayer<Whole> {
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(Whole)
}

/// Answers whose length is known, and long enough.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole;

impl Predicate for Whole {
    fn should_compress<B: HttpBody>(&self, response: &Response<B>) -> bool {
        response.body().size_hint().exact().is_some_and(|length| length >= WORTH_IT)
    }
}
