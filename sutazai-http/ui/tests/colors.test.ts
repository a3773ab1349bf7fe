/** Contrast of the colors of the style sheet, computed from the rounded sRGB values by WCAG 2.2. */
import { describe, expect, test } from "vitest";
import CSS from "../src/ui.css?raw";

type Rgb = [number, number, number];

const TOKEN = /--([a-z0-9-]+): light-dark\(oklch\(([^)]*)\), oklch\(([^)]*)\)\);/g;

/** Converts OKLCH to rounded sRGB, from 0 to 255. */
function rgb(text: string): Rgb {
    const [l = 0, chroma = 0, hue = 0] = text.split(" ").map(Number);
    const [a, b] = [chroma * Math.cos((hue * Math.PI) / 180), chroma * Math.sin((hue * Math.PI) / 180)];
    const cube = (x: number) => x ** 3;
    const [long, medium, short] = [
        cube(l + 0.3963377774 * a + 0.2158037573 * b),
        cube(l - 0.1055613458 * a - 0.0638541728 * b),
        cube(l - 0.0894841775 * a - 1.291485548 * b),
    ];
    const linear = [
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.707614701 * short,
    ];
    const encode = (x: number) => (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055);
    return linear.map((x) => Math.round(255 * Math.min(1, Math.max(0, encode(Math.max(0, x)))))) as Rgb;
}

function luminance(color: Rgb): number {
    const [r = 0, g = 0, b = 0] = color.map((part) => {
        const share = part / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one: Rgb, other: Rgb): number {
    const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
}

const tokens = [...CSS.matchAll(TOKEN)].map(([, name = "", light = "", dark = ""]) => ({ name, light, dark }));
const color = (name: string, theme: "light" | "dark") =>
    rgb(tokens.find((token) => token.name === name)?.[theme] ?? "");

describe.each(["light", "dark"] as const)("in the %s theme", (theme) => {
    const grounds = ["canvas", "surface", "sunken"];
    const lowest = (name: string, on: string[]) =>
        Math.min(...on.map((ground) => contrast(color(name, theme), color(ground, theme))));
    const tints = ["critical", "warning", "info", "good"].map((name) => `tint-${name}`);

    test.each(["text", "muted", "link"])("%s is legible on every ground", (name) => {
        expect(lowest(name, grounds)).toBeGreaterThanOrEqual(4.5);
    });
    test.each(["text", "muted"])("%s is legible on every tint", (name) => {
        expect(lowest(name, tints)).toBeGreaterThanOrEqual(4.5);
    });
    const marks = ["edge", "focus", "critical", "warning", "info", "good"];
    const series = [1, 2, 3, 4, 5].map((number) => `series-${number}`);
    test.each([...marks, ...series])("%s is visible on every ground", (name) => {
        expect(lowest(name, grounds)).toBeGreaterThanOrEqual(3);
    });
    test.each(["critical", "warning", "info", "good"])("%s is visible on its tint", (name) => {
        expect(lowest(name, [`tint-${name}`])).toBeGreaterThanOrEqual(3);
    });
    test("buttons are legible", () => {
        expect(contrast(color("canvas", theme), color("text", theme))).toBeGreaterThanOrEqual(15);
        expect(contrast(color("on-critical", theme), color("critical", theme))).toBeGreaterThanOrEqual(4.5);
    });
});

test("colors have the intended sRGB values", () => {
    const hex = (name: string, theme: "light" | "dark") =>
        `#${color(name, theme)
            .map((part) => part.toString(16).padStart(2, "0"))
            .join("")}`;
    expect([hex("critical", "light"), hex("critical", "dark")]).toEqual(["#c51f17", "#f44654"]);
    expect([hex("canvas", "light"), hex("canvas", "dark")]).toEqual(["#f9fafc", "#0c0e12"]);
    expect([hex("series-1", "light"), hex("series-5", "dark")]).toEqual(["#204ab0", "#d2c457"]);
});
