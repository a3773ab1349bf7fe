//! Pages whose rows may be large.

use std::pin::pin;

use futures::{Stream, TryStreamExt};
use sqlx::postgres::PgRow;
use sutazai_core::domain::PageBounds;

use super::error::StoreResult;

/// Reads the rows of one page as they arrive, and tells whether more follow. A row beyond the page is dropped unread: PostgreSQL
/// cannot tell the size of a `jsonb` as text without making the text, so the statement asks for all rows that the limit allows,
/// and only those of the page are held.
pub(super) async fn fill<T>(
    rows: impl Stream<Item = sqlx::Result<PgRow>> + Send,
    limit: usize,
    bytes: impl Fn(&PgRow) -> usize + Send,
    read: impl Fn(&PgRow) -> StoreResult<T> + Send,
) -> StoreResult<(Vec<T>, bool)>
where
    T: Send,
{
    let mut rows = pin!(rows);
    let (mut bounds, mut items) = (PageBounds::new(limit), Vec::new());
    // To its end, so that the connection has no rows left when it is returned.
    while let Some(row) = rows.try_next().await? {
        if bounds.admits(bytes(&row)) {
            items.push(read(&row)?);
        }
    }
    Ok((items, bounds.is_full()))
}
