/** Windows of long lists, charts, timelines and comparisons. */
import { expect, test } from "vitest";
import type { Finding, TaskEvent } from "../src/api/types";
import { compare } from "../src/lib/compare";
import { align, gaps, nearest, type Sample } from "../src/lib/series";
import { fold } from "../src/lib/timeline";
import { slice } from "../src/lib/window";

test("only the rows in view and some around them are drawn", () => {
    const heights = Array<number>(10_000).fill(36);
    const drawn = slice(heights, 36_000, 900);
    expect(drawn.from).toBe(1000 - 8 + 1 - 1);
    expect(drawn.to - drawn.from).toBeLessThan(50);
    expect(drawn.above + (drawn.to - drawn.from) * 36 + drawn.below).toBe(360_000);
});

test("the beginning and the end of a list are drawn whole", () => {
    expect(slice([36, 60, 36], 0, 900)).toEqual({ from: 0, to: 3, above: 0, below: 0 });
    expect(slice([], 0, 900)).toEqual({ from: 0, to: 0, above: 0, below: 0 });
});

const sample = (at: number, mean = at): Sample => ({ at, mean, min: mean - 1, max: mean + 1 });

test("a gap stays a gap", () => {
    const samples = [0, 60, 120, 600, 660].map((at) => sample(at));
    expect(gaps(samples)).toEqual([180]);
    const { times, columns } = align([samples]);
    expect(times).toEqual([0, 60, 120, 180, 600, 660]);
    expect(columns[0]?.mean).toEqual([0, 60, 120, null, 600, 660]);
    expect(columns[0]?.max).toEqual([1, 61, 121, null, 601, 661]);
});

test("series that begin at different times share one axis", () => {
    const { times, columns } = align([[sample(0), sample(60)], [sample(60, 5)]]);
    expect(times).toEqual([0, 60]);
    expect(columns[1]?.mean).toEqual([null, 5]);
});

test("the cursor finds the nearest time", () => {
    expect(nearest([0, 60, 120], 29)).toBe(0);
    expect(nearest([0, 60, 120], 31)).toBe(1);
    expect(nearest([0, 60, 120], 900)).toBe(2);
});

const finding = (id: string, severity: Finding["severity"]): Finding => ({
    id,
    rule: id,
    severity,
    resource: id,
    summary: id,
    evidence: [],
    remedies: [],
});

test("a comparison lists what is worse first", () => {
    const before = [
        finding("gone", "critical"),
        finding("better", "critical"),
        finding("worse", "info"),
        finding("same", "info"),
    ];
    const after = [
        finding("same", "info"),
        finding("worse", "critical"),
        finding("better", "info"),
        finding("new", "warning"),
    ];
    expect(compare(before, after).map((pair) => [pair.id, pair.change])).toEqual([
        ["new", "new"],
        ["worse", "worse"],
        ["same", "same"],
        ["better", "better"],
        ["gone", "gone"],
    ]);
});

test("text events fold into one row for each finding", () => {
    const at = (seconds: number) => new Date(seconds * 1000).toISOString();
    const base = { task_id: "t" };
    const events = [
        { ...base, sequence: 1, at: at(0), type: "status", status: "processing", attempt: 1 },
        { ...base, sequence: 2, at: at(1), type: "text", text: "a", finding_id: "disk" },
        { ...base, sequence: 3, at: at(2), type: "text", text: "b", finding_id: "memory" },
        { ...base, sequence: 4, at: at(3), type: "text", text: "c", finding_id: "disk" },
        { ...base, sequence: 5, at: at(5), type: "status", status: "completed", attempt: 1 },
    ] as unknown as TaskEvent[];
    expect(fold(events).map((step) => [step.kind, step.text, step.took])).toEqual([
        ["status", "", 1000],
        ["text", "disk", 1000],
        ["text", "memory", 3000],
        ["status", "", undefined],
    ]);
});
