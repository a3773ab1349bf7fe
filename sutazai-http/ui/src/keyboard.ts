/** Keys of the pages: each page registers what it offers; the sheet of keys and the palette list them. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { isSingle, named, Sequence } from "./lib/keys";
import { look } from "./look";

export interface Command {
    /** Key or sequence, such as `g t`; empty for actions that only the palette offers. */
    keys: string;
    name: string;
    run: () => void;
    /** Page that the command opens; used to group the palette. */
    kind: "page" | "action";
}

/** Commands of all parts that are shown now; later ones hide earlier ones with the same key. */
export const commands = signal<Command[]>([]);

const sequence = new Sequence(new Set(["g"]));

export function useCommands(own: Command[], on: unknown[]): void {
    // The caller names what the commands depend on.
    useEffect(() => {
        commands.value = [...commands.value, ...own];
        return () => {
            commands.value = commands.value.filter((one) => !own.includes(one));
        };
    }, on);
}

function isTyping(target: EventTarget | null): boolean {
    if (!(target instanceof HTMLElement)) return false;
    return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

/** Gives the focus to the page when the control that had it is gone, so that keys and screen readers go on there. */
function keepFocus(): void {
    let last: EventTarget | null = null;
    addEventListener("focusin", (event) => {
        last = event.target;
    });
    const check = () => {
        if (!(last instanceof Element) || last.isConnected || document.activeElement !== document.body) return;
        last = null;
        document.getElementById("main")?.focus({ preventScroll: true });
    };
    new MutationObserver(check).observe(document.body, { childList: true, subtree: true });
}

export function startKeyboard(): void {
    keepFocus();
    addEventListener("keydown", (event) => {
        if (event.defaultPrevented || event.isComposing) return;
        const name = named(event);
        if (isSingle(name) && name !== "Escape" && (isTyping(event.target) || !look.value.singleKeys)) return;
        // Enter and space belong to the focused control, and a dialog has its own keys.
        if (/^(Enter| )$/.test(name) && event.target !== document.body) {
            if ((event.target as HTMLElement).matches("a, button, summary, input, [role=option], [role=menuitem]"))
                return;
        }
        if (document.querySelector("dialog[open]") && name !== "Ctrl+K") return;
        const whole = sequence.add(name, event.timeStamp);
        const command = whole === undefined ? undefined : commands.value.findLast((one) => one.keys === whole);
        if (command) {
            event.preventDefault();
            command.run();
        }
    });
}
