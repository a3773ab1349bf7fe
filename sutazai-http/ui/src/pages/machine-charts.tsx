/** Charts of this machine: they share range, cursor and zoom, and mark the findings. */
import type { Signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { Failure } from "../api/failure";
import { type History, loadHistory, valueAt } from "../api/metrics";
import type { Analysis, Rule, Snapshot } from "../api/types";
import { boundsOf } from "../lib/rules";
import type { Sample } from "../lib/series";
import { bytes, clean, middle } from "../lib/units";
import { Chart, type Line } from "../parts/chart";
import { Failed } from "../parts/notice";
import { T } from "../texts";
import type { Range } from "./machine";

export interface ChartPlan {
    id: string;
    title: string;
    unit: string;
    max?: number;
    lines: { name: string; series: string }[];
    bounds: { severity: "info" | "warning" | "critical"; value: number }[];
}

const MAX_LINES = 5;

/** Charts that this machine has: one for each kind of resource that is measured. */
export function chartsOf(
    now: Snapshot,
    rules: readonly Rule[],
    value: (metric: string) => number | undefined,
): ChartPlan[] {
    const plans: ChartPlan[] = [];
    const bounds = (metric: string) => boundsOf(rules, metric, value);
    if (now.host.status === "present") {
        const { cpu, memory, swap, disks } = now.host.value;
        plans.push({
            id: "cpu",
            title: T.charts.cpu(cpu.cores),
            unit: "percent",
            lines: [
                { name: T.charts.busy, series: "host.cpu.used_percent" },
                { name: T.charts.diskWait, series: "host.cpu.iowait_percent" },
            ],
            bounds: bounds("host.cpu.used_percent"),
        });
        plans.push({
            id: "memory",
            title: memory.total_bytes ? T.charts.memory(bytes(memory.total_bytes)) : T.vitals.memory,
            unit: "percent",
            lines: [{ name: T.charts.used, series: "host.memory.used_percent" }],
            bounds: bounds("host.memory.used_percent"),
        });
        const fullest = [...disks].sort((a, b) => b.used_percent - a.used_percent).slice(0, MAX_LINES);
        const first = fullest[0];
        if (first) {
            plans.push({
                id: "disks",
                title: T.charts.disks,
                unit: "percent",
                lines: fullest.map(({ mount }) => ({
                    name: middle(clean(mount), 24),
                    series: `host.disks[${mount}].used_percent`,
                })),
                bounds: bounds(`host.disks[${first.mount}].used_percent`),
            });
        }
        if (cpu.load) {
            plans.push({
                id: "load",
                title: T.charts.load,
                unit: "count",
                lines: [{ name: T.charts.load1, series: "host.cpu.load[1]" }],
                bounds: bounds("host.cpu.load[1]"),
            });
        }
        if (swap.total_bytes) {
            plans.push({
                id: "swap",
                title: T.charts.swap(bytes(swap.total_bytes)),
                unit: "percent",
                lines: [{ name: T.charts.used, series: "host.swap.used_percent" }],
                bounds: bounds("host.swap.used_percent"),
            });
        }
    }
    if (now.pressure.status === "present") {
        plans.push({
            id: "pressure",
            title: T.charts.pressure,
            unit: "percent",
            lines: (["cpu", "memory", "io"] as const).map((resource) => ({
                name: T.resources[resource],
                series: `pressure.${resource}.some_avg60`,
            })),
            bounds: [],
        });
    }
    return plans;
}

export interface LoadedHistory {
    samples: History;
    from: number;
    to: number;
    failure: Failure | undefined;
    isLoaded: boolean;
}

/** Loads the history once for a range, then continues it with the live measurements. */
export function useHistory(now: Snapshot | undefined, range: Range, seconds: number): LoadedHistory {
    const [loaded, setLoaded] = useState<LoadedHistory>(() => empty(seconds));
    const last = useRef(0);
    const begun = now !== undefined;
    // Only a new range, not each measurement, loads it again.
    useEffect(() => {
        if (!now) return undefined;
        let gone = false;
        const to = new Date();
        const from = new Date(to.getTime() - seconds * 1000);
        const names = chartsOf(now, [], () => undefined).flatMap((plan) => plan.lines.map((line) => line.series));
        loadHistory(names, from, to).then(
            (samples) => {
                if (gone) return;
                last.current = to.getTime() / 1000;
                const ends = { from: from.getTime() / 1000, to: to.getTime() / 1000 };
                setLoaded({ samples, ...ends, failure: undefined, isLoaded: true });
            },
            (error: unknown) => !gone && setLoaded({ ...empty(seconds), failure: Failure.of(error), isLoaded: true }),
        );
        return () => {
            gone = true;
        };
    }, [range, begun]);
    useEffect(() => {
        if (!now || !loaded.isLoaded || loaded.failure) return;
        const at = new Date(now.taken_at).getTime() / 1000;
        // One point a minute, as the history has.
        if (at - last.current < Math.max(60, seconds / 300)) return;
        last.current = at;
        const samples = new Map<string, Sample[]>();
        for (const [name, old] of loaded.samples) {
            const value = valueAt(now, name);
            const kept = old.filter((sample) => sample.at >= at - seconds);
            samples.set(name, value === undefined ? kept : [...kept, { at, mean: value, min: value, max: value }]);
        }
        setLoaded({ ...loaded, samples, from: at - seconds, to: at });
    }, [now, loaded, seconds]);
    return loaded;
}

function empty(seconds: number): LoadedHistory {
    const to = Date.now() / 1000;
    return { samples: new Map(), from: to - seconds, to, failure: undefined, isLoaded: false };
}

interface Props {
    charts: ChartPlan[];
    history: LoadedHistory;
    cursor: Signal<number | undefined>;
    zoom: Signal<[number, number] | undefined>;
    lit: string | undefined;
    analysis: Analysis | undefined;
}

export function MachineCharts({ charts, history, cursor, zoom, lit, analysis }: Props) {
    if (history.failure) return <Failed failure={history.failure} />;
    return (
        <div class="charts">
            {charts.map((plan) => (
                <OneChart key={plan.id} {...{ plan, history, cursor, zoom, analysis }} lit={lit === plan.id} />
            ))}
        </div>
    );
}

interface OneProps extends Omit<Props, "charts" | "lit"> {
    plan: ChartPlan;
    lit: boolean;
}

function OneChart({ plan, history, cursor, zoom, lit, analysis }: OneProps) {
    const lines = useLines(plan, history.samples);
    const marks = (analysis?.findings ?? [])
        .filter((finding) => finding.evidence.some((one) => plan.lines.some((line) => line.series === one.metric)))
        .map((finding) => ({
            at: new Date(analysis?.generated_at ?? 0).getTime() / 1000,
            severity: finding.severity,
            name: finding.summary,
        }));
    return (
        <Chart
            id={`chart-${plan.id}`}
            title={plan.title}
            lines={lines}
            loading={!history.isLoaded}
            unit={plan.unit}
            from={history.from}
            to={history.to}
            bounds={plan.bounds}
            marks={marks}
            cursor={cursor}
            zoom={zoom}
            lit={lit}
        />
    );
}

/** Keeps the lines of a chart the same object until its history changes, so that it is not drawn again. */
function useLines(plan: ChartPlan, samples: History): Line[] {
    const kept = useRef<{ samples: History; names: string; lines: Line[] } | undefined>(undefined);
    const names = plan.lines.map((line) => line.series).join("\n");
    if (kept.current?.samples !== samples || kept.current.names !== names) {
        const lines = plan.lines.map((line) => ({ name: line.name, samples: samples.get(line.series) ?? [] }));
        kept.current = { samples, names, lines };
    }
    return kept.current.lines;
}
