/** Tasks in memory: lists by their filters, kept current by events, and the progress of what runs. */
import { type Signal, signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { AGENT } from "./agents";
import { change, forget, known, useLoaded } from "./cache";
import { api, data } from "./client";
import { follow, onReset } from "./live";
import { user } from "./session";
import type { Status, TaskEvent, TaskItem } from "./types";

const PAGE = 100;
const SETTLE_MS = 800;

export interface TaskQuery {
    status?: Status[];
    agent?: string;
    q?: string;
    owner?: string;
    created_after?: string;
    limit?: number;
}

interface TaskPage {
    items: TaskItem[];
    next: string | undefined;
    /** Number of tasks that were created since the list was loaded. */
    newer: number;
}

export interface Progress {
    fraction: number;
    message: string;
    stage: string | undefined;
}

const progress = new Map<string, Signal<Progress | undefined>>();

/** Progress of a running task; changes as events arrive. */
export function progressOf(id: string): Signal<Progress | undefined> {
    let one = progress.get(id);
    if (!one) {
        one = signal<Progress | undefined>(undefined);
        progress.set(id, one);
    }
    return one;
}

function keyOf(query: TaskQuery): string {
    return `tasks?${JSON.stringify(query)}`;
}

async function loadPage(query: TaskQuery, cursor?: string): Promise<TaskPage> {
    const given = { limit: PAGE, ...query, ...(cursor ? { cursor } : {}) };
    const page = await data(api.GET("/api/v1/tasks", { params: { query: given } }));
    return { items: page.items, next: page.next_cursor ?? undefined, newer: 0 };
}

/** Keys of all lists that were loaded; events change those that are not shown too. */
const lists = new Set<string>();

/** A list of tasks that follows the events. */
export function useTasks(query: TaskQuery) {
    const key = keyOf(query);
    const loaded = useLoaded(key, async () => {
        const first = await loadPage(query);
        const old = known<TaskPage>(key);
        if (!old || old.items.length <= PAGE) return first;
        // What was loaded further down stays, so that nothing moves there.
        const ids = new Set(first.items.map((task) => task.id));
        return { ...first, next: old.next, items: [...first.items, ...old.items.filter((task) => !ids.has(task.id))] };
    });
    const [more, setMore] = useState(false);
    lists.add(key);
    const loadMore = async () => {
        const page = loaded.value;
        if (!page?.next || more) return;
        setMore(true);
        try {
            const next = await loadPage(query, page.next);
            change<TaskPage>(key, (old) => ({ ...old, items: [...old.items, ...next.items], next: next.next }));
        } finally {
            setMore(false);
        }
    };
    return { ...loaded, items: loaded.value?.items, newer: loaded.value?.newer ?? 0, loadMore, loadingMore: more };
}

/** Returns the numbers of the user's tasks by status. */
export function useTaskCounts() {
    const own = user()?.id;
    const loaded = useLoaded("statistics", () =>
        data(api.GET("/api/v1/tasks/statistics", { params: { query: own ? { owner: own } : {} } })),
    );
    return loaded.value?.by_status;
}

function edit(id: string, changes: (task: TaskItem) => TaskItem): boolean {
    let found = false;
    for (const key of lists) {
        change<TaskPage>(key, (page) => {
            if (!page.items.some((task) => task.id === id)) return page;
            found = true;
            return { ...page, items: page.items.map((task) => (task.id === id ? changes(task) : task)) };
        });
    }
    return found;
}

/** Shows a task as it is now in every list. */
export function put(task: TaskItem): void {
    edit(task.id, () => task);
}

/** Takes tasks out of every list; returns a function that puts them back. */
export function hide(ids: readonly string[]): () => void {
    const before = [...lists].map((key) => [key, known<TaskPage>(key)] as const);
    for (const [key] of before) {
        change<TaskPage>(key, (page) => ({ ...page, items: page.items.filter((task) => !ids.includes(task.id)) }));
    }
    return () => {
        for (const [key, page] of before) if (page) change<TaskPage>(key, () => page);
    };
}

export const ENDED = ["completed", "failed", "cancelled"];

/** Keys of what is loaded again once no more tasks change. */
const changed = new Set<string>();
let settle: ReturnType<typeof setTimeout> | undefined;

function receive(event: TaskEvent): void {
    if (event.type === "progress") {
        progressOf(event.task_id).value = {
            fraction: event.fraction,
            message: event.message,
            stage: event.stage ?? undefined,
        };
        return;
    }
    if (event.type !== "status") return;
    const { status, attempt, error, at } = event;
    const isKnown = edit(event.task_id, (task) => ({
        ...task,
        status,
        attempt,
        error: error ?? task.error ?? null,
        updated_at: at,
        started_at: status === "processing" ? at : (task.started_at ?? null),
        finished_at: ENDED.includes(status) ? at : null,
        cancel_requested: status === "cancelled" ? false : task.cancel_requested,
    }));
    if (status !== "processing") progressOf(event.task_id).value = undefined;
    if (!isKnown && status === "pending") {
        for (const key of lists) change<TaskPage>(key, (page) => ({ ...page, newer: page.newer + 1 }));
    }
    if (ENDED.includes(status)) {
        for (const key of lists) {
            // What ended may be an analysis, which has a priority level now.
            const item = known<TaskPage>(key)?.items.find((task) => task.id === event.task_id);
            if (item?.agent === AGENT) changed.add(key);
        }
        changed.add("machine/analysis");
    }
    changed.add("statistics");
    clearTimeout(settle);
    settle = setTimeout(() => {
        for (const key of changed) forget(key);
        changed.clear();
    }, SETTLE_MS);
}

export function startTasks(): void {
    follow(receive);
    onReset(() => {
        forget("tasks");
        forget("task/");
    });
}
