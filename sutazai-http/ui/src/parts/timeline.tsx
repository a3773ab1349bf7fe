/** Timeline of a task: its events with the time that each took. */
import { useMemo, useState } from "preact/hooks";
import type { Status, TaskEvent } from "../api/types";
import { exact, hundredths } from "../lib/time";
import { fold, type Step } from "../lib/timeline";
import { clean, duration, middle } from "../lib/units";
import { look } from "../look";
import { T } from "../texts";
import { Sign } from "./icon";
import { sentence } from "./notice";

const SHOWN = 200;

function Words({ step }: { step: Step }) {
    if (step.kind === "status") {
        const status = step.status as Status;
        return (
            <>
                {T.signs[status]}
                {step.error && <>: {sentence(step.error)}</>}
            </>
        );
    }
    if (step.kind === "findings") return <>{T.task.found(Number(step.text))}</>;
    if (step.kind === "text") return <bdi>{T.task.writes(middle(clean(step.text), 60))}</bdi>;
    return <bdi>{clean(step.text)}</bdi>;
}

export function Timeline({ events }: { events: readonly TaskEvent[] }) {
    const steps = useMemo(() => fold(events), [events]);
    const [all, setAll] = useState(false);
    const { zone } = look.value;
    const shown = all ? steps : steps.slice(-SHOWN);
    return (
        <>
            {shown.length < steps.length && (
                <button type="button" class="button" onClick={() => setAll(true)}>
                    {T.task.earlier(steps.length - shown.length)}
                </button>
            )}
            <ol class="timeline">
                {shown.map((step) => (
                    <li key={step.sequence}>
                        <time class="number muted" dateTime={step.at} title={exact(new Date(step.at), zone)}>
                            {hundredths(new Date(step.at), zone)}
                        </time>
                        {step.kind === "status" ? (
                            <Sign kind={step.status as Status} />
                        ) : (
                            <i class="dot" aria-hidden="true" />
                        )}
                        <span class="words">
                            <Words step={step} />
                        </span>
                        <span class="number muted">{step.took === undefined ? "" : duration(step.took)}</span>
                    </li>
                ))}
            </ol>
        </>
    );
}
