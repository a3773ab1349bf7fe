/** Splits a recommendation into plain text and the assertions in it, by code points. */
import type { Assertion } from "../api/types";

export interface Piece {
    text: string;
    /** The assertion; `undefined` for the text between assertions. */
    assertion: Assertion | undefined;
}

const LEAVES = ["figure", "name", "command"];

/** Returns the pieces of a text in order. Sentences contain the others, so only figures, names and commands count. */
export function pieces(text: string, assertions: readonly Assertion[]): Piece[] {
    const letters = [...text];
    const leaves = assertions
        .filter((one) => LEAVES.includes(one.kind) && one.start < one.end && one.end <= letters.length)
        .sort((a, b) => a.start - b.start || b.end - a.end);
    const found: Piece[] = [];
    let at = 0;
    for (const assertion of leaves) {
        // An assertion within another one is part of it.
        if (assertion.start < at) continue;
        if (assertion.start > at)
            found.push({ text: letters.slice(at, assertion.start).join(""), assertion: undefined });
        found.push({ text: letters.slice(assertion.start, assertion.end).join(""), assertion });
        at = assertion.end;
    }
    if (at < letters.length) found.push({ text: letters.slice(at).join(""), assertion: undefined });
    return found;
}

const RESOURCES: Record<string, string> = { cpu: "processor", memory: "memory", io: "disk" };

/** Names a metric for people: `host.disks[/var].used_percent` is `disks /var used`. */
export function metricName(metric: string): string {
    const load = /^host\.cpu\.load\[(\d+)\]$/.exec(metric);
    if (load) return `load, mean of ${load[1]} min`;
    const pressure = /^(.*\.)?pressure\.(\w+)\.(some|full)_avg(\d+)$/.exec(metric);
    if (pressure) {
        const [, of = "", resource = "", who, seconds] = pressure;
        const tasks = who === "full" ? "all tasks wait" : "some tasks wait";
        return `${of && `${metricName(of.slice(0, -1))} `}${RESOURCES[resource] ?? resource} pressure, ${tasks}, mean of ${seconds} s`;
    }
    const short = metric
        .replace(/^host\./, "")
        .replace(/interval_seconds$/, "measured over")
        .replace(/_(percent|bytes|celsius|ms)$/, "")
        .replace(/_(bytes_)?per_second$/, " per second");
    // What is in brackets is a name of the machine and stays as it is.
    return short
        .split(/\[(.*)\]/)
        .map((part, index) => (index === 1 ? part : part.replace(/[._]/g, " ").trim()))
        .filter(Boolean)
        .join(" ");
}
