/** Analysis that has not completed: its progress, its findings as soon as the rules have them, and its error. */
import { useEffect } from "preact/hooks";
import { api, data } from "../api/client";
import { useTaskEvents } from "../api/task-events";
import type { Finding, Task } from "../api/types";
import { Sign } from "../parts/icon";
import { Progress } from "../parts/meter";
import { Name } from "../parts/name";
import { sentence } from "../parts/notice";
import { Elapsed } from "../parts/time";
import { useTitle } from "../parts/title";
import { attempt } from "../parts/toasts";
import { T } from "../texts";
import { analyze } from "./analyze";

interface WrittenProps {
    findings: readonly Finding[];
    texts: Map<string, string>;
    isOver?: boolean;
}

/** Findings of an analysis, with the text written so far. */
export function WrittenFindings({ findings, texts, isOver = false }: WrittenProps) {
    return (
        <ul class="list">
            {findings.map((finding) => {
                const text = texts.get(finding.id);
                return (
                    <li key={finding.id} class="written">
                        <p class="row">
                            <Sign kind={finding.severity} named /> <b class="grow">{finding.summary}</b>
                        </p>
                        {(text || !isOver) && <p class="text muted">{text ?? T.running.waits}</p>}
                    </li>
                );
            })}
        </ul>
    );
}

export function gather(events: ReturnType<typeof useTaskEvents>["events"]) {
    let findings: Finding[] | undefined;
    let progress: { fraction: number; message: string } | undefined;
    const texts = new Map<string, string>();
    for (const event of events) {
        if (event.type === "status" && event.status === "processing") texts.clear();
        else if (event.type === "findings") findings = event.findings as Finding[];
        else if (event.type === "progress") progress = event;
        else if (event.type === "text" && event.finding_id) {
            texts.set(event.finding_id, (texts.get(event.finding_id) ?? "") + event.text);
        }
    }
    return { findings, progress, texts };
}

export function RunningAnalysis({ task, ended }: { task: Task; ended: () => void }) {
    const stream = useTaskEvents(task.id);
    const { findings, progress, texts } = gather(stream.events);
    const last = stream.events.findLast((event) => event.type === "status");
    const status = last?.type === "status" ? last.status : task.status;
    const error = (last?.type === "status" && last.error) || task.error;
    useTitle(T.analysis.running);
    useEffect(() => {
        if (stream.isWhole && status === "completed") ended();
    }, [stream.isWhole, status]);
    const isOver = status === "failed" || status === "cancelled";
    const cancel = () =>
        attempt(() => data(api.POST("/api/v1/tasks/{id}/cancel", { params: { path: { id: task.id } } })));
    return (
        <div class="page">
            <div class="head">
                <a class="back" href="#/analyses">
                    ‹ {T.places.analyses}
                </a>
                <h1>{T.analysis.running}</h1>
                <span class="space" />
                {isOver ? (
                    <button type="button" class="button primary" data-primary onClick={() => void analyze()}>
                        {T.analysis.again}
                    </button>
                ) : (
                    <button type="button" class="button" onClick={() => void cancel()}>
                        {T.cancel}
                    </button>
                )}
            </div>
            {isOver ? (
                <p class="notice">
                    <Sign kind={status as "failed"} /> {T.signs[status]}
                    {error && <>: {sentence(error.message)}</>}
                </p>
            ) : (
                <>
                    <p class="row">
                        <Sign kind={status} />{" "}
                        <span>{progress?.message ?? (status === "pending" ? T.running.begins : T.signs[status])}</span>
                        <span class="space" />
                        <Elapsed from={task.created_at} />
                    </p>
                    <Progress name={T.analysis.running} share={progress?.fraction ?? 0} />
                </>
            )}
            <p class="muted">
                <Name text={task.agent} /> · <a href={`#/tasks/${task.id}`}>{T.analysis.task}</a>
            </p>
            {findings && findings.length > 0 && <WrittenFindings findings={findings} texts={texts} />}
        </div>
    );
}
