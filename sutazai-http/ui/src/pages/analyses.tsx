/** List of the analyses, newest first; two of them can be compared. */
import { useEffect, useState } from "preact/hooks";
import { AGENT } from "../api/agents";
import { isAdmin, user } from "../api/session";
import { useTasks } from "../api/tasks";
import type { TaskItem } from "../api/types";
import { day } from "../lib/time";
import { look } from "../look";
import { Segments } from "../parts/field";
import { FindingCounts } from "../parts/finding-counts";
import { PriorityMark, Sign } from "../parts/icon";
import { More } from "../parts/more";
import { Empty, Failed, Loading } from "../parts/notice";
import { Owner } from "../parts/owner";
import { titleOf } from "../parts/task-row";
import { Ago, Elapsed } from "../parts/time";
import { useTitle } from "../parts/title";
import { open, route, setQuery } from "../router";
import { T } from "../texts";
import { analyze } from "./analyze";

const LEVELS = ["critical", "high", "medium", "low"] as const;
const KINDS = { low: "good", medium: "info", high: "warning", critical: "critical" } as const;
const DRAWN = 60;

/** Priorities of the latest analyses over time, the oldest at the left. */
function OverTime({ items }: { items: readonly TaskItem[] }) {
    const drawn = items
        .flatMap((task) => (task.priority_level ? [{ ...task, level: task.priority_level }] : []))
        .slice(0, DRAWN)
        .reverse();
    const [first, last] = [drawn[0], drawn.at(-1)];
    if (!first || !last || first === last) return null;
    const { zone } = look.value;
    const at = (task: TaskItem) => day(new Date(task.created_at), Date.now(), zone);
    return (
        <figure class="levels">
            <figcaption class="label">{T.analyses.overTime(drawn.length, at(first), at(last))}</figcaption>
            <ul class="label" aria-hidden="true">
                {LEVELS.map((level) => (
                    <li key={level}>{T.priorities[level]}</li>
                ))}
            </ul>
            <div class="bars" role="img" aria-label={drawn.map(({ level }) => T.priorities[level]).join(", ")}>
                {drawn.map(({ level, ...task }) => (
                    <i
                        key={task.id}
                        class={`sign-${KINDS[level]} ${level}`}
                        title={`${at(task)}: ${T.priorities[level]}`}
                    />
                ))}
            </div>
        </figure>
    );
}

export default function Analyses() {
    const everybody = route.value.query.get("whose") === "all";
    const own = user()?.id;
    const list = useTasks({ agent: AGENT, ...(own && !everybody ? { owner: own } : {}) });
    const [chosen, setChosen] = useState<string[]>([]);
    useTitle(T.places.analyses);
    const followsTop = scrollY < 40 && chosen.length === 0;
    useEffect(() => {
        if (list.newer > 0 && followsTop) list.reload();
    }, [list.newer]);
    const choose = (id: string, on: boolean) =>
        setChosen(on ? [...chosen, id].slice(-2) : chosen.filter((one) => one !== id));
    const items = list.items ?? [];
    const pair = items.filter((task) => chosen.includes(task.id)).map((task) => task.id);
    return (
        <div class="page">
            <div class="head">
                <h1>{T.places.analyses}</h1>
                <span class="space" />
                {own && isAdmin() && (
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
                <button type="button" class="button primary" data-primary onClick={() => void analyze()}>
                    {T.machine.analyze}
                </button>
            </div>
            {list.failure && !list.items && <Failed failure={list.failure} retry={list.reload} />}
            {!list.items && !list.failure && <Loading what={T.places.analyses} lines={6} retry={list.reload} />}
            {list.items && items.length === 0 && <Empty>{T.machine.never}</Empty>}
            {list.newer > 0 && !followsTop && (
                <button type="button" class="button newer" onClick={list.reload}>
                    {T.tasks.newer(list.newer)}
                </button>
            )}
            {items.length > 0 && (
                <>
                    <OverTime items={items} />
                    <div class="scroll">
                        <table class="rows">
                            <thead>
                                <tr>
                                    <th scope="col">
                                        <span class="unseen">{T.analyses.select}</span>
                                    </th>
                                    <th scope="col">{T.analyses.when}</th>
                                    <th scope="col">{T.analyses.priority}</th>
                                    <th scope="col" class="wide-only">
                                        {T.machine.findings}
                                    </th>
                                    <th scope="col" class="wide-only">
                                        {T.tasks.title}
                                    </th>
                                    <th scope="col" class="number wide-only">
                                        {T.tasks.took}
                                    </th>
                                </tr>
                            </thead>
                            <tbody>
                                {items.map((task) => (
                                    <tr key={task.id} data-row aria-selected={chosen.includes(task.id)}>
                                        <td>
                                            <input
                                                type="checkbox"
                                                aria-label={T.analyses.selectOne(task.created_at)}
                                                disabled={task.status !== "completed"}
                                                checked={chosen.includes(task.id)}
                                                onChange={(event) => choose(task.id, event.currentTarget.checked)}
                                            />
                                        </td>
                                        <td>
                                            <a href={`#/analyses/${task.id}`} data-open>
                                                <Ago at={task.created_at} />
                                            </a>
                                        </td>
                                        <td>
                                            {task.priority_level ? (
                                                <PriorityMark level={task.priority_level} />
                                            ) : (
                                                <span class="row">
                                                    <Sign kind={task.status} /> {T.signs[task.status]}
                                                </span>
                                            )}
                                        </td>
                                        <td class="wide-only">
                                            {task.findings && <FindingCounts counts={task.findings} />}
                                        </td>
                                        <td class="ellipsis wide-only">
                                            <Owner task={task} />
                                            <bdi>{titleOf(task)}</bdi>
                                        </td>
                                        <td class="number wide-only">
                                            {task.started_at && task.status !== "pending" ? (
                                                <Elapsed from={task.started_at} to={task.finished_at ?? null} />
                                            ) : (
                                                "–"
                                            )}
                                        </td>
                                    </tr>
                                ))}
                            </tbody>
                        </table>
                    </div>
                    <More load={list.value?.next ? list.loadMore : undefined} />
                </>
            )}
            {chosen.length > 0 && (
                <div class="selection">
                    <span>{T.selected(chosen.length)}</span>
                    <span class="space" />
                    <button
                        type="button"
                        class="button primary"
                        aria-disabled={pair.length !== 2}
                        onClick={() => pair.length === 2 && open(`#/analyses/${pair[1]}...${pair[0]}`)}
                    >
                        {T.analyses.compare}
                    </button>
                    <button type="button" class="button" onClick={() => setChosen([])}>
                        {T.cancel}
                    </button>
                </div>
            )}
        </div>
    );
}
