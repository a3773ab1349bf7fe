/** Small line of the last hours, with the last point marked and gaps left open. */
import type { Severity } from "../api/types";

export interface Point {
    at: number;
    value: number;
}

interface Props {
    points: readonly Point[];
    from: number;
    to: number;
    /** Upper end of the scale; the highest point if it is not given. */
    max?: number | undefined;
    /** Sentence that says what the line shows. */
    name: string;
    severity?: Severity | undefined;
}

const WIDTH = 96;
const HEIGHT = 24;
const GAP = 2.5;

/** Returns the path of the line; a distance of more than 2.5 times the median begins a new piece. */
export function path(points: readonly Point[], x: (at: number) => number, y: (value: number) => number): string {
    const steps = points.slice(1).map((point, index) => point.at - (points[index]?.at ?? 0));
    const median = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
    return points
        .map((point, index) => {
            const begins = index === 0 || (steps[index - 1] ?? 0) > median * GAP;
            return `${begins ? "M" : "L"}${x(point.at).toFixed(1)} ${y(point.value).toFixed(1)}`;
        })
        .join("");
}

export function Sparkline({ points, from, to, max, name, severity }: Props) {
    const top = max ?? Math.max(1e-9, ...points.map((point) => point.value));
    const x = (at: number) => 2 + ((at - from) / (to - from || 1)) * (WIDTH - 6);
    const y = (value: number) => HEIGHT - 3 - (Math.min(value, top) / top) * (HEIGHT - 6);
    const last = points.at(-1);
    return (
        <svg
            class={`sparkline ${severity ?? ""}`}
            viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
            preserveAspectRatio="none"
            role="img"
            aria-label={name}
        >
            <path d={path(points, x, y)} />
            {last && <path class="dot" d={`M${x(last.at).toFixed(1)} ${y(last.value).toFixed(1)}h.01`} />}
        </svg>
    );
}
