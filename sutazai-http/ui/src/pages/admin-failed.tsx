/** Failed tasks of all users; retrying acts on the ones that are shown. */
import { useState } from "preact/hooks";
import { useAgents } from "../api/agents";
import { forget, useLoaded } from "../api/cache";
import { api, data } from "../api/client";
import type { TaskItem } from "../api/types";
import { Confirm } from "../parts/dialog";
import { Filter } from "../parts/field";
import { Sign } from "../parts/icon";
import { Name } from "../parts/name";
import { Empty, Failed, Loading, sentence } from "../parts/notice";
import { Owner } from "../parts/owner";
import { titleOf } from "../parts/task-row";
import { Ago } from "../parts/time";
import { attempt, say } from "../parts/toasts";
import { route, setQuery } from "../router";
import { T } from "../texts";

const LIMIT = 100;

export function FailedTasks() {
    const agent = route.value.query.get("agent") ?? "";
    const key = `admin/failed/${agent}`;
    const loaded = useLoaded(key, () =>
        data(
            api.GET("/api/v1/admin/dead-letter", { params: { query: { limit: LIMIT, ...(agent ? { agent } : {}) } } }),
        ),
    );
    const agents = useAgents();
    const [asks, setAsks] = useState(false);
    const items = (loaded.value?.items ?? []) as TaskItem[];
    const retry = (ids: string[]) =>
        attempt(async () => {
            const answer = await data(api.POST("/api/v1/tasks/batch", { body: { action: "retry", ids } }));
            const refused = answer.results.filter((result) => result.error);
            for (const result of refused) say(sentence(result.error?.message ?? ""), "error");
            say(T.admin.retried(ids.length - refused.length));
            forget("admin/");
        });
    const ids = items.map((task) => task.id);
    return (
        <>
            <div class="filters">
                <Filter
                    label={T.tasks.agent}
                    value={agent}
                    options={[["", T.all], ...agents.map(({ name }) => [name, name] as const)]}
                    set={(name) => setQuery({ agent: name })}
                />
                <span class="space" />
                {items.length > 0 && (
                    <button type="button" class="button primary" data-primary onClick={() => setAsks(true)}>
                        {T.admin.retryThese(items.length)}
                    </button>
                )}
            </div>
            {!loaded.value && loaded.failure && <Failed failure={loaded.failure} retry={loaded.reload} />}
            {!loaded.value && !loaded.failure && <Loading what={T.admin.failed} lines={4} retry={loaded.reload} />}
            {loaded.value && items.length === 0 && <Empty>{T.admin.noFailed}</Empty>}
            <ul class="list">
                {items.map((task) => (
                    <li key={task.id} class="row wrap" data-row>
                        <Sign kind="failed" />
                        <a href={`#/tasks/${task.id}`} data-open>
                            <bdi>{titleOf(task)}</bdi>
                        </a>
                        <span class="muted">
                            <Owner task={task} />
                            <Name text={task.agent} /> · <Ago at={task.finished_at ?? task.updated_at} />
                        </span>
                        <span class="space" />
                        <button type="button" class="button" onClick={() => void retry([task.id])}>
                            {T.task.retry}
                        </button>
                        {task.error && <span class="full muted">{sentence(task.error.message)}</span>}
                    </li>
                ))}
            </ul>
            {asks && (
                <Confirm
                    title={T.admin.retryThese(items.length)}
                    action={T.admin.retryThese(items.length)}
                    run={() => void retry(ids)}
                    close={() => setAsks(false)}
                    dangerous={false}
                >
                    <p>{T.admin.retryMore(items.length)}</p>
                </Confirm>
            )}
        </>
    );
}
