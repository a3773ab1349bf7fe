/** Numbers, durations and names as the pages show them. */
import { describe, expect, test } from "vitest";
import { bound, bytes, clean, coarse, counted, duration, measured, middle, percent } from "../src/lib/units";

const plain = (text: string) => text.replaceAll("\u00a0", " ");

test.each([
    [0, "0 B"],
    [1023, "1,023 B"],
    [1024, "1.00 KiB"],
    [9.31 * 1024 ** 3, "9.31 GiB"],
    [93.1 * 1024 ** 3, "93.1 GiB"],
    [1023.9 * 1024 ** 2, "1.00 GiB"],
])("%d bytes have three digits that matter", (value, text) => expect(plain(bytes(value))).toBe(text));

test.each([
    [0, "0 ms"],
    [0.24, "0.2 ms"],
    [920, "920 ms"],
    [999.6, "1.0 s"],
    [3100, "3.1 s"],
    [9960, "10 s"],
    [124_000, "2 min 4 s"],
    [15_120_000, "4 h 12 min"],
    [86_400_000, "1 d"],
])("%d ms", (value, text) => expect(plain(duration(value))).toBe(text));

test("a duration has at most two units", () => expect(plain(coarse(86400 + 3600 + 60))).toBe("1 d 1 h"));

test("units follow a no-break space", () => {
    expect(percent(52.94)).toBe("52.9\u00a0%");
    expect(counted(1, "task")).toBe("1\u00a0task");
    expect(counted(1200, "task")).toBe("1,200\u00a0tasks");
});

test("a value is shown in its unit", () => {
    expect(plain(measured(1536, "bytes/s"))).toBe("1.50 KiB/s");
    expect(plain(measured(1.5, "hours"))).toBe("1 h 30 min");
    expect(plain(measured(61.2, "celsius"))).toBe("61.2 °C");
    expect(plain(measured(7, "packets"))).toBe("7 packets");
});

test("a bound has no zeros behind the point", () => {
    expect(plain(bound(95, "percent"))).toBe("95 %");
    expect(plain(bound(92.5, "percent"))).toBe("92.5 %");
    expect(plain(bound(1024 ** 3, "bytes"))).toBe("1 GiB");
});

describe("names that others chose", () => {
    test("lose control and direction characters", () => expect(clean("a\u202eb\u0000c\u001b[31m")).toBe("abc[31m"));
    test("are shortened in the middle", () => {
        expect(middle("a-very-long-name", 9)).toBe("a-ve…name");
        expect(middle("short", 9)).toBe("short");
        expect([...middle("😀".repeat(20), 9)]).toHaveLength(9);
    });
});
