//! Pages of lists, and the bounds of a page whose rows may be large.

use crate::error::{Error, Result};

/// Bytes of stored content on a page of several items: payloads, results, states and instructions, as the store keeps them.
pub const MAX_PAGE_BYTES: usize = 1_000_000;

/// Maximum number of items on a page: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageLimit(u32);

impl PageLimit {
    /// Largest limit: 100 items.
    pub const MAX: Self = Self(100);

    /// Creates a limit of `limit` items.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit` if it is not 1 to 100.
    pub fn new(limit: u32) -> Result<Self> {
        if (1..=Self::MAX.0).contains(&limit) {
            return Ok(Self(limit));
        }
        Err(Error::invalid("limit", format!("expected 1 to {}, got {limit}", Self::MAX.0)))
    }

    /// Returns the number of items.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for PageLimit {
    /// Returns a limit of 20 items.
    fn default() -> Self {
        Self(20)
    }
}

/// Request for one page of a list. By default the first page, with at most 20 items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageRequest<C> {
    /// Only items that follow this one in the order of the list: the `next` of the previous page. `None`: from the start.
    pub cursor: Option<C>,
    /// Maximum number of items.
    pub limit: PageLimit,
}

impl<C> PageRequest<C> {
    /// Requests at most `limit` items after `cursor`, or from the start of the list.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit` if it is not 1 to 100.
    pub fn new(cursor: Option<C>, limit: u32) -> Result<Self> {
        Ok(Self { cursor, limit: PageLimit::new(limit)? })
    }
}

impl<C> Default for PageRequest<C> {
    fn default() -> Self {
        PageLimit::default().into()
    }
}

impl<C> From<PageLimit> for PageRequest<C> {
    /// Requests the first page.
    fn from(limit: PageLimit) -> Self {
        Self { cursor: None, limit }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The items of this page, in the order of the list.
    pub items: Vec<T>,
    /// Cursor of the next page; `None` at the end of the list.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// Collects the rows of a page: at most `limit`, within the bounds of [`PageBounds`]. Each row comes with the size of its
    /// content in bytes, and is read only if it belongs to the page. `cursor` returns the cursor of a row that was read, or
    /// `None` if that part of it is unreadable.
    ///
    /// # Errors
    /// The error of the first row of the page that cannot be read.
    pub fn collect<R, E>(
        rows: impl IntoIterator<Item = (usize, R)>,
        limit: usize,
        cursor: impl Fn(&T) -> Option<C>,
    ) -> std::result::Result<Self, E>
    where
        R: FnOnce() -> std::result::Result<T, E>,
    {
        let (mut bounds, mut items) = (PageBounds::new(limit), Vec::new());
        for (bytes, read) in rows {
            if !bounds.admits(bytes) {
                break;
            }
            items.push(read()?);
        }
        Ok(Self::ending(items, bounds.is_full(), cursor))
    }

    /// Creates the page of these items; `more` indicates that others follow.
    pub fn ending(items: Vec<T>, more: bool, cursor: impl Fn(&T) -> Option<C>) -> Self {
        let next = if more { items.iter().rev().find_map(cursor) } else { None };
        Self { items, next }
    }

    /// Converts each item of the page.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U, C> {
        Page { items: self.items.into_iter().map(convert).collect(), next: self.next }
    }

    /// Converts the items and omits those that `convert` returns no value for.
    pub fn filter_map<U>(self, convert: impl FnMut(T) -> Option<U>) -> Page<U, C> {
        Page { items: self.items.into_iter().filter_map(convert).collect(), next: self.next }
    }
}

impl<T, C> Default for Page<T, C> {
    /// Returns the page of an empty list.
    fn default() -> Self {
        Self { items: Vec::new(), next: None }
    }
}

/// Decides row by row which ones make up a page: at most `limit` rows, and no more than fit into [`MAX_PAGE_BYTES`], but at
/// least one, so that a row larger than a page has a page of its own.
///
/// Every list whose rows a user can make large is bounded here. A limit of rows alone would let one request take the memory of
/// 100 of the largest payloads.
#[derive(Debug, Clone)]
pub struct PageBounds {
    limit: usize,
    rows: usize,
    bytes: usize,
    is_full: bool,
}

