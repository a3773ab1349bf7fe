/** Recognizes keys and sequences of two keys, such as `g` then `t`. */

const SEQUENCE_MS = 1000;

/** Part of a keyboard event that decides what it means. */
export interface Stroke {
    key: string;
    ctrlKey: boolean;
    metaKey: boolean;
    altKey: boolean;
}

/** Names a stroke: `Ctrl+K`, `Enter`, `g`, `?`; `Ctrl` stands for the command key too. */
export function named(stroke: Stroke): string {
    if (stroke.ctrlKey || stroke.metaKey)
        return `Ctrl+${stroke.key.length === 1 ? stroke.key.toUpperCase() : stroke.key}`;
    return stroke.altKey ? `Alt+${stroke.key}` : stroke.key;
}

/** Returns whether a stroke is a single key without a modifier, which must not act while somebody types. */
export function isSingle(name: string): boolean {
    return !name.startsWith("Ctrl+") && !name.startsWith("Alt+");
}

/** Joins strokes to sequences that begin with one of `prefixes`. */
export class Sequence {
    private pending: { name: string; at: number } | undefined;

    constructor(private readonly prefixes: ReadonlySet<string>) {}

    /** Returns the name of the whole sequence, or `undefined` while it is incomplete. */
    add(name: string, at: number): string | undefined {
        const before = this.pending;
        this.pending = undefined;
        if (before && at - before.at < SEQUENCE_MS) return `${before.name} ${name}`;
        if (this.prefixes.has(name)) {
            this.pending = { name, at };
            return undefined;
        }
        return name;
    }
}
