/** Formats measured values as people read them: three digits that matter, and a no-break space before the unit. */

const SPACE = "\u00a0";
const BYTES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** Formats a number with three significant digits, without an exponent. */
export function three(value: number): string {
    const size = Math.abs(value);
    if (size >= 99.95) return GROUPED.format(value);
    if (size >= 9.995) return value.toFixed(1);
    return value.toFixed(2);
}

export function count(value: number): string {
    return GROUPED.format(value);
}

/** Formats `1 task`, `3 tasks`; `many` is needed only for irregular words. */
export function counted(value: number, one: string, many = `${one}s`): string {
    return `${count(value)}${SPACE}${value === 1 ? one : many}`;
}

export function percent(value: number): string {
    return `${value.toFixed(1)}${SPACE}%`;
}

export function bytes(value: number): string {
    let scaled = value;
    let unit = 0;
    while (Math.abs(scaled) >= 1023.5 && unit < BYTES.length - 1) {
        scaled /= 1024;
        unit += 1;
    }
    return `${unit === 0 ? GROUPED.format(scaled) : three(scaled)}${SPACE}${BYTES[unit]}`;
}

/** Formats a duration: `920 ms`, `3.1 s`, `2 min 4 s`, `4 h 12 min`, `3 d 4 h`. */
export function duration(ms: number): string {
    if (ms < 9.95) return `${Math.max(0, ms).toFixed(1).replace(/\.0$/, "")}${SPACE}ms`;
    if (ms < 999.5) return `${Math.round(ms)}${SPACE}ms`;
    const seconds = ms / 1000;
    if (seconds < 9.95) return `${seconds.toFixed(1)}${SPACE}s`;
    return coarse(Math.round(seconds));
}

/** Formats whole seconds with at most two units. */
export function coarse(seconds: number): string {
    const units: [number, string][] = [
        [86400, "d"],
        [3600, "h"],
        [60, "min"],
        [1, "s"],
    ];
    const first = units.findIndex(([size]) => seconds >= size);
    if (first === -1) return `0${SPACE}s`;
    let rest = seconds;
    const parts: string[] = [];
    for (const [size, name] of units.slice(first, first + 2)) {
        const whole = Math.floor(rest / size);
        rest -= whole * size;
        if (whole > 0) parts.push(`${whole}${SPACE}${name}`);
    }
    return parts.join(" ");
}

/** Formats a value of an evidence or a series in its unit. */
export function measured(value: number, unit: string): string {
    switch (unit) {
        case "percent":
            return percent(value);
        case "bytes":
            return bytes(value);
        case "bytes/s":
            return `${bytes(value)}/s`;
        case "ms":
            return duration(value);
        case "seconds":
        case "s":
            return duration(value * 1000);
        case "hours":
        case "h":
            return duration(value * 3_600_000);
        case "celsius":
            return `${three(value)}${SPACE}°C`;
        case "count":
        case "":
            return Number.isInteger(value) ? count(value) : three(value);
        default:
            return `${Number.isInteger(value) ? count(value) : three(value)}${SPACE}${unit}`;
    }
}

/** Formats a bound: as a value, but without zeros behind the point. */
export function bound(value: number, unit: string): string {
    return measured(value, unit).replace(/\.0+(?=\D|$)/, "");
}

/** Removes control and direction characters from a name that others chose. */
export function clean(name: string): string {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to remove.
    return name.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, "");
}

/** Shortens a text in the middle, where names of paths and containers differ least. */
export function middle(text: string, max: number): string {
    const letters = [...text];
    if (letters.length <= max) return text;
    const end = Math.floor((max - 1) / 2);
    return `${letters.slice(0, max - 1 - end).join("")}…${letters.slice(letters.length - end).join("")}`;
}
