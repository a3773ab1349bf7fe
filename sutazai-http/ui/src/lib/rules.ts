/** Finds the bounds of a metric in the rules of the server; the pages know no bound of their own. */
import type { Finding, Rule, Severity } from "../api/types";

export interface MetricBound {
    severity: Severity;
    value: number;
    direction: "above" | "below";
}

const ORDER: Severity[] = ["info", "warning", "critical"];

/** Returns whether a metric path fits a pattern such as `host.disks[<mount>].used_percent`. */
export function fits(pattern: string, metric: string): boolean {
    const [first = "", ...rest] = pattern.split(/<[^>]*>/);
    if (rest.length === 0) return pattern === metric;
    const last = rest.at(-1) ?? "";
    return metric.startsWith(first) && metric.endsWith(last) && metric.length > first.length + last.length;
}

/** Returns the bounds of a metric, the mildest first. `value` provides what relative bounds refer to. */
export function boundsOf(
    rules: readonly Rule[],
    metric: string,
    value: (metric: string) => number | undefined,
    rule?: string,
): MetricBound[] {
    for (const one of rules) {
        if (rule !== undefined && one.id !== rule) continue;
        const compared = one.metrics.find((each) => fits(each.metric, metric));
        if (!compared) continue;
        const relative = compared.relative_to;
        const base = relative ? value(relative.metric) : undefined;
        if (relative && base === undefined) continue;
        return ORDER.flatMap((severity) => {
            const bound = compared.bounds[severity];
            if (bound === null || bound === undefined) return [];
            const absolute = relative
                ? relative.operation === "times"
                    ? bound * (base ?? 0)
                    : bound + (base ?? 0)
                : bound;
            return [{ severity, value: absolute, direction: compared.direction }];
        });
    }
    return [];
}

/** Returns the severity of the last bound that the value is past; a value at a bound is not past it. */
export function severityOf(value: number, bounds: readonly MetricBound[]): Severity | undefined {
    return bounds.findLast((bound) => (bound.direction === "above" ? value > bound.value : value < bound.value))
        ?.severity;
}

/** Lowers the severity of a value to that of a finding about it: rules soften bounds by conditions. */
export function softened(
    severity: Severity | undefined,
    metric: string,
    findings: readonly Finding[],
): Severity | undefined {
    if (!severity) return undefined;
    const about = findings.filter((finding) => finding.evidence.some((evidence) => evidence.metric === metric));
    const worst = about.map((finding) => ORDER.indexOf(finding.severity)).sort((a, b) => b - a)[0];
    return worst === undefined ? severity : ORDER[Math.min(worst, ORDER.indexOf(severity))];
}

export interface Counts {
    critical: number;
    warning: number;
    info: number;
}

export function countBySeverity(findings: readonly { severity: Severity }[]): Counts {
    const counts: Counts = { critical: 0, warning: 0, info: 0 };
    for (const finding of findings) counts[finding.severity] += 1;
    return counts;
}
