/** Folds the events of a task into the rows of its timeline. */
import type { TaskEvent } from "../api/types";

export interface Step {
    sequence: number;
    at: string;
    kind: "status" | "progress" | "text" | "findings";
    status: string | undefined;
    text: string;
    error: string | undefined;
    /** Milliseconds until the next step; `undefined` for the last one. */
    took: number | undefined;
}

/** Events of text about one finding, or about nothing in particular, become one row. */
export function fold(events: readonly TaskEvent[]): Step[] {
    const steps: Step[] = [];
    const texts = new Map<string, Step>();
    for (const event of events) {
        const base = { sequence: event.sequence, at: event.at, status: undefined, error: undefined, took: undefined };
        if (event.type === "status") {
            texts.clear();
            steps.push({ ...base, kind: "status", status: event.status, text: "", error: event.error?.message });
        } else if (event.type === "progress") {
            steps.push({ ...base, kind: "progress", text: event.message });
        } else if (event.type === "findings") {
            // The agent has said so already: its progress names the number of findings.
            const last = steps.at(-1);
            if (last?.kind === "progress" && Number.parseInt(last.text, 10) === event.findings.length) continue;
            steps.push({ ...base, kind: "findings", text: String(event.findings.length) });
        } else {
            const about = event.finding_id ?? "";
            const known = texts.get(about);
            if (known) {
                known.text += about ? "" : event.text;
            } else {
                const step: Step = { ...base, kind: "text", text: about || event.text };
                texts.set(about, step);
                steps.push(step);
            }
        }
    }
    for (const [index, step] of steps.entries()) {
        const next = steps[index + 1];
        if (next) step.took = new Date(next.at).getTime() - new Date(step.at).getTime();
    }
    return steps;
}
