/** Address of the page: what is behind `#`, as a path and a query. */
import { signal } from "@preact/signals";

export interface Route {
    path: string[];
    query: URLSearchParams;
}

function read(): Route {
    const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
    return { path: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

function decode(text: string): string {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

export const route = signal<Route>(read());

const positions = new Map<string, number>();
let shown = location.hash;

/** Builds an address for a link; empty values are left out. */
export function address(path: readonly string[], query: Record<string, string | undefined> = {}): string {
    const given = Object.entries(query).filter((pair): pair is [string, string] => Boolean(pair[1]));
    const text = new URLSearchParams(given).toString();
    return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

/** Opens an address and adds an entry to the history. */
export function open(to: string): void {
    location.hash = to;
}

/** Changes parts of the query without an entry in the history. */
export function setQuery(changes: Record<string, string | undefined>, push = false): void {
    const { path, query } = route.value;
    const merged = { ...Object.fromEntries(query), ...changes };
    const to = address(path, merged);
    if (to === location.hash) return;
    history[push ? "pushState" : "replaceState"](null, "", to);
    moved();
}

function moved(): void {
    const before = route.value.path.join("/");
    positions.set(shown, scrollY);
    route.value = read();
    shown = location.hash;
    if (route.value.path.join("/") === before) return;
    // A page that was seen before returns to its position; a new one begins at its top.
    const at = positions.get(shown) ?? 0;
    requestAnimationFrame(() => scrollTo(0, at));
    document.getElementById("main")?.focus({ preventScroll: true });
}

export function startRouter(): void {
    history.scrollRestoration = "manual";
    addEventListener("hashchange", moved);
    addEventListener("popstate", moved);
}
