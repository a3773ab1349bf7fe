//! Pages of lists, newest first.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;

use crate::domain::{Page, PageRequest};

/// Collects one page of these entries by descending id: of those that are `wanted`. `item` returns the item of an entry, and
/// `bytes` the size of its content.
pub(super) fn newest_first<C: Copy + Ord, V, T: Clone>(
    entries: &BTreeMap<C, V>,
    page: PageRequest<C>,
    wanted: impl Fn(&T) -> bool,
    item: impl Fn(&V) -> &T,
    bytes: impl Fn(&T) -> usize,
) -> Page<T, C> {
    let end = page.cursor.map_or(Bound::Unbounded, Bound::Excluded);
    let older = entries.range((Bound::Unbounded, end)).rev();
    let listed = older.map(|(id, entry)| (*id, item(entry))).filter(|(_, item)| wanted(item));
    let sized = listed.map(|(id, item)| (bytes(item), move || Ok::<_, Infallible>((id, item.clone()))));
    let Ok(page) = Page::collect(sized, page.limit.get() as usize, |(id, _)| Some(*id));
    page.map(|(_, item)| item)
}
