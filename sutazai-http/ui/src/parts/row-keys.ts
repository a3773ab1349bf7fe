/** Keys of lists: `j` and `k` step through the rows, `x` selects one, `.` opens its actions. */
import { useCommands } from "../keyboard";
import { T } from "../texts";

function rows(): HTMLElement[] {
    return [...document.querySelectorAll<HTMLElement>("[data-row]")];
}

function current(): HTMLElement | null {
    return document.activeElement?.closest<HTMLElement>("[data-row]") ?? null;
}

function step(by: number): void {
    const all = rows();
    const here = current();
    const at = here ? all.indexOf(here) + by : 0;
    const next = all[Math.max(0, Math.min(all.length - 1, at))];
    next?.querySelector<HTMLElement>("[data-open]")?.focus();
    next?.scrollIntoView({ block: "nearest" });
}

function press(selector: string): void {
    (current() ?? rows()[0])?.querySelector<HTMLElement>(selector)?.click();
}

export function useRowKeys(): void {
    useCommands(
        [
            { keys: "j", name: T.keys.next, kind: "action", run: () => step(1) },
            { keys: "k", name: T.keys.previous, kind: "action", run: () => step(-1) },
            { keys: "x", name: T.keys.select, kind: "action", run: () => press("input[type=checkbox]") },
            { keys: ".", name: T.keys.actions, kind: "action", run: () => press("[data-menu]") },
        ],
        [],
    );
}
