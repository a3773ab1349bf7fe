/** Rows of a long list that are drawn: those in view and some around them. */

export interface Slice {
    from: number;
    to: number;
    /** Height of everything above the first drawn row, in pixels. */
    above: number;
    /** Height of everything below the last drawn row, in pixels. */
    below: number;
}

const AROUND = 8;

/** Returns the rows to draw for a viewport; `heights` has the height of each row. */
export function slice(heights: readonly number[], top: number, height: number): Slice {
    let from = 0;
    let above = 0;
    while (from < heights.length && above + (heights[from] ?? 0) <= top) {
        above += heights[from] ?? 0;
        from += 1;
    }
    let to = from;
    let reached = above;
    while (to < heights.length && reached < top + height) {
        reached += heights[to] ?? 0;
        to += 1;
    }
    for (let extra = 0; extra < AROUND && from > 0; extra += 1) {
        from -= 1;
        above -= heights[from] ?? 0;
    }
    to = Math.min(heights.length, to + AROUND);
    let below = 0;
    for (let row = to; row < heights.length; row += 1) below += heights[row] ?? 0;
    return { from, to, above, below };
}
