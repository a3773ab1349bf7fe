/** Ranks names by how well they fit what was typed. */

/** Returns a rank, lower is better; `undefined` if a word of the query does not occur. */
export function rank(name: string, query: string): number | undefined {
    const text = name.toLowerCase();
    let sum = 0;
    for (const word of query.toLowerCase().split(/\s+/).filter(Boolean)) {
        const at = text.indexOf(word);
        if (at === -1) return undefined;
        const begins = at === 0 || /[^a-z0-9]/.test(text[at - 1] ?? "");
        sum += at + (begins ? 0 : 100);
    }
    return sum;
}

/** Returns whether a text is the id of something, as one is pasted. */
export function isId(text: string): boolean {
    return /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(text.trim());
}
