/** Points in time: relative text that keeps itself current, with the exact time on hover and focus. */
import { useComputed } from "@preact/signals";
import { clock, exact, now, relative, seconds } from "../lib/time";
import { coarse, duration } from "../lib/units";
import { look } from "../look";

export function Ago({ at }: { at: string }) {
    const text = useComputed(() => relative(new Date(at), now.value, look.value.zone));
    return (
        <time dateTime={at} title={exact(new Date(at), look.value.zone)}>
            {text}
        </time>
    );
}

/** Time of the day: `14:02`, or `14:02:11` if `precise`. */
export function Clock({ at, precise = false }: { at: string | number; precise?: boolean }) {
    const time = new Date(at);
    const { zone } = look.value;
    return (
        <time dateTime={time.toISOString()} title={exact(time, zone)}>
            {precise ? seconds(time, zone) : clock(time, zone)}
        </time>
    );
}

/** Time since `from` that counts up until `to` is known. */
export function Elapsed({ from, to }: { from: string; to?: string | null }) {
    const text = useComputed(() => {
        const passed = (to ? new Date(to).getTime() : now.value) - new Date(from).getTime();
        // What still runs has whole seconds: fractions would change with each look.
        return to ? duration(passed) : coarse(Math.max(0, Math.floor(passed / 1000)));
    });
    return <span class="number">{text}</span>;
}
