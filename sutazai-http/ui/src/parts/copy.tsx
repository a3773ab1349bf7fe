/** Button that copies a text, and says so. Without a clipboard it selects the text instead. */
import { useRef, useState } from "preact/hooks";
import { T } from "../texts";
import { announce } from "./announcer";
import { Icon } from "./icon";

const SHOWN_MS = 2000;

/** Copies `text`; false if the browser forbids it, as over plain HTTP. */
export async function copyText(text: string): Promise<boolean> {
    try {
        await navigator.clipboard.writeText(text);
        announce(T.copied);
        return true;
    } catch {
        return false;
    }
}

interface Props {
    /** Text to copy, or a function that makes it when the button is pressed. */
    text: string | (() => string);
    /** Name of what is copied, for screen readers. */
    what: string;
    /** Shows the word instead of the icon alone. */
    label?: string;
}

export function Copy({ text, what, label }: Props) {
    const [copied, setCopied] = useState(false);
    const button = useRef<HTMLButtonElement>(null);
    const copy = async () => {
        if (await copyText(typeof text === "string" ? text : text())) {
            setCopied(true);
            setTimeout(() => setCopied(false), SHOWN_MS);
        } else {
            const shown = button.current?.parentElement?.querySelector("code, bdi");
            if (shown) getSelection()?.selectAllChildren(shown);
            announce(T.selectedText);
        }
    };
    return (
        <button
            ref={button}
            type="button"
            class={label ? "button" : "button quiet small"}
            aria-label={label ? undefined : T.copyOf(what)}
            title={T.copyOf(what)}
            onClick={copy}
        >
            <Icon name={copied ? "check" : "copy"} />
            {copied ? <span>{T.copied}</span> : label && <span>{label}</span>}
        </button>
    );
}

/** Command in monospace with its copy button. */
export function Command({ text }: { text: string }) {
    return (
        <div class="command">
            <code>{text}</code>
            <Copy text={text} what={T.command} />
        </div>
    );
}
