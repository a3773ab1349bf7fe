/** Next times of a cron expression, while somebody types it. */
import { useEffect, useState } from "preact/hooks";
import { useLoaded } from "../api/cache";
import { api, data } from "../api/client";
import { day, exact, now } from "../lib/time";
import { look } from "../look";
import { T } from "../texts";
import { sentence } from "./notice";

const TYPING_MS = 300;

function Times({ cron, zone }: { cron: string; zone: string }) {
    const loaded = useLoaded(`times/${zone}/${cron}`, () =>
        data(api.GET("/api/v1/schedules/times", { params: { query: { cron, time_zone: zone } } })),
    );
    if (loaded.failure) return <p class="hint">{sentence(loaded.failure.message)}</p>;
    return (
        <ul class="times">
            {loaded.value?.items.map((at) => (
                <li key={at}>
                    <time dateTime={at} title={exact(new Date(at), look.value.zone)}>
                        {day(new Date(at), now.peek(), look.value.zone)}
                    </time>
                </li>
            ))}
        </ul>
    );
}

export function NextTimes({ cron, zone }: { cron: string; zone: string }) {
    const [shown, setShown] = useState({ cron, zone });
    useEffect(() => {
        const timer = setTimeout(() => setShown({ cron, zone }), TYPING_MS);
        return () => clearTimeout(timer);
    }, [cron, zone]);
    if (!shown.cron || !shown.zone) return null;
    return (
        <section class="next-times" aria-label={T.schedules.times}>
            <p class="muted">{T.schedules.times}</p>
            <Times key={`${shown.zone}/${shown.cron}`} cron={shown.cron} zone={shown.zone} />
        </section>
    );
}
