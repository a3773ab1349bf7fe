/** Chart of series over time: bounds dashed and labeled, gaps open, one cursor for all charts of a page. */
import { type Signal, useSignalEffect } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import type { Severity } from "../api/types";
import { align, nearest, type Sample } from "../lib/series";
import { day, seconds } from "../lib/time";
import { measured } from "../lib/units";
import { look } from "../look";
import { T } from "../texts";
import { announce } from "./announcer";
import { draw, options } from "./chart-plot";
import { ChartTable } from "./chart-table";
import { Icon } from "./icon";

export interface Line {
    name: string;
    samples: readonly Sample[];
}

export interface Bound {
    severity: Severity;
    value: number;
}

export interface Mark {
    /** Seconds since 1970. */
    at: number;
    severity: Severity;
    name: string;
}

export interface ChartProps {
    id: string;
    title: string;
    lines: readonly Line[];
    /** The samples are still being loaded. */
    loading?: boolean;
    unit: string;
    /** Range of time in seconds since 1970. */
    from: number;
    to: number;
    max?: number | undefined;
    bounds?: readonly Bound[];
    marks?: readonly Mark[];
    /** Time from which the value is past its bound. */
    since?: number | undefined;
    /** Time of the cursor of all charts, in seconds. */
    cursor: Signal<number | undefined>;
    zoom: Signal<[number, number] | undefined>;
    lit?: boolean;
}

export function Chart(props: ChartProps) {
    const { id, title, lines, unit, from, to, cursor, zoom } = props;
    const box = useRef<HTMLDivElement>(null);
    const plot = useRef<uPlot | undefined>(undefined);
    const [at, setAt] = useState<number>();
    const [asTable, setAsTable] = useState(false);
    const data = useMemo(() => align(lines.map((line) => line.samples)), [lines]);
    const theme = look.value.theme;
    const latest = useRef(props);
    latest.current = props;
    const drawn = useRef(data);
    drawn.current = data;
    const hasData = data.times.length > 0;

    // A change of the others is set on the plot below.
    useEffect(() => {
        let gone = false;
        let observer: ResizeObserver | undefined;
        const scheme = matchMedia("(prefers-color-scheme: dark)");
        const redraw = () => plot.current?.redraw(false);
        void import("uplot").then(({ default: Plot }) => {
            if (gone || !box.current) return;
            const size = box.current.getBoundingClientRect();
            plot.current = new Plot(
                options(box.current, latest, size.width, size.height),
                draw(drawn.current) as uPlot.AlignedData,
                box.current,
            );
            observer = new ResizeObserver(([entry]) => {
                if (entry) plot.current?.setSize({ width: entry.contentRect.width, height: size.height });
            });
            observer.observe(box.current);
            scheme.addEventListener("change", redraw);
            addEventListener("beforeprint", redraw);
            addEventListener("afterprint", redraw);
        });
        return () => {
            gone = true;
            observer?.disconnect();
            scheme.removeEventListener("change", redraw);
            removeEventListener("beforeprint", redraw);
            removeEventListener("afterprint", redraw);
            plot.current?.destroy();
            plot.current = undefined;
        };
    }, [lines.length, unit, asTable, theme, hasData]);

    useEffect(() => {
        plot.current?.setData(draw(data) as uPlot.AlignedData);
        plot.current?.setScale("x", { min: zoom.value?.[0] ?? from, max: zoom.value?.[1] ?? to });
    }, [data, from, to, zoom]);

    useSignalEffect(() => {
        const time = cursor.value;
        setAt(time);
        const u = plot.current;
        if (!u) return;
        const left = time === undefined ? -10 : u.valToPos(time, "x");
        u.setCursor({ left, top: time === undefined ? -10 : 1 }, false);
    });
    useSignalEffect(() => {
        const range = zoom.value;
        plot.current?.setScale("x", { min: range?.[0] ?? latest.current.from, max: range?.[1] ?? latest.current.to });
    });

    const index = data.times.length === 0 ? -1 : at === undefined ? lastIndex(data) : nearest(data.times, at);
    const zone = look.value.zone;
    const said = (row: number) =>
        lines
            .map((line, column) => {
                const value = data.columns[column]?.mean[row];
                return `${line.name} ${value == null ? T.none : measured(value, unit)}`;
            })
            .join(", ");

    const move = (event: KeyboardEvent) => {
        const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
        let row = index;
        if (event.key === "Home") row = 0;
        else if (event.key === "End") row = data.times.length - 1;
        else if (event.key === "Escape") {
            cursor.value = undefined;
            zoom.value = undefined;
            return;
        } else if (event.key in steps) row += steps[event.key] ?? 0;
        else return;
        event.preventDefault();
        row = Math.max(0, Math.min(data.times.length - 1, row));
        const time = data.times[row];
        if (time === undefined) return;
        cursor.value = time;
        announce(`${seconds(time * 1000, zone)}: ${said(row)}`);
    };

    const shown = index >= 0 ? data.times[index] : undefined;
    return (
        <figure class={props.lit ? "chart lit" : "chart"} id={id} aria-label={title}>
            <figcaption>
                <h3>{title}</h3>
                <button
                    type="button"
                    class="button quiet small"
                    aria-pressed={asTable}
                    aria-label={T.asTable(title)}
                    title={T.asTable(title)}
                    onClick={() => setAsTable(!asTable)}
                >
                    <Icon name="table" />
                </button>
            </figcaption>
            <div class="readout">
                <span class="muted">{shown !== undefined && day(new Date(shown * 1000), Date.now(), zone)}</span>
                {lines.map((line, column) => {
                    const value = index >= 0 ? data.columns[column]?.mean[index] : undefined;
                    return (
                        <span key={line.name} class={`key series-${column + 1}`}>
                            <i aria-hidden="true" /> {line.name}{" "}
                            <b class="number">{value == null ? "–" : measured(value, unit)}</b>
                        </span>
                    );
                })}
            </div>
            {asTable ? (
                <ChartTable lines={lines} data={data} unit={unit} zone={zone} title={title} />
            ) : data.times.length === 0 ? (
                <p class="plot none muted">{!props.loading && T.noHistoryYet}</p>
            ) : (
                <div
                    class="plot"
                    ref={box}
                    role="slider"
                    tabIndex={0}
                    aria-label={T.cursorOf(title)}
                    aria-valuemin={data.times[0]}
                    aria-valuemax={data.times.at(-1)}
                    aria-valuenow={shown}
                    aria-valuetext={shown === undefined ? "" : `${seconds(shown * 1000, zone)}: ${said(index)}`}
                    onKeyDown={move}
                    onDblClick={() => {
                        zoom.value = undefined;
                    }}
                />
            )}
        </figure>
    );
}

function lastIndex(data: ReturnType<typeof align>): number {
    for (let row = data.times.length - 1; row >= 0; row -= 1) {
        if (data.columns.some((column) => column.mean[row] != null)) return row;
    }
    return -1;
}
