//! Compresses long responses for clients that accept gzip.

use axum::body::HttpBody;
use axum::http::Response;
use tower_http::CompressionLevel;
use tower_http::compression::{CompressionLayer, Predicate};

/// Minimum size of a compressed response in bytes; below it, compression costs more than it saves.
const MIN_BYTES: u64 = 1_024;

/// Creates the layer. Uses gzip at its fastest level, because every client supports it. Streams are not compressed:
/// the encoder would delay their events.
pub(crate) fn layer() -> CompressionLayer<Whole> {
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(Whole)
}

/// Selects responses of known length of at least [`MIN_BYTES`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole;

impl Predicate for Whole {
    fn should_compress<B: HttpBody>(&self, response: &Response<B>) -> bool {
        response.body().size_hint().exact().is_some_and(|length| length >= MIN_BYTES)
    }
}
