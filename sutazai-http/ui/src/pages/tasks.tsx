/** List of tasks: filters in the address, progress in the rows, actions on the ones that were selected. */
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { useAgents } from "../api/agents";
import { api, data } from "../api/client";
import { isAdmin, user } from "../api/session";
import { hide, put, type TaskQuery, useTaskCounts, useTasks } from "../api/tasks";
import type { Status, TaskItem } from "../api/types";
import { useCommands } from "../keyboard";
import { count, counted } from "../lib/units";
import { slice } from "../lib/window";
import { Filter, Search, Segments } from "../parts/field";
import { Icon } from "../parts/icon";
import { Empty, Failed, Loading, sentence } from "../parts/notice";
import { useRowKeys } from "../parts/row-keys";
import { hasDetail, TaskRow } from "../parts/task-row";
import { useTitle } from "../parts/title";
import { attempt, later, say } from "../parts/toasts";
import { useTypedQuery } from "../parts/typed-query";
import { open, route, setQuery } from "../router";
import { T } from "../texts";

const DAY = 86_400_000;
const AGES: Record<string, number> = { "1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY };
const STATUSES: readonly Status[] = ["pending", "processing", "completed", "failed", "cancelled"];

function useQuery(): { query: TaskQuery; filtered: boolean; everybody: boolean } {
    const asked = route.value.query;
    const everybody = asked.get("whose") === "all";
    const own = user()?.id;
    const [agent, q, age] = ["agent", "q", "created"].map((name) => asked.get(name) ?? undefined);
    const status = STATUSES.find((one) => one === asked.get("status"));
    const since = useMemo(() => (age && AGES[age] ? new Date(Date.now() - AGES[age]).toISOString() : undefined), [age]);
    const query: TaskQuery = {
        ...(status ? { status: [status] } : {}),
        ...(agent ? { agent } : {}),
        ...(q ? { q } : {}),
        ...(own && !everybody ? { owner: own } : {}),
        ...(since ? { created_after: since } : {}),
    };
    return { query, filtered: Boolean(status ?? agent ?? q ?? since), everybody };
}

function Filters() {
    const asked = route.value.query;
    const agents = useAgents();
    const [typed, setTyped] = useTypedQuery();
    return (
        <div class="filters">
            <Search label={T.tasks.search} value={typed} set={setTyped} />
            <Filter
                label={T.tasks.status}
                value={asked.get("status") ?? ""}
                options={[["", T.all], ...STATUSES.map((status) => [status, T.signs[status]] as const)]}
                set={(status) => setQuery({ status })}
            />
            <Filter
                label={T.tasks.agent}
                value={asked.get("agent") ?? ""}
                options={[["", T.all], ...agents.map(({ name }) => [name, name] as const)]}
                set={(agent) => setQuery({ agent })}
            />
            <Filter
                label={T.tasks.created}
                value={asked.get("created") ?? ""}
                options={[
                    ["", T.tasks.anyTime],
                    ["1d", T.tasks.lastDay],
                    ["7d", T.tasks.lastWeek],
                    ["30d", T.tasks.lastMonth],
                ]}
                set={(created) => setQuery({ created })}
            />
        </div>
    );
}

function Counts() {
    const counts = useTaskCounts();
    if (!counts) return null;
    const shown = (["processing", "pending", "failed"] as const).filter((status) => (counts[status] ?? 0) > 0);
    return (
        <span class="muted wide-only">
            {shown.map((status) => `${count(counts[status] ?? 0)} ${T.signs[status].toLowerCase()}`).join(" · ")}
        </span>
    );
}

interface BatchResult {
    id: string;
    task?: TaskItem | null;
    error?: { message: string } | null;
}

/** Acts on the tasks that were shown; the server says what became of each. */
async function batch(action: "cancel" | "retry" | "delete", ids: readonly string[]): Promise<void> {
    for (let start = 0; start < ids.length; start += 100) {
        const part = ids.slice(start, start + 100);
        const answer = await data(api.POST("/api/v1/tasks/batch", { body: { action, ids: part } }));
        for (const result of answer.results as BatchResult[]) {
            if (result.task) put(result.task);
            if (result.error) say(sentence(result.error.message), "error");
        }
    }
}

function Selection({ tasks, clear }: { tasks: readonly TaskItem[]; clear: () => void }) {
    const ids = (fits: (task: TaskItem) => boolean) => tasks.filter(fits).map((task) => task.id);
    const failed = ids((task) => task.status === "failed");
    const running = ids((task) => task.status === "processing" || task.status === "pending");
    const ended = ids((task) => task.status !== "processing");
    const remove = () => {
        const undo = hide(ended);
        clear();
        later(
            T.tasks.deleted(counted(ended.length, T.tasks.one)),
            () => void attempt(() => batch("delete", ended), undo),
            undo,
        );
    };
    const act = (action: "cancel" | "retry", some: string[]) => {
        clear();
        void attempt(() => batch(action, some));
    };
    return (
        <div class="selection">
            <span>{T.selected(tasks.length)}</span>
            <span class="space" />
            {failed.length > 0 && (
                <button type="button" class="button" onClick={() => act("retry", failed)}>
                    {T.tasks.retryN(failed.length)}
                </button>
            )}
            {running.length > 0 && (
                <button type="button" class="button" onClick={() => act("cancel", running)}>
                    {T.tasks.cancelN(running.length)}
                </button>
            )}
            {ended.length > 0 && (
                <button type="button" class="button" onClick={remove}>
                    {T.tasks.deleteN(ended.length)}
                </button>
            )}
            <button type="button" class="button quiet small" aria-label={T.close} onClick={clear}>
                <Icon name="x" />
            </button>
        </div>
    );
}

/** Pixels of scrolling after which other rows are drawn. */
const STEP = 180;

function heightOf(task: TaskItem, narrow: boolean): number {
    return narrow ? (hasDetail(task) ? 80 : 60) : hasDetail(task) ? 60 : 36;
}

/** Draws the rows in view only; the list may have thousands. */
function Rows({
    items,
    selected,
    select,
    reachEnd,
}: {
    items: readonly TaskItem[];
    selected: ReadonlySet<string>;
    select: (task: TaskItem, on: boolean, range: boolean) => void;
    reachEnd: () => void;
}) {
    const list = useRef<HTMLUListElement>(null);
    const [view, setView] = useState({ top: 0, height: 900, narrow: false });
    useLayoutEffect(() => {
        const look = () => {
            const passed = Math.max(0, -(list.current?.getBoundingClientRect().top ?? 0));
            const next = { top: passed - (passed % STEP), height: innerHeight + STEP, narrow: innerWidth < 720 };
            setView((old) =>
                old.top === next.top && old.height === next.height && old.narrow === next.narrow ? old : next,
            );
        };
        look();
        addEventListener("scroll", look, { passive: true });
        addEventListener("resize", look);
        return () => {
            removeEventListener("scroll", look);
            removeEventListener("resize", look);
        };
    }, []);
    const latest = useRef(select);
    latest.current = select;
    const stable = useCallback((...given: Parameters<typeof select>) => latest.current(...given), []);
    const heights = useMemo(() => items.map((task) => heightOf(task, view.narrow)), [items, view.narrow]);
    const { from, to, above, below } = slice(heights, view.top, view.height);
    useEffect(() => {
        if (to >= items.length) reachEnd();
    }, [to, items.length]);
    return (
        <ul class="task-rows" ref={list} style={{ paddingTop: `${above}px`, paddingBottom: `${below}px` }}>
            {items.slice(from, to).map((task, index) => (
                <TaskRow
                    key={task.id}
                    task={task}
                    checked={selected.has(task.id)}
                    select={stable}
                    height={heights[from + index] ?? 36}
                />
            ))}
        </ul>
    );
}

export default function Tasks() {
    const { query, filtered, everybody } = useQuery();
    const list = useTasks(query);
    const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
    const last = useRef<string | undefined>(undefined);
    useTitle(T.places.tasks);
    useRowKeys();
    const clear = () => setSelected(new Set());
    useCommands([{ keys: "Escape", name: T.keys.out, kind: "action", run: clear }], []);
    const items = list.items ?? [];
    // At the top of the list nothing moves under the pointer by a new row.
    const followsTop = scrollY < 40 && selected.size === 0;
    useEffect(() => {
        if (list.newer > 0 && followsTop) list.reload();
    }, [list.newer]);
    const select = (task: TaskItem, on: boolean, range: boolean) => {
        const next = new Set(selected);
        const ids = items.map((one) => one.id);
        const [a, b] = [ids.indexOf(last.current ?? task.id), ids.indexOf(task.id)];
        for (const id of range && a >= 0 ? ids.slice(Math.min(a, b), Math.max(a, b) + 1) : [task.id]) {
            if (on) next.add(id);
            else next.delete(id);
        }
        last.current = task.id;
        setSelected(next);
    };
    const chosen = items.filter((task) => selected.has(task.id));
    return (
        <div class="page">
            <div class="head">
                <h1>{T.places.tasks}</h1>
                <Counts />
                <span class="space" />
                {user() && isAdmin() && (
                    <Segments
                        label={T.whose}
                        value={everybody ? "all" : "mine"}
                        options={[
                            ["mine", T.mine],
                            ["all", T.everybodys],
                        ]}
                        set={(whose) => setQuery({ whose: whose === "all" ? "all" : undefined })}
                    />
                )}
                <button type="button" class="button primary" data-primary onClick={() => open("#/tasks/new")}>
                    {T.tasks.new}
                </button>
            </div>
            <Filters />
            {list.newer > 0 && !followsTop && (
                <button type="button" class="button newer" onClick={list.reload}>
                    {T.tasks.newer(list.newer)}
                </button>
            )}
            {list.failure && !list.items && <Failed failure={list.failure} retry={list.reload} />}
            {!list.items && !list.failure && <Loading what={T.places.tasks} lines={8} retry={list.reload} />}
            {list.items && items.length === 0 && (
                <Empty>
                    {filtered ? T.tasks.noFit : T.tasks.none}{" "}
                    {filtered && (
                        <button type="button" class="button" onClick={() => open("#/tasks")}>
                            {T.clearFilters}
                        </button>
                    )}
                </Empty>
            )}
            {items.length > 0 && (
                <div class="task-list">
                    <div class="task-heads" aria-hidden="true">
                        <span>{T.tasks.status}</span>
                        <span>{T.tasks.title}</span>
                        <span>{T.tasks.agent}</span>
                        <span class="number">{T.tasks.took}</span>
                        <span class="number">{T.tasks.created}</span>
                    </div>
                    <Rows items={items} selected={selected} select={select} reachEnd={() => void list.loadMore()} />
                </div>
            )}
            {list.loadingMore && <Loading what={T.places.tasks} lines={2} />}
            {chosen.length > 0 && <Selection tasks={chosen} clear={clear} />}
        </div>
    );
}
