/** Compares two analyses: findings by their ids, worse first. */
import type { Finding, Severity } from "../api/types";

export type Change = "new" | "worse" | "better" | "gone" | "same";

export interface Pair {
    id: string;
    change: Change;
    before: Finding | undefined;
    after: Finding | undefined;
}

const ORDER: readonly Severity[] = ["info", "warning", "critical"];
const SORTED: readonly Change[] = ["new", "worse", "same", "better", "gone"];

function changeOf(before: Finding | undefined, after: Finding | undefined): Change {
    if (!before) return "new";
    if (!after) return "gone";
    const step = ORDER.indexOf(after.severity) - ORDER.indexOf(before.severity);
    return step > 0 ? "worse" : step < 0 ? "better" : "same";
}

export function compare(before: readonly Finding[], after: readonly Finding[]): Pair[] {
    const ids = new Set([...after, ...before].map((finding) => finding.id));
    const pairs = [...ids].map((id): Pair => {
        const old = before.find((finding) => finding.id === id);
        const current = after.find((finding) => finding.id === id);
        return { id, change: changeOf(old, current), before: old, after: current };
    });
    const severity = ({ before: old, after: current }: Pair) => ORDER.indexOf((current ?? old)?.severity ?? "info");
    return pairs.sort((a, b) => SORTED.indexOf(a.change) - SORTED.indexOf(b.change) || severity(b) - severity(a));
}
