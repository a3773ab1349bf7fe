//! Conversion of a byte stream into a stream of decoded items.

use futures::{Stream, StreamExt, stream};
use sutazai_core::Result;

/// Incremental decoder of a response body: push a chunk, then call [`next`](Self::next) until it returns `None`.
pub(in crate::models) trait Decoder: Send + 'static {
    /// Type of the decoded items.
    type Item: Send;

    /// Appends a chunk of the body.
    fn push(&mut self, bytes: &[u8]);

    /// Returns the next complete item; `None` until further bytes are pushed.
    ///
    /// # Errors
    /// `Unavailable` when the bytes violate the protocol; the decoder must not be used afterwards.
    fn next(&mut self) -> Result<Option<Self::Item>>;

    /// Returns the last item when the body has ended, if there is one.
    ///
    /// # Errors
    /// `Unavailable` when the body ended in the middle of an item.
    fn end(&mut self) -> Result<Option<Self::Item>>;
}

/// Decodes the items of a body; the stream ends after the first error.
pub(in crate::models) fn decode<D: Decoder, B: AsRef<[u8]>>(
    body: impl Stream<Item = Result<B>> + Send + 'static,
    decoder: D,
) -> impl Stream<Item = Result<D::Item>> + Send + 'static {
    let body = Some((Box::pin(body), decoder));
    stream::unfold(body, |state| async move {
        let (mut body, mut decoder) = state?;
        loop {
            match decoder.next() {
                Ok(Some(item)) => return Some((Ok(item), Some((body, decoder)))),
                Ok(None) => {}
                Err(e) => return Some((Err(e), None)),
            }
            match body.next().await {
                Some(Ok(bytes)) => decoder.push(bytes.as_ref()),
                Some(Err(e)) => return Some((Err(e), None)),
                None => return Some((decoder.end().transpose()?, None)),
            }
        }
    })
}

/// Decodes a body that arrives in the given chunks; for tests of decoders.
#[cfg(test)]
pub(super) fn decode_pieces<D: Decoder>(mut decoder: D, pieces: &[&[u8]]) -> Result<Vec<D::Item>> {
    let mut items = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(item) = decoder.next()? {
            items.push(item);
        }
    }
    items.extend(decoder.end()?);
    Ok(items)
}
