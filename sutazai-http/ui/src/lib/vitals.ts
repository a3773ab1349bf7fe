/** Chooses the values that tell the state of a machine: the worst of each kind, never a mean. */
import type { Snapshot } from "../api/types";
import { measured } from "./units";

export interface Vital {
    /** Stable name: a link to its chart. */
    id: string;
    kind: "cpu" | "memory" | "disk" | "pressure" | "load" | "swap";
    /** Name of the device or resource that was chosen. */
    of: string;
    /** Metric path of the value, as in evidence. */
    metric: string;
    /** Name of its history. */
    series: string;
    value: number;
    max: number;
    text: string;
    unit: string;
}

export function vitals(snapshot: Snapshot): Vital[] {
    const found: Vital[] = [];
    const add = (vital: Omit<Vital, "text" | "series"> & { text?: string; series?: string }) =>
        found.push({ text: measured(vital.value, vital.unit), series: vital.metric, ...vital });
    if (snapshot.host.status === "present") {
        const { cpu, memory, swap, disks } = snapshot.host.value;
        if (cpu.used_percent != null) {
            add({
                id: "cpu",
                kind: "cpu",
                of: "",
                metric: "host.cpu.used_percent",
                value: cpu.used_percent,
                max: 100,
                unit: "percent",
            });
        }
        if (memory.used_percent != null) {
            add({
                id: "memory",
                kind: "memory",
                of: "",
                metric: "host.memory.used_percent",
                value: memory.used_percent,
                max: 100,
                unit: "percent",
            });
        }
        const fullest = [...disks].filter((disk) => !disk.read_only).sort((a, b) => b.used_percent - a.used_percent)[0];
        if (fullest) {
            const metric = `host.disks[${fullest.mount}].used_percent`;
            add({
                id: "disks",
                kind: "disk",
                of: fullest.mount,
                metric,
                value: fullest.used_percent,
                max: 100,
                unit: "percent",
            });
        }
        if (swap.used_percent != null && swap.total_bytes) {
            add({
                id: "swap",
                kind: "swap",
                of: "",
                metric: "host.swap.used_percent",
                value: swap.used_percent,
                max: 100,
                unit: "percent",
            });
        }
        const load = cpu.load?.[0];
        if (load != null) {
            const text = `${load.toFixed(1)} of ${cpu.cores}`;
            add({
                id: "load",
                kind: "load",
                of: "",
                metric: "host.cpu.load[1]",
                value: load,
                max: Math.max(cpu.cores * 2, load),
                unit: "count",
                text,
            });
        }
    }
    if (snapshot.pressure.status === "present") {
        const pressure = snapshot.pressure.value;
        const worst = (["cpu", "memory", "io"] as const)
            .flatMap((resource) => {
                const one = pressure[resource];
                return one ? [{ resource, value: one.some_avg60 }] : [];
            })
            .sort((a, b) => b.value - a.value)[0];
        if (worst) {
            const metric = `pressure.${worst.resource}.some_avg60`;
            add({
                id: "pressure",
                kind: "pressure",
                of: worst.resource,
                metric,
                value: worst.value,
                max: 100,
                unit: "percent",
            });
        }
    }
    const order = ["cpu", "memory", "disk", "pressure", "load", "swap"];
    return found.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
}

export interface Missing {
    part: "containers" | "gpus" | "pressure" | "cgroup" | "host";
    reason: string;
}

/** Sections that could not be measured, with their reasons. */
export function missing(snapshot: Snapshot): Missing[] {
    return (["host", "containers", "gpus", "pressure", "cgroup"] as const).flatMap((part) => {
        const section = snapshot[part];
        return section.status === "missing" ? [{ part, reason: section.reason }] : [];
    });
}
