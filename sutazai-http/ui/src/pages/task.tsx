/** One task: its state, its timeline as it happens, and what it returned. */
import { useEffect, useRef, useState } from "preact/hooks";
import { AGENT, useAgents } from "../api/agents";
import { forget, useLoaded } from "../api/cache";
import { api, BASE, data } from "../api/client";
import { type TaskEvents, useTaskEvents } from "../api/task-events";
import { ENDED, hide, put } from "../api/tasks";
import type { TaskDetails as Task, TaskItem } from "../api/types";
import { now } from "../lib/time";
import { coarse, counted } from "../lib/units";
import { Copy } from "../parts/copy";
import { Confirm } from "../parts/dialog";
import { Sign } from "../parts/icon";
import { type Item, Menu } from "../parts/menu";
import { Progress } from "../parts/meter";
import { Name } from "../parts/name";
import { Failed, Loading, sentence } from "../parts/notice";
import { Owner } from "../parts/owner";
import { titleOf } from "../parts/task-row";
import { Ago, Clock, Elapsed } from "../parts/time";
import { Timeline } from "../parts/timeline";
import { useTitle } from "../parts/title";
import { attempt, later } from "../parts/toasts";
import { open } from "../router";
import { T } from "../texts";
import { download, useTask } from "./analysis";
import { gather, WrittenFindings } from "./analysis-running";

const ASK_AFTER_MS = 30_000;
const AHEAD_MS = 5_000;

/** Command line that submits the same task again; the token is left out. */
function asCurl(task: Task): string {
    const body = JSON.stringify({ agent: task.agent, payload: task.payload, title: task.title }).replaceAll(
        "'",
        "'\\''",
    );
    return `curl -X POST ${BASE}/api/v1/tasks -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '${body}'`;
}

