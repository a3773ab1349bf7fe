/** History of what the evidence of an analysis names, for the hours before it. */
import { useLoaded } from "./cache";
import { type History, loadHistory } from "./metrics";
import type { Analysis, Evidence } from "./types";

const HOURS_BEFORE = 6;

export interface EvidenceHistory {
    samples: History;
    /** Seconds since 1970. */
    from: number;
    to: number;
    at: number;
    isLoaded: boolean;
}

/** Name of the series of an evidence; the control group's series have its path in their names. */
export function seriesOf(evidence: Evidence, analysis: Analysis): string {
    const group = analysis.metrics.cgroup;
    if (evidence.metric.startsWith("cgroup.") && group.status === "present") {
        return `cgroup[${group.value.path}].${evidence.metric.slice("cgroup.".length)}`;
    }
    return evidence.metric;
}

export function useEvidenceHistory(analysis: Analysis): EvidenceHistory {
    const at = new Date(analysis.metrics.taken_at).getTime();
    const from = new Date(at - HOURS_BEFORE * 3_600_000);
    // A little after the analysis, so that its moment is not at the very edge.
    const to = new Date(Math.min(Date.now(), at + 600_000));
    const names = [...new Set(analysis.findings.flatMap((one) => one.evidence).map((one) => seriesOf(one, analysis)))];
    const key = `history/${analysis.host}/${analysis.generated_at}`;
    const loaded = useLoaded(key, async () => (names.length === 0 ? new Map() : loadHistory(names, from, to)));
    return {
        samples: loaded.value ?? new Map(),
        from: from.getTime() / 1000,
        to: to.getTime() / 1000,
        at: at / 1000,
        isLoaded: loaded.value !== undefined || loaded.failure !== undefined,
    };
}
