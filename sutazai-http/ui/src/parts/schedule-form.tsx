/** Form of a schedule: what it runs, and when. */
import { useState } from "preact/hooks";
import { useAgentList } from "../api/agents";
import { api, data } from "../api/client";
import type { Agent, Schedule } from "../api/types";
import { words } from "../lib/cron";
import { PRIORITIES } from "../lib/priorities";
import { T } from "../texts";
import { SelectField, TextField } from "./field";
import { FormError, useForm } from "./form";
import { NextTimes } from "./next-times";
import { Failed, Loading, sentence } from "./notice";
import { PayloadForm } from "./payload-form";

const PRESETS = [
    ["30 7 * * MON-FRI", T.schedules.weekdays],
    ["0 3 * * *", T.schedules.daily],
    ["0 * * * *", T.schedules.hourly],
    ["0 8 * * MON", T.schedules.weekly],
] as const;

interface Props {
    schedule: Schedule | undefined;
    done: () => void;
    close: () => void;
}

/** Waits for the agents: the dialog is centered, so all of it would move when their fields arrive. */
export function ScheduleForm(props: Props) {
    const { value, failure, reload } = useAgentList();
    if (value) return <Known {...props} agents={value.items} />;
    return (
        <div class="body">
            {failure ? <Failed failure={failure} retry={reload} /> : <Loading what={T.schedules.new} lines={8} />}
        </div>
    );
}

function Known({ schedule, done, close, agents }: Props & { agents: readonly Agent[] }) {
    const [name, setName] = useState(schedule?.name ?? "");
    const [agentName, setAgent] = useState(schedule?.agent);
    const [cron, setCron] = useState<string>(schedule?.cron ?? PRESETS[0][0]);
    const [zone, setZone] = useState(schedule?.time_zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone);
    const [given, setPriority] = useState(schedule && String(schedule.priority));
    const [missed, setMissed] = useState<string>(schedule?.missed_runs ?? "once");
    const [overlap, setOverlap] = useState<string>(schedule?.overlap_policy ?? "skip");
    const [payload, setPayload] = useState<Record<string, unknown>>();
    const chosen = agentName ?? agents[0]?.name ?? "";
    const agent = agents.find((one) => one.name === chosen);
    const priority = given ?? String(agent?.defaults.priority ?? 5);
    const form = useForm(async () => {
        if (!payload) return;
        const body = {
            name: name.trim(),
            agent: chosen,
            payload: payload as Record<string, never>,
            priority: Number(priority),
            cron: cron.trim(),
            time_zone: zone.trim(),
            missed_runs: missed as Schedule["missed_runs"],
            overlap_policy: overlap as Schedule["overlap_policy"],
            enabled: schedule?.enabled ?? true,
        };
        if (schedule) {
            await data(api.PUT("/api/v1/schedules/{id}", { params: { path: { id: schedule.id } }, body }));
        } else {
            await data(api.POST("/api/v1/schedules", { body }));
        }
        done();
    });
    const payloadError = form.failure?.field?.startsWith("payload") ? sentence(form.failure.message) : undefined;
    const known = ["name", "agent", "cron", "time_zone", "priority"].some((field) => form.about(field)) || payloadError;
    return (
        <form class="stack body" onSubmit={form.submit}>
            <TextField
                label={T.schedules.name}
                value={name}
                set={setName}
                required
                maxLength={200}
                error={form.about("name")}
                autofocus
            />
            <SelectField
                label={T.tasks.agent}
                hint={agent?.description}
                value={chosen}
                options={agents.map((one) => [one.name, one.name] as const)}
                set={setAgent}
                error={form.about("agent")}
            />
            <div class="two">
                <SelectField
                    label={T.schedules.when}
                    value={PRESETS.some(([preset]) => preset === cron) ? cron : ""}
                    options={[...PRESETS, ["", T.schedules.custom]]}
                    set={(preset) => preset && setCron(preset)}
                />
                <TextField
                    label={T.schedules.cron}
                    hint={words(cron) ?? T.schedules.cronHint}
                    value={cron}
                    set={setCron}
                    class="code"
                    required
                    maxLength={100}
                    spellcheck={false}
                    error={form.about("cron")}
                />
            </div>
            <TextField
                label={T.schedules.zone}
                value={zone}
                set={setZone}
                required
                maxLength={100}
                error={form.about("time_zone")}
            />
            <NextTimes cron={cron.trim()} zone={zone.trim()} />
            <PayloadForm
                key={agent?.name}
                agent={agent}
                initial={schedule && chosen === schedule.agent ? (schedule.payload as Record<string, unknown>) : {}}
                set={setPayload}
                error={payloadError}
            />
            <details>
                <summary>{T.schedules.more}</summary>
                <div class="stack">
                    <SelectField label={T.newTask.priority} value={priority} options={PRIORITIES} set={setPriority} />
                    <SelectField
                        label={T.schedules.missed}
                        value={missed}
                        options={T.schedules.missedOptions}
                        set={setMissed}
                    />
                    <SelectField
                        label={T.schedules.overlap}
                        value={overlap}
                        options={T.schedules.overlapOptions}
                        set={setOverlap}
                    />
                </div>
            </details>
            {form.failure && !known && <FormError text={sentence(form.failure.message)} />}
            <footer>
                <button type="button" class="button" onClick={close}>
                    {T.cancel}
                </button>
                <button type="submit" class="button primary" aria-disabled={form.busy || !payload}>
                    {T.schedules.save}
                </button>
            </footer>
        </form>
    );
}
