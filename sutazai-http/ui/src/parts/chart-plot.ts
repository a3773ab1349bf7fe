/** Options of the plots: everything that is drawn on the canvas. */
import type { RefObject } from "preact";
import type uPlot from "uplot";
import type { Aligned } from "../lib/series";
import { clock, day } from "../lib/time";
import { bound } from "../lib/units";
import { look } from "../look";
import { T } from "../texts";
import type { ChartProps } from "./chart";

const AXIS_WIDTH = 58;
const FONT = "12px system-ui, sans-serif";

/** Puts the columns in the order of the plot: each mean, then its least and largest values. */
export function draw(data: Aligned): (number | null)[][] {
    return [data.times, ...data.columns.flatMap((column) => [column.mean, column.min, column.max])];
}

/** Resolved colors by theme and name: each question makes the browser compute styles, and a drawing has 100 of them. */
const colors = new Map<string, string>();

/** Resolves a color of the style sheet for the canvas. */
function color(box: HTMLElement, name: string): string {
    const { theme } = document.documentElement.dataset;
    const key = `${theme} ${matchMedia("(prefers-color-scheme: dark)").matches} ${name}`;
    const known = colors.get(key);
    if (known) return known;
    const resolved = resolve(box, name);
    colors.set(key, resolved);
    return resolved;
}

function resolve(box: HTMLElement, name: string): string {
    const probe = document.createElement("i");
    probe.style.color = `var(--${name})`;
    probe.hidden = true;
    box.append(probe);
    const resolved = getComputedStyle(probe).color;
    probe.remove();
    return resolved;
}

function dashes(index: number): number[] | undefined {
    return [undefined, undefined, undefined, [6, 3], [2, 3]][index];
}

export function options(
    box: HTMLElement,
    props: RefObject<ChartProps> & { current: ChartProps },
    width: number,
    height: number,
): uPlot.Options {
    const { lines, from, to } = props.current;
    const series = lines.flatMap((_, index): uPlot.Series[] => {
        const stroke = () => color(box, `series-${index + 1}`);
        const mean: uPlot.Series = { stroke, width: 1.5, points: { show: false }, spanGaps: false };
        const dash = dashes(index);
        if (dash) mean.dash = dash;
        const hidden: uPlot.Series = { width: 0, points: { show: false }, spanGaps: false };
        return [mean, hidden, hidden];
    });
    const bands = lines.map((_, index): uPlot.Band => {
        const first = 1 + index * 3;
        return { series: [first + 2, first + 1], fill: () => fade(color(box, `series-${index + 1}`)) };
    });
    const grid = { stroke: () => color(box, "line"), width: 1 };
    return {
        width,
        height,
        legend: { show: false },
        padding: [16, 8, 0, 0],
        cursor: {
            y: false,
            drag: { x: true, y: false, setScale: false },
            points: { show: false },
        },
        scales: { x: { time: true, min: from, max: to }, y: { range: (_, __, max) => ends(props.current, max) } },
        series: [{}, ...series],
        bands,
        axes: [
            {
                stroke: () => color(box, "muted"),
                font: FONT,
                grid: { show: false },
                ticks: grid,
                size: 28,
                space: 70,
                values: (_, splits) => splits.map((at) => timeLabel(at, props.current)),
            },
            {
                stroke: () => color(box, "muted"),
                font: FONT,
                grid,
                ticks: { show: false },
                size: AXIS_WIDTH,
                space: 36,
                splits: (_, __, min, max) => splits(min, max, props.current.unit),
                values: (_, all) => all.map((value) => label(value, props.current.unit)),
            },
        ],
        hooks: {
            drawClear: [(u) => shade(u, box, props.current)],
            draw: [(u) => lineWork(u, box, props.current)],
            setCursor: [
                (u) => {
                    const { left } = u.cursor;
                    props.current.cursor.value = left === undefined || left < 0 ? undefined : u.posToVal(left, "x");
                },
            ],
            setSelect: [
                (u) => {
                    const { left, width: selected } = u.select;
                    if (selected > 4) {
                        props.current.zoom.value = [u.posToVal(left, "x"), u.posToVal(left + selected, "x")];
                    }
                    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
                },
            ],
        },
    };
}