impl PageBounds {
    /// An empty page of at most `limit` rows.
    pub const fn new(limit: usize) -> Self {
        Self { limit, rows: 0, bytes: 0, is_full: false }
    }

    /// Counts the next row, with content of `bytes` bytes, and returns whether it belongs to the page. Once a row is
    /// rejected, all later ones are.
    pub fn admits(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        let exceeds = self.rows >= self.limit || (self.bytes > MAX_PAGE_BYTES && self.rows > 0);
        self.is_full |= exceeds;
        self.rows += usize::from(!self.is_full);
        !self.is_full
    }

    /// Returns whether a row was rejected and left to the next page.
    pub const fn is_full(&self) -> bool {
        self.is_full
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// The place and the length of each page of rows with these bytes.
    fn pages(rows: &[usize], limit: usize) -> Vec<usize> {
        let (mut pages, mut begin) = (Vec::new(), 0);
        loop {
            let numbered = (begin + 1..).zip(&rows[begin..]);
            let left = numbered.map(|(number, bytes)| (*bytes, move || Ok::<_, Infallible>(number)));
            let Ok(page) = Page::collect(left, limit, |number| Some(*number));
            begin += page.items.len();
            pages.push(page.items.len());
            match page.next {
                Some(next) => assert_eq!(next, begin, "the cursor of the last row"),
                None => {
                    assert_eq!(begin, rows.len(), "rows after the last page");
                    return pages;
                }
            }
        }
    }

    #[test]
    fn page_ends_at_its_limit_or_its_bytes() {
        let half = MAX_PAGE_BYTES / 2;
        assert_eq!(pages(&[], 3), [0]);
        assert_eq!(pages(&[1; 6], 3), [3, 3]);
        assert_eq!(pages(&[half; 5], 100), [2, 2, 1]);
        assert_eq!(pages(&[half, half + 1, half], 100), [1, 1, 1]);
        assert_eq!(
            pages(&[1, 3 * MAX_PAGE_BYTES, 1, 1], 100),
            [1, 1, 2],
            "a large row has a page of its own"
        );
        assert_eq!(pages(&[usize::MAX, usize::MAX], 100), [1, 1], "a sum of sizes does not overflow");
    }

    #[test]
    fn row_after_the_page_is_neither_admitted_nor_read() {
        let mut bounds = PageBounds::new(5);
        assert!(bounds.admits(MAX_PAGE_BYTES));
        assert!(!bounds.admits(1) && !bounds.admits(0), "a smaller row would be out of order");
        let rows = [(1, Ok("one")), (2, Err("unreadable"))].map(|(bytes, row)| (bytes, move || row));
        let first = Page { items: vec!["one"], next: Some("one") };
        assert_eq!(Page::collect(rows, 1, |row| Some(*row)), Ok(first));
        assert_eq!(Page::collect(rows, 2, |row| Some(*row)), Err("unreadable"));
    }

    #[test]
    fn cursor_is_that_of_the_last_row_that_has_one() {
        let rows = vec![(Some(1), 'a'), (Some(2), 'b'), (None, 'c')];
        let page = Page::ending(rows.clone(), true, |(number, _)| *number);
        assert_eq!(page.next, Some(2));
        assert_eq!(page.map(|(_, letter)| letter), Page { items: vec!['a', 'b', 'c'], next: Some(2) });
        assert_eq!(Page::ending(rows, false, |(number, _)| *number).next, None);
    }

    #[test]
    fn limit_is_1_to_100() {
        for good in [1, 20, 100] {
            assert_eq!(PageRequest::<u64>::new(None, good).unwrap().limit.get(), good);
        }
        for bad in [0, 101, u32::MAX] {
            let e = PageRequest::new(Some(7), bad).unwrap_err();
            assert_eq!((e.field(), e.message()), (Some("limit"), &*format!("expected 1 to 100, got {bad}")));
        }
        assert_eq!(PageRequest::<u64>::default(), PageRequest { cursor: None, limit: PageLimit(20) });
    }
}
