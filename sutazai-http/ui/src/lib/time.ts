/** Formats points in time, relative to now and exactly, in the zone that the user chose. */
import { signal } from "@preact/signals";
import { coarse } from "./units";

/** Current time, updated each second while the page is visible. */
export const now = signal(Date.now());

let timer: ReturnType<typeof setInterval> | undefined;

/** Starts the clock; a hidden page does not tick. */
export function startClock(): void {
    const tick = () => {
        now.value = Date.now();
    };
    const follow = () => {
        clearInterval(timer);
        if (!document.hidden) {
            tick();
            timer = setInterval(tick, 1000);
        }
    };
    document.addEventListener("visibilitychange", follow);
    follow();
}

export type Zone = "local" | "utc";

const DAY = 86_400_000;
const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: Zone, options: Intl.DateTimeFormatOptions, at: Date | number): string {
    const key = zone + JSON.stringify(options);
    let made = formats.get(key);
    if (!made) {
        made = new Intl.DateTimeFormat("en-GB", { ...options, ...(zone === "utc" ? { timeZone: "UTC" } : {}) });
        formats.set(key, made);
    }
    return made.format(at);
}

/** Formats the distance from now: `now`, `12 min ago`, `in 3 h`; from a day on the date. */
export function relative(at: Date, current: number, zone: Zone): string {
    const distance = at.getTime() - current;
    const size = Math.abs(distance);
    if (size >= DAY) return day(at, current, zone);
    if (size < 2000) return "now";
    const seconds = Math.round(size / 1000);
    const rounded = seconds < 60 ? seconds : seconds < 3600 ? seconds - (seconds % 60) : seconds - (seconds % 3600);
    return distance < 0 ? `${coarse(rounded)} ago` : `in ${coarse(rounded)}`;
}

/** Formats `21 Nov 14:02`, with the year if it is another one. */
export function day(at: Date, current: number, zone: Zone): string {
    const year = (time: Date) => format(zone, { year: "numeric" }, time);
    const other = year(at) !== year(new Date(current));
    const text = other ? format(zone, { day: "numeric", month: "short", year: "numeric" }, at) : date(at, zone);
    return `${text} ${clock(at, zone)}`;
}

/** Formats `21 Nov`. */
export function date(at: Date, zone: Zone): string {
    return format(zone, { day: "numeric", month: "short" }, at);
}

/** Formats `14:02`. */
export function clock(at: Date | number, zone: Zone): string {
    return format(zone, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }, at);
}

/** Formats `14:02:11`. */
export function seconds(at: Date | number, zone: Zone): string {
    return format(zone, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }, at);
}

/** Formats `14:02:01.04`, for steps that take milliseconds. */
export function hundredths(at: Date, zone: Zone): string {
    return `${seconds(at, zone)}.${String(Math.floor(at.getMilliseconds() / 10)).padStart(2, "0")}`;
}

/** Formats the exact time with its zone, and in UTC. */
export function exact(at: Date, zone: Zone): string {
    const utc = `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
    if (zone === "utc") return utc;
    const local = format("local", { dateStyle: "full", timeStyle: "long" }, at);
    return `${local} (${utc})`;
}
