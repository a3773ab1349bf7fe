/** Form of a new task. */
import { useState } from "preact/hooks";
import { useAgentList } from "../api/agents";
import { forget } from "../api/cache";
import { api, data } from "../api/client";
import type { Agent } from "../api/types";
import { PRIORITIES } from "../lib/priorities";
import { SelectField, TextField } from "../parts/field";
import { FormError, useForm } from "../parts/form";
import { Failed, Loading, sentence } from "../parts/notice";
import { PayloadForm } from "../parts/payload-form";
import { useTitle } from "../parts/title";
import { open, route, setQuery } from "../router";
import { T } from "../texts";

function TaskForm({ agents }: { agents: readonly Agent[] }) {
    const name = route.value.query.get("agent") ?? agents[0]?.name ?? "";
    const agent = agents.find((one) => one.name === name);
    const [title, setTitle] = useState("");
    const [given, setPriority] = useState<string>();
    const priority = given ?? String(agent?.defaults.priority ?? 5);
    const [runAt, setRunAt] = useState("");
    const [payload, setPayload] = useState<Record<string, unknown>>();
    const form = useForm(async () => {
        if (!payload) return;
        const body = {
            agent: name,
            payload: payload as Record<string, never>,
            priority: Number(priority),
            ...(title.trim() ? { title: title.trim() } : {}),
            ...(runAt ? { run_at: new Date(runAt).toISOString() } : {}),
        };
        const task = await data(api.POST("/api/v1/tasks", { body }));
        forget("tasks");
        open(`#/tasks/${task.id}`);
    });
    const payloadError = form.failure?.field?.startsWith("payload") ? sentence(form.failure.message) : undefined;
    const shown = ["title", "agent", "run_at", "priority"].some((field) => form.about(field)) || payloadError;
    return (
        <form class="stack" onSubmit={form.submit}>
            <SelectField
                label={T.tasks.agent}
                hint={agent?.description}
                value={name}
                options={agents.map((one) => [one.name, one.name] as const)}
                set={(next) => setQuery({ agent: next })}
                error={form.about("agent")}
            />
            {agent?.online === false && <p class="unmeasured">{T.newTask.away(agent.name)}</p>}
            <TextField label={T.tasks.title} value={title} set={setTitle} maxLength={200} error={form.about("title")} />
            <PayloadForm key={agent?.name} agent={agent} set={setPayload} error={payloadError} />
            <div class="two">
                <SelectField label={T.newTask.priority} value={priority} options={PRIORITIES} set={setPriority} />
                <TextField
                    label={T.newTask.runAt}
                    hint={T.newTask.runAtHint}
                    type="datetime-local"
                    value={runAt}
                    set={setRunAt}
                    error={form.about("run_at")}
                />
            </div>
            {form.failure && !shown && <FormError text={sentence(form.failure.message)} />}
            <div class="row">
                <button type="submit" class="button primary" aria-disabled={form.busy || !payload}>
                    {T.newTask.submit}
                </button>
                <a class="button" href="#/tasks">
                    {T.cancel}
                </a>
            </div>
        </form>
    );
}

export default function NewTask() {
    const { value, failure, reload } = useAgentList();
    useTitle(T.tasks.new);
    return (
        <div class="page narrow">
            <div class="head">
                <a class="back" href="#/tasks">
                    ‹ {T.places.tasks}
                </a>
                <h1>{T.tasks.new}</h1>
            </div>
            {value && <TaskForm agents={value.items} />}
            {!value && failure && <Failed failure={failure} retry={reload} />}
            {!value && !failure && <Loading what={T.tasks.new} lines={8} retry={reload} />}
        </div>
    );
}
