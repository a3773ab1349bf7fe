/** Short messages at the edge of the page, with an undo where there is one. */
import { signal } from "@preact/signals";
import { Failure } from "../api/failure";
import { T } from "../texts";
import { Icon } from "./icon";
import { sentence } from "./notice";

const SHOWN_MS = 6000;

interface Toast {
    id: number;
    text: string;
    kind: "plain" | "error";
    undo: (() => void) | undefined;
}

const toasts = signal<Toast[]>([]);
let next = 0;

function remove(id: number): void {
    toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

export function say(text: string, kind: Toast["kind"] = "plain", undo?: () => void): number {
    next += 1;
    const id = next;
    toasts.value = [...toasts.value, { id, text, kind, undo }];
    setTimeout(() => remove(id), SHOWN_MS);
    return id;
}

/** Runs an action and shows its failure. */
export async function attempt(work: () => Promise<unknown>, undo?: () => void): Promise<boolean> {
    try {
        await work();
        return true;
    } catch (error) {
        undo?.();
        say(sentence(Failure.of(error).message), "error");
        return false;
    }
}

const waiting = new Set<() => void>();

/** Acts 6 s later, unless the user presses Undo; at once when the page is closed. */
export function later(text: string, act: () => void, undo: () => void): void {
    let id = 0;
    const finish = () => {
        clearTimeout(timer);
        waiting.delete(finish);
        remove(id);
        act();
    };
    const timer = setTimeout(finish, SHOWN_MS);
    waiting.add(finish);
    id = say(text, "plain", () => {
        clearTimeout(timer);
        waiting.delete(finish);
        remove(id);
        undo();
    });
}

addEventListener("pagehide", () => {
    for (const finish of waiting) finish();
});

export function Toasts() {
    return (
        <section class="toasts" role="status" aria-label={T.messages}>
            {toasts.value.map((toast) => (
                <div key={toast.id} class={`toast ${toast.kind}`}>
                    <span>{toast.text}</span>
                    {toast.undo && (
                        <button type="button" class="button" onClick={toast.undo}>
                            {T.undo}
                        </button>
                    )}
                    <button
                        type="button"
                        class="button quiet small"
                        aria-label={T.close}
                        onClick={() => remove(toast.id)}
                    >
                        <Icon name="x" />
                    </button>
                </div>
            ))}
        </section>
    );
}
