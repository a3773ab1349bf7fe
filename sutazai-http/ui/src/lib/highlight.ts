/** Finds the words of a search in a passage, so that they can be marked. */
export interface Marked {
    text: string;
    isHit: boolean;
}

/** Splits a text at the places that a search found, which count code points. */
export function marked(text: string, places: readonly { start: number; end: number }[]): Marked[] {
    const letters = [...text];
    const parts: Marked[] = [];
    let at = 0;
    for (const { start, end } of places) {
        if (start > at) parts.push({ text: letters.slice(at, start).join(""), isHit: false });
        parts.push({ text: letters.slice(start, end).join(""), isHit: true });
        at = end;
    }
    if (at < letters.length) parts.push({ text: letters.slice(at).join(""), isHit: false });
    return parts;
}

/** Splits a text at whole words of the query, regardless of case. */
export function mark(text: string, query: string): Marked[] {
    const words = [...query.matchAll(/[\p{L}\p{N}_]+/gu)].map(([word]) => word);
    if (words.length === 0) return [{ text, isHit: false }];
    const pattern = new RegExp(`(?<![\\p{L}\\p{N}_])(?:${words.join("|")})(?![\\p{L}\\p{N}_])`, "giu");
    const parts: Marked[] = [];
    let end = 0;
    for (const hit of text.matchAll(pattern)) {
        if (hit.index > end) parts.push({ text: text.slice(end, hit.index), isHit: false });
        parts.push({ text: hit[0], isHit: true });
        end = hit.index + hit[0].length;
    }
    if (end < text.length) parts.push({ text: text.slice(end), isHit: false });
    return parts;
}

const CONTEXT = 220;

/** Shortens a passage to the surroundings of its first hit. */
export function excerpt(parts: readonly Marked[]): Marked[] {
    const first = Math.max(
        0,
        parts.findIndex((part) => part.isHit),
    );
    const before = parts
        .slice(0, first)
        .map((part) => part.text)
        .join("");
    const start = before.length > CONTEXT ? `…${before.slice(-CONTEXT)}` : before;
    const shown: Marked[] = start ? [{ text: start, isHit: false }] : [];
    let left = CONTEXT * 2 - start.length;
    for (const part of parts.slice(first)) {
        if (part.text.length > left) {
            shown.push({ text: `${part.isHit ? "" : part.text.slice(0, left)}…`, isHit: false });
            break;
        }
        shown.push(part);
        left -= part.text.length;
    }
    return shown;
}
