/** Keeps what was loaded by key, so that going back shows it at once. */
import { type Signal, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Failure } from "./failure";

export interface Loaded<T> {
    value: T | undefined;
    failure: Failure | undefined;
    loading: boolean;
    /** Time at which `value` arrived. */
    at: number | undefined;
}

interface Entry {
    state: Signal<Loaded<unknown>>;
    stale: boolean;
    /** Number of parts on the page that show the value. */
    shown: number;
    load: () => Promise<unknown>;
}

/** A list of lines stands in for what is loaded after this time, and then for a least time, since a flash disturbs. */
export const PLACEHOLDER_DELAY_MS = 300;
const PLACEHOLDER_MIN_MS = 400;

const entries = new Map<string, Entry>();

function entry<T>(key: string, load: () => Promise<T>): Entry {
    let found = entries.get(key);
    if (!found) {
        const state = signal<Loaded<unknown>>({ value: undefined, failure: undefined, loading: true, at: undefined });
        found = { state, stale: true, shown: 0, load };
        entries.set(key, found);
    }
    found.load = load;
    return found;
}

/** Waits until the placeholder that may be shown since `begin` has stood long enough. */
async function placeholderIsOver(one: Entry, begin: number): Promise<void> {
    const age = performance.now() - begin;
    const left = PLACEHOLDER_DELAY_MS + PLACEHOLDER_MIN_MS - age;
    if (one.shown > 0 && isPending(one.state.value) && age > PLACEHOLDER_DELAY_MS && left > 0) {
        await new Promise((resolve) => setTimeout(resolve, left));
    }
}

async function fill(one: Entry): Promise<void> {
    one.stale = false;
    one.state.value = { ...one.state.value, loading: true };
    const begin = performance.now();
    try {
        const value = await one.load();
        await placeholderIsOver(one, begin);
        one.state.value = { value, failure: undefined, loading: false, at: Date.now() };
    } catch (error) {
        await placeholderIsOver(one, begin);
        one.stale = true;
        one.state.value = { ...one.state.value, failure: Failure.of(error), loading: false };
    }
}

/** Loads `key` unless it is known; the old value stays while a new one is loaded. */
export function useLoaded<T>(key: string, load: () => Promise<T>): Loaded<T> & { reload: () => void } {
    const one = entry(key, load);
    // The key stands for the function.
    useEffect(() => {
        one.shown += 1;
        if (one.stale) void fill(one);
        return () => {
            one.shown -= 1;
        };
    }, [key]);
    return { ...(one.state.value as Loaded<T>), reload: () => void fill(one) };
}

/** Returns whether neither a value nor a failure is known yet. */
export function isPending({ value, failure }: Pick<Loaded<unknown>, "value" | "failure">): boolean {
    return value === undefined && failure === undefined;
}

/** Changes a known value in place. */
export function change<T>(key: string, edit: (value: T) => T): void {
    const one = entries.get(key);
    const value = one?.state.value.value;
    if (!one || value === undefined) return;
    const edited = edit(value as T);
    if (edited !== value) one.state.value = { ...one.state.value, value: edited };
}

/** Returns a known value. */
export function known<T>(key: string): T | undefined {
    return entries.get(key)?.state.value.value as T | undefined;
}

/** Marks what is known below `prefix` as old: what is shown is loaded again at once, the rest when it is shown. */
export function forget(prefix: string): void {
    for (const [key, one] of entries) {
        if (!key.startsWith(prefix)) continue;
        one.stale = true;
        if (one.shown > 0) void fill(one);
    }
}
