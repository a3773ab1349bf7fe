//! Bounds of a page whose rows may be large.

/// Bytes of stored content on a page of several items: payloads, results, states and instructions, as the store keeps them.
pub const MAX_PAGE_BYTES: usize = 1_000_000;

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

/// The items of one page, and whether more follow. Each row comes with the bytes of its content, and is read only if it is part
/// of the page.
///
/// # Errors
/// That of the first row of the page which cannot be read.
pub fn fill_page<T, R, E>(
    rows: impl IntoIterator<Item = (usize, R)>,
    limit: usize,
) -> std::result::Result<(Vec<T>, bool), E>
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
    Ok((items, bounds.is_full()))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// The place and the length of each page of rows with these bytes.
    fn pages(rows: &[usize], limit: usize) -> Vec<usize> {
        let (mut pages, mut begin) = (Vec::new(), 0);
        loop {
            let left = rows[begin..].iter().map(|bytes| (*bytes, || Ok::<_, Infallible>(())));
            let Ok((items, more)) = fill_page(left, limit);
            begin += items.len();
            pages.push(items.len());
            if !more {
                assert_eq!(begin, rows.len(), "rows after the last page");
                return pages;
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
        assert_eq!(fill_page(rows, 1), Ok((vec!["one"], true)));
        assert_eq!(fill_page(rows, 2), Err("unreadable"));
    }
}