function Json({ title, value, open: isOpen = false }: { title: string; value: unknown; open?: boolean }) {
    const text = JSON.stringify(value, undefined, 2);
    return (
        <details class="json" open={isOpen}>
            <summary>{title}</summary>
            <div class="command">
                {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
                <pre tabIndex={0}>
                    <code>{text}</code>
                </pre>
                <Copy text={text} what={title} />
            </div>
        </details>
    );
}

function Messages({ task }: { task: Task }) {
    const loaded = useLoaded(`messages/${task.id}`, () =>
        data(api.GET("/api/v1/tasks/{id}/messages", { params: { path: { id: task.id } } })),
    );
    if (loaded.failure) return <Failed failure={loaded.failure} retry={loaded.reload} />;
    if (!loaded.value) return <Loading what={T.task.messages} lines={2} />;
    if (loaded.value.items.length === 0) return <p class="muted">{T.task.noMessages}</p>;
    return (
        <ul class="list">
            {loaded.value.items.map((message) => (
                <li key={message.id}>
                    <Clock at={message.timestamp} precise /> {message.type} · <Name text={message.source} /> →{" "}
                    <Name text={message.target} /> · <a href={`#/tasks/${message.correlation_id}`}>{T.task.subtask}</a>
                </li>
            ))}
        </ul>
    );
}

/** Asks for the browser's permission, then notifies once the task has ended while no tab is visible. */
function useTellMe(isOver: boolean, title: string) {
    const [wanted, setWanted] = useState(false);
    useEffect(() => {
        if (wanted && isOver && document.hidden) new Notification(T.task.isDone(title));
    }, [isOver, wanted]);
    const offered = isSecureContext && "Notification" in globalThis && !wanted && !isOver;
    const ask = async () => setWanted((await Notification.requestPermission()) === "granted");
    return offered ? ask : undefined;
}

/** Reason why a task has not begun. */
function Waiting({ task }: { task: Task }) {
    const agent = useAgents().find(({ name }) => name === task.agent);
    if (new Date(task.run_at).getTime() > now.value) {
        return (
            <p class="muted">
                {T.task.begins} <Ago at={task.run_at} />
            </p>
        );
    }
    return (
        <p class="muted">
            {agent?.online === false ? T.newTask.away(agent.name) : T.task.waiting}{" "}
            {task.tasks_ahead ? T.task.ahead(task.tasks_ahead) : ""}
        </p>
    );
}

interface BelowProps {
    task: Task;
    stream: TaskEvents;
    isAnalysis: boolean;
    /** The task runs, or ran while the page was open. */
    isWatched: boolean;
}

/** Timeline, findings, payload and result. */
function Below({ task, stream, isAnalysis, isWatched }: BelowProps) {
    const [messages, setMessages] = useState(false);
    const { findings, texts } = gather(stream.events);
    const hasFindings = findings !== undefined || (isWatched && task.agent === AGENT);
    return (
        <>
            <div class={`${hasFindings ? "two" : ""} ${isWatched ? "watched" : ""}`}>
                <section aria-labelledby="timeline">
                    <h2 id="timeline">{T.task.timeline}</h2>
                    {stream.failure && <Failed failure={stream.failure} />}
                    <Timeline events={stream.events} />
                </section>
                {hasFindings && (
                    <section aria-labelledby="written">
                        <h2 id="written">{findings ? counted(findings.length, T.task.finding) : T.machine.findings}</h2>
                        {findings ? (
                            <WrittenFindings findings={findings} texts={texts} isOver={stream.isWhole} />
                        ) : (
                            <p class="muted">{T.task.notFound}</p>
                        )}
                    </section>
                )}
            </div>
            <Json title={T.task.payload} value={task.payload} />
            {task.result != null && <Json title={T.task.result} value={task.result} open={!isAnalysis} />}
            <details class="json" onToggle={(event) => event.currentTarget.open && setMessages(true)}>
                <summary>{T.task.messages}</summary>
                {messages && <Messages task={task} />}
            </details>
            <p class="row wrap">
                <span class="muted">{T.task.id}</span> <code>{task.id}</code> <Copy text={task.id} what={T.task.id} />
                <Copy text={asCurl(task)} what={T.task.curl} label={T.task.curl} />
            </p>
        </>
    );
}

function Known({ task, reload }: { task: Task; reload: () => void }) {
    const stream = useTaskEvents(task.id);
    const { progress } = gather(stream.events);
    const [asks, setAsks] = useState(false);
    const last = stream.events.findLast((event) => event.type === "status");
    const status = last?.type === "status" ? last.status : task.status;
    const attemptNumber = last?.type === "status" ? last.attempt : task.attempt;
    const isOver = ENDED.includes(status);
    // What is below the timeline waits for the first events, so that they do not move it.
    const isDrawn = useRef(false);
    isDrawn.current ||= stream.failure !== undefined || (isOver ? stream.isWhole : stream.events.length > 0);
    const wasRunning = useRef(false);
    wasRunning.current ||= status === "processing";
    const error = last?.type === "status" ? (last.error ?? undefined) : (task.error ?? undefined);
    const title = titleOf(task);
    const tellMe = useTellMe(isOver, title);
    useTitle(title);
    useEffect(() => {
        // The result is in the task, not in its events.
        if (stream.isWhole && status !== task.status) reload();
    }, [stream.isWhole, status]);
    useEffect(() => {
        // No event says that the tasks before it became fewer.
        const timer = status === "pending" && task.tasks_ahead ? setInterval(reload, AHEAD_MS) : undefined;
        return () => clearInterval(timer);
    }, [status, Boolean(task.tasks_ahead)]);
    const path = { params: { path: { id: task.id } } };
    // A rejected action means that the task is not what the page shows; it may have been deleted in another window.
    const cancel = () =>
        attempt(async () => put((await data(api.POST("/api/v1/tasks/{id}/cancel", path))) as TaskItem), reload);
    const retry = () =>
        attempt(async () => {
            await data(api.POST("/api/v1/tasks/{id}/retry", path));
            forget("tasks");
            reload();
        }, reload);
    const remove = () => {
        const undo = hide([task.id]);
        open("#/tasks");
        later(
            T.tasks.deleted(T.tasks.one),
            () => void attempt(() => data(api.DELETE("/api/v1/tasks/{id}", path)), undo),
            undo,
        );
    };
    const askCancel = () => {
        const ran = task.started_at ? now.value - new Date(task.started_at).getTime() : 0;
        if (ran > ASK_AFTER_MS) setAsks(true);
        else void cancel();
    };
    const isDue = status === "pending" && new Date(task.run_at).getTime() <= Date.now();
    const isWatched = wasRunning.current || isDue;
    const share = isOver ? 1 : (progress?.fraction ?? 0);
    const isAnalysis = task.agent === AGENT && status === "completed";
    const items: Item[] = [
        { name: T.task.json, run: () => download(`task-${task.id}.json`, JSON.stringify(task, undefined, 2)) },
        ...(tellMe ? [{ name: T.task.tellMe, run: () => void tellMe() }] : []),
        ...(isOver ? [{ name: T.delete, run: remove }] : []),
    ];
    return (
        <div class="page">
            <div class="head">
                <a class="back" href="#/tasks">
                    ‹ {T.places.tasks}
                </a>
                <h1>
                    <Sign kind={status} named /> <bdi>{title}</bdi>
                </h1>
                <span class="space" />
                {isAnalysis && (
                    <a class="button primary" data-primary href={`#/analyses/${task.id}`}>
                        {T.task.openResult}
                    </a>
                )}
                {status === "failed" && (
                    <button type="button" class="button primary" data-primary onClick={() => void retry()}>
                        {T.task.retry}
                    </button>
                )}
                {!isOver && (
                    <button type="button" class="button" data-primary onClick={askCancel}>
                        {task.cancel_requested ? T.tasks.cancelling : T.cancel}
                    </button>
                )}
                <Menu items={items} />
            </div>
            <p class="muted">
                <Owner task={task} />
                <Name text={task.agent} /> · {T.signs[status]}
                {attemptNumber > 0 && <> · {T.task.attempt(attemptNumber, task.max_attempts)}</>}
                {task.started_at && (
                    <>
                        {" · "}
                        <Elapsed from={task.started_at} to={isOver ? (task.finished_at ?? null) : null} />{" "}
                        {!isOver && T.task.atMost(coarse(task.timeout_seconds))}
                    </>
                )}
                {" · "}
                {T.task.created} <Ago at={task.created_at} />
            </p>
            {task.description && <p class="text">{task.description}</p>}
            {(!isOver || (status === "completed" && wasRunning.current)) && (
                <div class="running">
                    {status === "pending" ? (
                        <Waiting task={task} />
                    ) : (
                        <>
                            <Progress name={title} share={share} />
                            <span class="number">{Math.round(share * 100)}&nbsp;%</span>
                            <span class="muted">{isOver ? T.signs[status] : progress?.message}</span>
                        </>
                    )}
                </div>
            )}
            {error && (
                <p class="notice">
                    <Sign kind={status === "failed" ? "failed" : "warning"} /> {sentence(error.message)}
                </p>
            )}
            {isDrawn.current ? (
                <Below task={task} stream={stream} isAnalysis={isAnalysis} isWatched={isWatched} />
            ) : (
                <Loading what={T.task.timeline} lines={8} />
            )}
            {asks && (
                <Confirm
                    title={T.task.cancelTitle}
                    action={T.task.cancelNow}
                    run={() => void cancel()}
                    close={() => setAsks(false)}
                >
                    <p>{T.task.cancelMore}</p>
                </Confirm>
            )}
        </div>
    );
}

export default function TaskPage({ id }: { id: string }) {
    const loaded = useTask(id);
    const isDeleted = loaded.value !== undefined && loaded.failure?.status === 404;
    if (loaded.value && !isDeleted) return <Known task={loaded.value as Task} reload={loaded.reload} />;
    if (!loaded.failure) return <Loading what={T.task.name} lines={8} retry={loaded.reload} />;
    return (
        <Failed
            failure={loaded.failure}
            retry={loaded.reload}
            missing={
                <>
                    {isDeleted ? T.task.deleted : T.task.missing} <a href="#/tasks">{T.task.all}</a>
                </>
            }
        />
    );
}
