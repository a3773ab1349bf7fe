/** Points in time relative to now, and exactly. */
import { expect, test } from "vitest";
import { day, exact, hundredths, relative } from "../src/lib/time";

const NOW = Date.UTC(2026, 10, 29, 14, 2, 0);
const plain = (text: string) => text.replaceAll("\u00a0", " ");

test.each([
    [0, "now"],
    [-45_000, "45 s ago"],
    [-12 * 60_000 - 30_000, "12 min ago"],
    [-3 * 3_600_000 - 60_000, "3 h ago"],
    [3 * 3_600_000, "in 3 h"],
    [-2 * 86_400_000, "27 Nov 14:02"],
    [-400 * 86_400_000, "25 Oct 2025 14:02"],
])("a distance of %d ms", (distance, text) => expect(plain(relative(new Date(NOW + distance), NOW, "utc"))).toBe(text));

test("the exact time names its zone", () => expect(exact(new Date(NOW), "utc")).toBe("2026-11-29 14:02:00 UTC"));
test("local time adds UTC", () => expect(exact(new Date(NOW), "local")).toContain("(2026-11-29 14:02:00 UTC)"));
test("steps have hundredths", () => expect(hundredths(new Date(NOW + 1049), "utc")).toBe("14:02:01.04"));
test("another year is named", () => expect(day(new Date(0), NOW, "utc")).toBe("1 Jan 1970 00:00"));
