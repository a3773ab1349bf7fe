/** Claims, bounds, schedules, schemas, Markdown and search terms. */
import { describe, expect, test } from "vitest";
import type { Assertion, Rule } from "../src/api/types";
import { metricName, pieces } from "../src/lib/assertions";
import { words } from "../src/lib/cron";
import { fieldsOf, payloadOf } from "../src/lib/form-schema";
import { excerpt, mark, marked } from "../src/lib/highlight";
import { isSingle, named, Sequence } from "../src/lib/keys";
import { parse } from "../src/lib/markdown";
import { isId, rank } from "../src/lib/match";
import { boundsOf, fits, severityOf } from "../src/lib/rules";

describe("assertions", () => {
    const assertion = (kind: Assertion["kind"], start: number, end: number): Assertion => ({
        kind,
        text: "",
        start,
        end,
        evidence: 0,
    });
    test("are cut by code points, and a sentence contains the others", () => {
        const text = "😀 disk /var is 96 % full.";
        const cut = pieces(text, [
            assertion("statement", 0, 25),
            assertion("name", 2, 11),
            assertion("figure", 15, 19),
            assertion("name", 7, 11),
        ]);
        expect(cut.map((piece) => piece.text)).toEqual(["😀 ", "disk /var", " is ", "96 %", " full."]);
        expect(cut.filter((piece) => piece.assertion)).toHaveLength(2);
    });
    test("outside of the text are left out", () => expect(pieces("a", [assertion("figure", 0, 9)])).toHaveLength(1));
    test("metrics are named for people", () => {
        expect(metricName("host.disks[/var].used_percent")).toBe("disks /var used");
        expect(metricName("host.disks[/opt/app.d].used_percent")).toBe("disks /opt/app.d used");
        expect(metricName("pressure.io.some_avg60")).toBe("disk pressure, some tasks wait, mean of 60 s");
        expect(metricName("host.cpu.load[5]")).toBe("load, mean of 5 min");
    });
});

describe("bounds", () => {
    const rule = {
        id: "high_load",
        metrics: [
            {
                metric: "host.cpu.load[5]",
                unit: "tasks",
                direction: "above",
                bounds: { info: null, warning: 1.5, critical: 4 },
                relative_to: { metric: "host.cpu.cores", operation: "times" },
            },
        ],
    } as unknown as Rule;
    test("fit every name in the place of a pattern", () => {
        expect(fits("host.disks[<mount>].used_percent", "host.disks[/a].used_percent")).toBe(true);
        expect(fits("host.disks[<mount>].used_percent", "host.disks[/a].used_bytes")).toBe(false);
        expect(fits("host.cpu.load[5]", "host.cpu.load[1]")).toBe(false);
    });
    test("are multiplied by what they refer to", () => {
        expect(boundsOf([rule], "host.cpu.load[5]", () => 2).map((bound) => bound.value)).toEqual([3, 8]);
        expect(boundsOf([rule], "host.cpu.load[5]", () => undefined)).toEqual([]);
    });
    test("are not passed by a value at them", () => {
        const bounds = boundsOf([rule], "host.cpu.load[5]", () => 2);
        expect([3, 3.1, 8, 8.1].map((value) => severityOf(value, bounds))).toEqual([
            undefined,
            "warning",
            "warning",
            "critical",
        ]);
    });
});

test.each([
    ["30 7 * * MON-FRI", "on weekdays at 07:30"],
    ["0 3 * * *", "every day at 03:00"],
    ["*/15 * * * *", "every 15 minutes"],
    ["0 * * * *", "every hour"],
    ["5 */6 * * *", "every 6 hours at 5 minutes past"],
    ["0 8,20 * * 1,3", "on Monday and Wednesday at 08:00, 20:00".replace(", 20", " and 20")],
    ["0 0 1 * *", "on day 1 of each month at 00:00"],
    ["0 0 1 1 *", "on day 1 in January at 00:00"],
    ["0 0 L * *", undefined],
    ["0 0 * *", undefined],
])("%s in words", (expression, text) => expect(words(expression)).toBe(text));

