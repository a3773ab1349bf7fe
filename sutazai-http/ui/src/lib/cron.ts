/** Says in words when a cron expression is due. */

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const SHORT = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTHS = [
    "",
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

function dayIndex(text: string): number | undefined {
    const index = /^[0-7]$/.test(text) ? Number(text) : SHORT.indexOf(text.toUpperCase());
    return index < 0 ? undefined : index;
}

function weekdays(field: string): string | undefined {
    if (field === "*" || field === "?") return "";
    const range = /^(\w+)-(\w+)$/.exec(field);
    const [from, to] = [dayIndex(range?.[1] ?? ""), dayIndex(range?.[2] ?? "")];
    if (from !== undefined && to !== undefined) {
        return from === 1 && to === 5 ? "on weekdays" : `from ${DAYS[from]} to ${DAYS[to]}`;
    }
    const days = field.split(",").map(dayIndex);
    if (days.some((day) => day === undefined)) return undefined;
    return `on ${list(days.map((day) => DAYS[day as number] as string))}`;
}

function list(words: readonly string[]): string {
    return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function clock(minute: string, hour: string): string | undefined {
    if (!/^\d{1,2}$/.test(minute)) return undefined;
    const hours = hour.split(",");
    if (!hours.every((one) => /^\d{1,2}$/.test(one))) return undefined;
    return `at ${list(hours.map((one) => `${one.padStart(2, "0")}:${minute.padStart(2, "0")}`))}`;
}

function interval(minute: string, hour: string): string | undefined {
    const step = /^\*\/(\d+)$/.exec(minute)?.[1];
    if (minute === "*" && hour === "*") return "every minute";
    if (step && hour === "*") return `every ${step} minutes`;
    if (!/^\d{1,2}$/.test(minute)) return undefined;
    const hours = /^\*\/(\d+)$/.exec(hour)?.[1];
    const past = minute === "0" ? "" : ` at ${minute} minutes past`;
    if (hour === "*") return `every hour${past}`;
    return hours ? `every ${hours} hours${past}` : undefined;
}

/** Returns the words, such as `on weekdays at 07:30`; `undefined` for what has no short ones. */
export function words(expression: string): string | undefined {
    const fields = expression.trim().split(/\s+/);
    if (fields.length !== 5) return undefined;
    const [minute = "", hour = "", date = "", month = "", weekday = ""] = fields;
    const time = clock(minute, hour);
    const often = time ?? interval(minute, hour);
    const days = weekdays(weekday);
    if (!often || days === undefined) return undefined;
    const isAny = (field: string) => field === "*" || field === "?";
    const months = isAny(month) ? "" : /^\d{1,2}$/.test(month) ? `in ${MONTHS[Number(month)]}` : undefined;
    const dates = isAny(date) ? "" : /^\d{1,2}$/.test(date) ? `on day ${date}` : undefined;
    if (months === undefined || dates === undefined || (dates && days)) return undefined;
    const each = time && !days && !dates ? "every day" : "";
    return [each, dates && !months ? `${dates} of each month` : dates, months, days, often].filter(Boolean).join(" ");
}
