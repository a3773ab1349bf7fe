//! Pages of streams that a storage returns.

use futures::{Stream, TryStreamExt};

use crate::domain::Page;
use crate::domain::page::PageBounds;
use crate::error::Result;

/// Collects one page of a stream: at most `limit` items, within the bounds of [`PageBounds`]. At most one item more is
/// read.
pub(super) async fn page<T, C>(
    items: impl Stream<Item = Result<T>> + Send,
    limit: u32,
    bytes: impl Fn(&T) -> usize,
    cursor: impl Fn(&T) -> C,
) -> Result<Page<T, C>> {
    let (mut bounds, mut page) = (PageBounds::new(limit as usize), Vec::new());
    let mut items = std::pin::pin!(items);
    while let Some(item) = items.try_next().await? {
        if !bounds.admits(bytes(&item)) {
            break;
        }
        page.push(item);
    }
    Ok(Page::ending(page, bounds.is_full(), |item| Some(cursor(item))))
}
