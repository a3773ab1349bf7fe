//! From a stream of bytes to a stream of what they mean.

use futures::{Stream, StreamExt, stream};
use sutazai_core::Result;

/// Puts together what the pieces of a body mean. It is fed a piece, then asked until it has nothing more to say.
pub(in crate::models) trait Decoder: Send + 'static {
    /// What it gives.
    type Item: Send;

    /// Takes a piece of the body.
    fn push(&mut self, bytes: &[u8]);

    /// The next item that is whole.
    ///
    /// # Errors
    /// `Unavailable` when the bytes are not of the protocol; nothing more comes then.
    fn next(&mut self) -> Result<Option<Self::Item>>;

    /// What is left when the body has ended.
    ///
    /// # Errors
    /// `Unavailable` when it ended in the middle of something.
    fn end(&mut self) -> Result<Option<Self::Item>>;
}

/// The items of a body. Ends after the first error.
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

/// Everything a body means when it comes in these pieces; for tests of decoders.
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
