/** Starts analyses and finds the latest one. */
import { AGENT } from "../api/agents";
import { useLoaded } from "../api/cache";
import { api, data } from "../api/client";
import type { Analysis, Task, TaskItem } from "../api/types";
import { attempt } from "../parts/toasts";
import { address, open } from "../router";

/** Analyzes the machine and opens the page of the analysis; `before` is compared with it at the end. */
export async function analyze(before?: string): Promise<void> {
    await attempt(async () => {
        const started = await data(
            api.POST("/api/v1/agents/hardware-optimizer/analyze", { body: { use_model: true } }),
        );
        open(address(["analyses", started.task_id], { before }));
    });
}

interface Latest {
    id: string | undefined;
    analysis: Analysis | undefined;
}

async function loadLatest(): Promise<Latest> {
    const query = { agent: AGENT, status: ["completed" as const], limit: 1 };
    const page = await data(api.GET("/api/v1/tasks", { params: { query } }));
    const item: TaskItem | undefined = page.items[0];
    if (!item) return { id: undefined, analysis: undefined };
    const task: Task = await data(api.GET("/api/v1/tasks/{id}", { params: { path: { id: item.id } } }));
    return { id: item.id, analysis: (task.result ?? undefined) as Analysis | undefined };
}

export function useLatestAnalysis() {
    const { value, loading } = useLoaded("machine/analysis", loadLatest);
    return { id: value?.id, analysis: value?.analysis, isLoaded: value !== undefined || !loading };
}
