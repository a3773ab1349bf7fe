/** Bar of a value with a tick for each bound. */
import type { Severity } from "../api/types";

interface Props {
    name: string;
    value: number;
    max: number;
    text: string;
    bounds?: readonly number[];
    severity?: Severity | undefined;
}

export function Meter({ name, value, max, text, bounds = [], severity }: Props) {
    const share = (part: number) => `${Math.min(100, Math.max(0, (part / max) * 100))}%`;
    return (
        // biome-ignore lint/a11y/useSemanticElements: <meter> cannot show ticks.
        <div
            class={`meter ${severity ?? ""}`}
            role="meter"
            aria-label={name}
            aria-valuemin={0}
            aria-valuemax={max}
            aria-valuenow={Math.min(max, Math.max(0, value))}
            aria-valuetext={text}
        >
            <div class="track">
                <div class="used" style={{ width: share(value) }} />
            </div>
            {bounds
                .filter((bound) => bound > 0 && bound < max)
                .map((bound) => (
                    <i key={bound} style={{ insetInlineStart: share(bound) }} />
                ))}
        </div>
    );
}

/** Bar of something that goes on. */
export function Progress({ name, share }: { name: string; share: number }) {
    return (
        <div
            class="progress"
            role="progressbar"
            aria-label={name}
            aria-valuemin={0}
            aria-valuemax={100}
            aria-valuenow={Math.round(share * 100)}
        >
            <div style={{ transform: `scaleX(${share})` }} />
        </div>
    );
}