/** Ends of the scale: per cent from 0 to 100, bytes up to what there is, else a little above the highest value. */
function ends({ max, unit, bounds = [] }: ChartProps, highest: number | null): [number, number] {
    if (max !== undefined) return [0, max];
    if (unit === "percent") return [0, 100];
    const reached = Math.max(highest ?? 0, 0);
    // A bound far above the values would press them flat.
    const near = bounds.map((one) => one.value).filter((one) => one <= reached * 2);
    return [0, Math.max(reached, ...near, 1e-9) * 1.1];
}

/** Places of the grid: quarters of a scale that ends at a round number, powers of two for bytes. */
export function splits(min: number, max: number, unit: string): number[] {
    if (unit === "percent" && max === 100) return [0, 25, 50, 75, 100];
    const raw = (max - min) / 4;
    const base = unit.startsWith("bytes") ? 2 : 10;
    const power = base ** Math.floor(Math.log(raw) / Math.log(base));
    const factor = base === 2 ? 1 : ([1, 2, 5, 10].find((one) => one * power >= raw) ?? 10);
    const step = factor * power;
    const count = Math.floor(max / step);
    return Array.from({ length: count + 1 }, (_, index) => index * step);
}

function label(value: number, unit: string): string {
    if (unit === "percent") return `${Math.round(value)}\u00a0%`;
    return bound(value, unit);
}

function timeLabel(at: number, { from, to }: ChartProps): string {
    const { zone } = look.value;
    const text = day(new Date(at * 1000), Date.now(), zone);
    return to - from > 2 * 86_400 ? text.replace(/ \d\d:\d\d$/, "") : clock(at * 1000, zone);
}

function fade(text: string): string {
    return `color-mix(in srgb, ${text} 16%, transparent)`;
}

/** Shades the time since the value is past its bound. */
function shade(u: uPlot, box: HTMLElement, { since, to }: ChartProps): void {
    if (since === undefined) return;
    const { ctx, bbox } = u;
    const left = Math.max(bbox.left, u.valToPos(since, "x", true));
    const right = Math.min(bbox.left + bbox.width, u.valToPos(to, "x", true));
    ctx.save();
    ctx.fillStyle = color(box, "tint-critical");
    ctx.fillRect(left, bbox.top, Math.max(0, right - left), bbox.height);
    ctx.restore();
}

/** Draws the bounds with their words, and a mark for each finding. */
function lineWork(u: uPlot, box: HTMLElement, { bounds = [], marks = [], unit }: ChartProps): void {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.lineWidth = ratio;
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textBaseline = "bottom";
    const [low = 0, high = 0] = [u.scales["y"]?.min ?? undefined, u.scales["y"]?.max ?? undefined];
    ctx.textAlign = "left";
    let place = bbox.left + 6 * ratio;
    for (const { severity, value } of bounds) {
        if (value < low || value > high) continue;
        const y = Math.round(u.valToPos(value, "y", true)) + 0.5;
        ctx.strokeStyle = color(box, severity);
        ctx.setLineDash([5 * ratio, 4 * ratio]);
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
        ctx.fillStyle = color(box, "muted");
        const text = `${T.signs[severity]} ${label(value, unit)}`;
        const left = place;
        // Each word has its own place, so that bounds that are close stay legible.
        place += ctx.measureText(text).width + 16 * ratio;
        // The severest bound has its word above its line, the others below theirs: bounds may be close.
        const above = severity === bounds.at(-1)?.severity;
        ctx.textBaseline = above ? "bottom" : "top";
        ctx.fillText(text, left, above ? y - 2 * ratio : y + 2 * ratio);
    }
    ctx.setLineDash([]);
    for (const mark of marks) {
        const x = u.valToPos(mark.at, "x", true);
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        ctx.strokeStyle = color(box, mark.severity);
        ctx.fillStyle = color(box, mark.severity);
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.globalAlpha = 0.5;
        ctx.stroke();
        ctx.globalAlpha = 1;
        ctx.beginPath();
        ctx.arc(x, bbox.top + bbox.height, 4 * ratio, 0, 2 * Math.PI);
        ctx.fill();
    }
    ctx.restore();
}
