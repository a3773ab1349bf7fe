/** Row of a task in a list: status, title, agent, times, and its progress or its error. */
import { Component } from "preact";
import { AGENT } from "../api/agents";
import { progressOf } from "../api/tasks";
import type { TaskItem } from "../api/types";
import { clean, counted } from "../lib/units";
import { T } from "../texts";
import { Sign } from "./icon";
import { Progress } from "./meter";
import { Name } from "./name";
import { Owner } from "./owner";
import { Ago, Elapsed } from "./time";

export function titleOf(task: { title: string; agent: string }): string {
    return clean(task.title) || (task.agent === AGENT ? T.tasks.untitled : task.agent);
}

/** Returns whether a row has a second line. */
export function hasDetail(task: TaskItem): boolean {
    return task.status === "processing" || (task.status === "failed" && Boolean(task.error));
}

function Detail({ task }: { task: TaskItem }) {
    const progress = progressOf(task.id).value;
    if (task.status === "processing") {
        return (
            <span class="detail row">
                <Progress name={titleOf(task)} share={progress?.fraction ?? 0} />
                {progress && (
                    <span class="muted ellipsis">
                        {Math.round(progress.fraction * 100)}&nbsp;% · {progress.message}
                    </span>
                )}
            </span>
        );
    }
    if (task.status === "failed" && task.error) {
        return <span class="detail muted ellipsis">{task.error.message}</span>;
    }
    return null;
}

function Took({ task }: { task: TaskItem }) {
    if (task.status === "failed" && task.failures > 1) return <>{counted(task.failures, T.tasks.try, T.tasks.tries)}</>;
    if (!task.started_at || task.status === "pending") return <>–</>;
    return <Elapsed from={task.started_at} to={task.finished_at ?? null} />;
}

interface Props {
    task: TaskItem;
    checked: boolean;
    select: (task: TaskItem, on: boolean, range: boolean) => void;
    height: number;
}

/** A class, so that scrolling draws only the rows that are new. */
export class TaskRow extends Component<Props> {
    override shouldComponentUpdate(next: Props): boolean {
        const { task, checked, height, select } = this.props;
        return next.task !== task || next.checked !== checked || next.height !== height || next.select !== select;
    }

    render({ task, checked, select, height }: Props) {
        const title = titleOf(task);
        const waits = task.status === "pending" && new Date(task.run_at).getTime() > Date.now();
        return (
            <li class="task-row" data-row style={{ height: `${height}px` }} data-selected={checked}>
                <input
                    type="checkbox"
                    aria-label={T.tasks.selectOne(title)}
                    checked={checked}
                    onClick={(event) => select(task, event.currentTarget.checked, event.shiftKey)}
                />
                <Sign kind={task.status} />
                <span class="status">
                    {task.cancel_requested && task.status === "processing" ? T.tasks.cancelling : T.signs[task.status]}
                </span>
                <a class="title ellipsis" href={`#/tasks/${task.id}`} data-open>
                    <bdi>{title}</bdi>
                </a>
                <span class="agent ellipsis muted">
                    <Owner task={task} />
                    <Name text={task.agent} max={28} />
                </span>
                <span class="took number">
                    <Took task={task} />
                </span>
                <span class="created number muted">
                    <Ago at={waits ? task.run_at : task.created_at} />
                </span>
                <Detail task={task} />
            </li>
        );
    }
}