describe("forms of schemas", () => {
    const schema = {
        $ref: "#/$defs/Input",
        $defs: {
            Input: {
                type: "object",
                required: ["goal"],
                properties: {
                    goal: { type: "string", description: "What to do." },
                    use_model: { type: "boolean", default: true },
                    level: { anyOf: [{ $ref: "#/$defs/Level" }, { type: "null" }] },
                    count: { type: ["integer", "null"], minimum: 1 },
                    steps: { type: "array" },
                },
            },
            Level: { enum: ["low", "high"] },
        },
    };
    test("have a field for each property", () => {
        const fields = fieldsOf(schema) ?? [];
        expect(fields.map((field) => [field.name, field.kind, field.required])).toEqual([
            ["goal", "text", true],
            ["use_model", "boolean", false],
            ["level", "choice", false],
            ["count", "integer", false],
            ["steps", "json", false],
        ]);
        expect(payloadOf(fields, { goal: "x", count: "3", steps: "[1]" })).toEqual({
            goal: "x",
            use_model: true,
            count: 3,
            steps: [1],
        });
    });
    test("are not made of what is no object", () => expect(fieldsOf({ type: "string" })).toBeUndefined());
});

test("Markdown of answers has paragraphs, lists, code and emphasis, and no HTML", () => {
    const blocks = parse("# Head\n\n<b>x</b> **bold** `code`\n- one\n- two\n1. first\n```sh\nls\n");
    expect(blocks.map((block) => block.kind)).toEqual(["heading", "paragraph", "list", "list", "code"]);
    expect(blocks[1]).toMatchObject({
        content: [
            { kind: "text", text: "<b>x</b> " },
            { kind: "strong", text: "bold" },
            { kind: "text" },
            { kind: "code", text: "code" },
        ],
    });
    expect(blocks.at(-1)).toEqual({ kind: "code", text: "ls" });
    expect(parse("[a](javascript:alert(1))")[0]).toMatchObject({
        content: [{ kind: "link", text: "a" }, { kind: "text" }],
    });
});

test("whole words of a search are marked, regardless of case", () => {
    expect(
        mark("A lease, leases, LEASE", "lease")
            .filter((part) => part.isHit)
            .map((part) => part.text),
    ).toEqual(["lease", "LEASE"]);
    expect(mark("a (b", "(")).toEqual([{ text: "a (b", isHit: false }]);
    const long = excerpt(mark(`${"x ".repeat(400)}lease ${"y ".repeat(400)}`, "lease"));
    expect(long[0]?.text.startsWith("…")).toBe(true);
    expect(long.at(-1)?.text.endsWith("…")).toBe(true);
    expect(long.map((part) => part.text).join("").length).toBeLessThan(450);
});

test("places of a search are cut by code points", () => {
    const places = [
        { start: 2, end: 8 },
        { start: 13, end: 19 },
    ];
    expect(marked("🦀 Straße und STRASS!", places)).toEqual([
        { text: "🦀 ", isHit: false },
        { text: "Straße", isHit: true },
        { text: " und ", isHit: false },
        { text: "STRASS", isHit: true },
        { text: "!", isHit: false },
    ]);
    expect(marked("text", [])).toEqual([{ text: "text", isHit: false }]);
    expect(marked("", [])).toEqual([]);
});

test("keys form sequences that time out", () => {
    const stroke = { key: "k", ctrlKey: true, metaKey: false, altKey: false };
    expect(named(stroke)).toBe("Ctrl+K");
    expect(isSingle("Ctrl+K")).toBe(false);
    const sequence = new Sequence(new Set(["g"]));
    expect(sequence.add("g", 0)).toBeUndefined();
    expect(sequence.add("t", 500)).toBe("g t");
    sequence.add("g", 1000);
    expect(sequence.add("t", 3000)).toBe("t");
});

test("the palette ranks beginnings of words first and knows ids", () => {
    expect(rank("Analyze now", "ana")).toBeLessThan(rank("Banana", "ana") as number);
    expect(rank("Tasks", "x")).toBeUndefined();
    expect(isId("0193f3a2-0000-7000-8000-000000000000")).toBe(true);
    expect(isId("0193")).toBe(false);
});
