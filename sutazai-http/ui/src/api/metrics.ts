/** Measurements: the live snapshot of a stream, the history of series, and the rules. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Sample } from "../lib/series";
import { useLoaded } from "./cache";
import { api, data, openStream } from "./client";
import { Failure } from "./failure";
import { readEvents } from "./sse";
import type { MetricHistory, Rule, Snapshot } from "./types";

const SILENCE_MS = 20_000;
const RETRY_MS = 3000;

/** Latest measurements of the server's machine. */
export const snapshot = signal<Snapshot | undefined>();
export const snapshotFailure = signal<Failure | undefined>();

let readers = 0;
let stop: AbortController | undefined;

async function read(abort: AbortSignal): Promise<void> {
    while (!abort.aborted) {
        try {
            const response = await openStream("/api/v1/system/metrics/stream", { signal: abort });
            snapshotFailure.value = undefined;
            await readEvents(response, SILENCE_MS, (event) => {
                if (event.event === "snapshot") snapshot.value = JSON.parse(event.data) as Snapshot;
            });
        } catch (error) {
            if (abort.aborted) return;
            const failure = Failure.of(error);
            if (failure.status >= 400) {
                snapshotFailure.value = failure;
                if (failure.retryAfter === undefined) return;
            }
        }
        if (!abort.aborted) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
}

function begin(): void {
    stop?.abort();
    stop = undefined;
    if (readers > 0 && !document.hidden) {
        stop = new AbortController();
        void read(stop.signal);
    }
}

document.addEventListener("visibilitychange", begin);

/** Follows the measurements while the page is shown. */
export function useSnapshot(): Snapshot | undefined {
    useEffect(() => {
        readers += 1;
        if (readers === 1) begin();
        return () => {
            readers -= 1;
            if (readers === 0) begin();
        };
    }, []);
    return snapshot.value;
}

export type History = Map<string, Sample[]>;

const MAX_SERIES = 20;
const POINTS = 300;

function samples(history: MetricHistory): [string, Sample[]][] {
    return history.series.map((series) => [
        series.name,
        series.points.map((point) => ({ ...point, at: new Date(point.at).getTime() / 1000 })),
    ]);
}

/** Loads the history of several series; the server takes 20 in one request. */
export async function loadHistory(series: readonly string[], from: Date, to: Date): Promise<History> {
    const parts: string[][] = [];
    for (let start = 0; start < series.length; start += MAX_SERIES) parts.push(series.slice(start, start + MAX_SERIES));
    const range = { from: from.toISOString(), to: to.toISOString(), points: POINTS };
    const answers = await Promise.all(
        parts.map((part) =>
            data(api.GET("/api/v1/system/metrics/history", { params: { query: { series: part, ...range } } })),
        ),
    );
    return new Map(answers.flatMap(samples));
}

/** Rules of the server; they change only with the program. */
export function useRules(): readonly Rule[] {
    const loaded = useLoaded("rules", () => data(api.GET("/api/v1/agents/hardware-optimizer/rules")));
    return loaded.value?.items ?? [];
}

/** Reads a value of a snapshot by its metric path, such as `host.disks[/var].used_percent`. */
export function valueAt(of: Snapshot, metric: string): number | undefined {
    const steps = [...metric.matchAll(/([a-z_]+)(?:\[((?:[^\]]|\](?![.]|$))*)\])?/gi)];
    let value: unknown = of;
    for (const [, name = "", key] of steps) {
        value = member(value, name);
        if (key !== undefined) value = element(value, key);
        if (value === undefined || value === null) return undefined;
    }
    return typeof value === "number" ? value : undefined;
}

function member(value: unknown, name: string): unknown {
    if (typeof value !== "object" || value === null) return undefined;
    const section = value as Record<string, unknown>;
    return section["status"] === "present" && "value" in section ? member(section["value"], name) : section[name];
}

const LOADS = ["1", "5", "15"];

function element(value: unknown, key: string): unknown {
    let list = value;
    if (typeof list === "object" && list !== null && !Array.isArray(list) && "value" in list) {
        list = (list as { value: unknown }).value;
    }
    if (!Array.isArray(list)) return undefined;
    // The load has three means, named by their minutes.
    if (typeof list[0] === "number") return list[LOADS.indexOf(key)];
    return list.find((one: Record<string, unknown>) =>
        [one["mount"], one["name"], one["interface"], one["label"], String(one["index"])].includes(key),
    );
}
