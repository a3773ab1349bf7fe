/** Schedules: tasks that are submitted again and again. */
import { useState } from "preact/hooks";
import { useAgentList } from "../api/agents";
import { change, forget, useLoaded } from "../api/cache";
import { api, data } from "../api/client";
import type { Schedule } from "../api/types";
import { words } from "../lib/cron";
import { clean } from "../lib/units";
import { Dialog } from "../parts/dialog";
import { Check, Search } from "../parts/field";
import { Sign } from "../parts/icon";
import { Menu } from "../parts/menu";
import { Name } from "../parts/name";
import { Empty, Failed, Loading, sentence } from "../parts/notice";
import { useRowKeys } from "../parts/row-keys";
import { ScheduleForm } from "../parts/schedule-form";
import { Ago } from "../parts/time";
import { useTitle } from "../parts/title";
import { attempt, later } from "../parts/toasts";
import { open } from "../router";
import { T } from "../texts";

interface ScheduleList {
    items: Schedule[];
    next_cursor?: string | null;
}

const KEY = "schedules";

/** Fields of a schedule that its owner may write. */
export function planOf(schedule: Schedule) {
    const { name, agent, payload, priority, cron, time_zone, missed_runs, overlap_policy, enabled } = schedule;
    return {
        name,
        agent,
        payload: payload as Record<string, never>,
        priority,
        cron,
        time_zone,
        missed_runs,
        overlap_policy,
        enabled,
    };
}

function put(schedule: Schedule): void {
    change<ScheduleList>(KEY, (list) => ({
        ...list,
        items: list.items.map((one) => (one.id === schedule.id ? schedule : one)),
    }));
}

function enable(schedule: Schedule, enabled: boolean): void {
    put({ ...schedule, enabled });
    const params = { path: { id: schedule.id } };
    void attempt(
        async () =>
            put(await data(api.PUT("/api/v1/schedules/{id}", { params, body: { ...planOf(schedule), enabled } }))),
        () => put(schedule),
    );
}

function remove(schedule: Schedule): void {
    const hide = (list: ScheduleList) => ({ ...list, items: list.items.filter((one) => one.id !== schedule.id) });
    change<ScheduleList>(KEY, hide);
    const undo = () => forget(KEY);
    const params = { path: { id: schedule.id } };
    later(
        T.schedules.deleted,
        () => void attempt(() => data(api.DELETE("/api/v1/schedules/{id}", { params })), undo),
        undo,
    );
}

function runNow({ id }: Schedule): void {
    void attempt(async () => {
        const task = await data(api.POST("/api/v1/schedules/{id}/run", { params: { path: { id } } }));
        forget(KEY);
        open(`#/tasks/${task.id}`);
    });
}

/** Outcome of the last task, with a link to it. */
function Last({ schedule }: { schedule: Schedule }) {
    const task = schedule.last_task;
    const at = task?.finished_at ?? schedule.last_run_at;
    if (!task && !at) return null;
    return (
        <>
            <br />
            {T.schedules.last}{" "}
            {task ? (
                <a href={`#/tasks/${task.id}`} title={task.error ? sentence(task.error.message) : undefined}>
                    <Sign kind={task.status} /> {T.signs[task.status]} {at && <Ago at={at} />}
                </a>
            ) : (
                at && <Ago at={at} />
            )}
        </>
    );
}

function Row({ schedule, edit }: { schedule: Schedule; edit: () => void }) {
    const said = words(schedule.cron);
    return (
        <li class="schedule" data-row>
            <div class="grow">
                <button type="button" class="link strong" data-open onClick={edit}>
                    <bdi>{clean(schedule.name)}</bdi>
                </button>
                <p class="muted">
                    {said ?? <code>{schedule.cron}</code>}
                    {schedule.time_zone !== "UTC" || said ? `, ${schedule.time_zone}` : ""} ·{" "}
                    <Name text={schedule.agent} />
                </p>
            </div>
            <p class="muted times">
                {schedule.next_run_at ? (
                    <>
                        {T.schedules.next} <Ago at={schedule.next_run_at} />
                    </>
                ) : (
                    T.schedules.off
                )}
                <Last schedule={schedule} />
            </p>
            <Check label={T.schedules.on} checked={schedule.enabled} set={(on) => enable(schedule, on)} />
            <Menu
                label={T.actionsOf(schedule.name)}
                items={[
                    { name: T.schedules.edit, run: edit },
                    { name: T.schedules.runNow, run: () => runNow(schedule) },
                    { name: T.schedules.tasks, href: `#/tasks?q=${encodeURIComponent(schedule.name)}` },
                    { name: T.delete, run: () => remove(schedule) },
                ]}
            />
        </li>
    );
}

export default function Schedules() {
    const loaded = useLoaded<ScheduleList>(KEY, () =>
        data(api.GET("/api/v1/schedules", { params: { query: { limit: 100 } } })),
    );
    const [edited, setEdited] = useState<Schedule | "new">();
    useTitle(T.places.schedules);
    useRowKeys();
    // Loaded ahead of the form, which needs them at once.
    useAgentList();
    const [search, setSearch] = useState("");
    const items = loaded.value?.items;
    const wanted = search.trim().toLowerCase();
    const shown = items?.filter(({ name, agent }) => `${name}\n${agent}`.toLowerCase().includes(wanted));
    return (
        <div class="page">
            <div class="head">
                <h1>{T.places.schedules}</h1>
                <span class="space" />
                <button type="button" class="button primary" data-primary onClick={() => setEdited("new")}>
                    {T.schedules.new}
                </button>
            </div>
            {!items && loaded.failure && <Failed failure={loaded.failure} retry={loaded.reload} />}
            {!items && !loaded.failure && <Loading what={T.places.schedules} lines={4} retry={loaded.reload} />}
            {items?.length === 0 && <Empty>{T.schedules.none}</Empty>}
            {items && items.length > 0 && (
                <div class="filters">
                    <Search label={T.schedules.search} value={search} set={setSearch} />
                </div>
            )}
            {wanted && shown?.length === 0 && <Empty>{T.schedules.noFit}</Empty>}
            {shown && shown.length > 0 && (
                <ul class="list">
                    {shown.map((schedule) => (
                        <Row key={schedule.id} schedule={schedule} edit={() => setEdited(schedule)} />
                    ))}
                </ul>
            )}
            {edited && (
                <Dialog
                    title={edited === "new" ? T.schedules.new : T.schedules.edit}
                    close={() => setEdited(undefined)}
                    wide
                >
                    <ScheduleForm
                        schedule={edited === "new" ? undefined : edited}
                        done={() => {
                            setEdited(undefined);
                            forget(KEY);
                        }}
                        close={() => setEdited(undefined)}
                    />
                </Dialog>
            )}
        </div>
    );
}
