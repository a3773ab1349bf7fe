/** Icons and signs, drawn inline in the color of the text. */

import icons from "virtual:icons";
import { createElement } from "preact";
import type { Priority, Severity, Status } from "../api/types";
import { T } from "../texts";

/** Icon of the set, hidden from screen readers: its control has a name. */
export function Icon({ name }: { name: string }) {
    return (
        <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
            {(icons[name] ?? []).map(([tag, attributes], index) => createElement(tag, { key: index, ...attributes }))}
        </svg>
    );
}

export type SignKind = Severity | "good" | "missing" | Status;

const SHAPES: Record<SignKind, preact.JSX.Element> = {
    critical: <path class="fill" d="M4.7 1.5h6.6L14.8 8l-3.5 6.5H4.7L1.2 8z" />,
    warning: <path class="fill" d="M8 1.6 15.2 14.4H.8z" />,
    info: (
        <>
            <circle class="fill" cx="8" cy="8" r="6.8" />
            <path class="cut" d="M8 7.2v4.3M8 4.4v.4" />
        </>
    ),
    good: <path class="line" d="m2.5 8.6 3.6 3.7 7.4-8.4" />,
    missing: <circle class="line dashed" cx="8" cy="8" r="6" />,
    pending: (
        <>
            <circle class="line" cx="8" cy="8" r="6.2" />
            <path class="line" d="M8 4.4V8l2.6 1.7" />
        </>
    ),
    processing: (
        <>
            <circle class="line" cx="8" cy="8" r="6.2" />
            <path class="fill" d="M8 1.8a6.2 6.2 0 0 1 0 12.4z" />
        </>
    ),
    completed: <path class="line" d="m2.5 8.6 3.6 3.7 7.4-8.4" />,
    failed: <path class="line" d="m3.2 3.2 9.6 9.6m0-9.6-9.6 9.6" />,
    cancelled: (
        <>
            <circle class="line" cx="8" cy="8" r="6.2" />
            <path class="line" d="m3.8 12.2 8.4-8.4" />
        </>
    ),
};

/** Sign of a severity or a status; `named` gives it its word for screen readers. */
export function Sign({ kind, named = false }: { kind: SignKind; named?: boolean }) {
    const word = T.signs[kind];
    return (
        // biome-ignore lint/a11y/noSvgWithoutTitle: the name is optional; a title would also be a tooltip.
        <svg
            class={`sign sign-${kind}`}
            viewBox="0 0 16 16"
            focusable="false"
            {...(named ? { role: "img", "aria-label": word } : { "aria-hidden": "true" })}
        >
            {SHAPES[kind]}
        </svg>
    );
}

const LEVELS: Record<Priority, { bars: number; kind: string }> = {
    low: { bars: 1, kind: "good" },
    medium: { bars: 2, kind: "info" },
    high: { bars: 3, kind: "warning" },
    critical: { bars: 4, kind: "critical" },
};

/** Priority level: one to four bars and the word. */
export function PriorityMark({ level }: { level: Priority }) {
    const { bars, kind } = LEVELS[level];
    return (
        <span class={`priority sign-${kind}`}>
            <svg class="sign" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
                {[0, 1, 2, 3].map((bar) => (
                    <rect
                        key={bar}
                        class={bar < bars ? "fill" : "hollow"}
                        x={bar * 4 + 0.5}
                        y={11 - bar * 3}
                        width="2.6"
                        height={4 + bar * 3}
                    />
                ))}
            </svg>
            <span class="word">{T.priorities[level]}</span>
        </span>
    );
}
