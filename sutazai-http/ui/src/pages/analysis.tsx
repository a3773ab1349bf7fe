/** One analysis: each finding with its evidence, what may be done, and what was checked. */
import { useEffect } from "preact/hooks";
import { AGENT } from "../api/agents";
import { forget, useLoaded } from "../api/cache";
import { api, BASE, data } from "../api/client";
import { useEvidenceHistory } from "../api/evidence-history";
import type { Analysis as Result, Task } from "../api/types";
import { useCommands } from "../keyboard";
import { analysisMarkdown } from "../lib/report";
import { countBySeverity } from "../lib/rules";
import { day } from "../lib/time";
import { duration } from "../lib/units";
import { look } from "../look";
import { CheckedRules } from "../parts/checked-rules";
import { copyText } from "../parts/copy";
import { FindingCard } from "../parts/finding-card";
import { FindingCounts } from "../parts/finding-counts";
import { PriorityMark } from "../parts/icon";
import { Menu } from "../parts/menu";
import { Name } from "../parts/name";
import { Failed, Loading, sentence } from "../parts/notice";
import { Ago } from "../parts/time";
import { useTitle } from "../parts/title";
import { say } from "../parts/toasts";
import { open, route } from "../router";
import { T } from "../texts";
import { RunningAnalysis } from "./analysis-running";
import { analyze } from "./analyze";

export function useTask(id: string) {
    return useLoaded(`task/${id}`, () => data(api.GET("/api/v1/tasks/{id}", { params: { path: { id } } })));
}

/** Offers a text as a file of the user. */
export function download(name: string, text: string): void {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
}

export default function Analysis({ id }: { id: string }) {
    const loaded = useTask(id);
    const before = route.value.query.get("before") ?? undefined;
    const missing = (
        <>
            {T.analysis.missing} <a href="#/analyses">{T.analysis.all}</a>
        </>
    );
    if (!loaded.value) {
        return loaded.failure ? (
            <Failed failure={loaded.failure} retry={loaded.reload} missing={missing} />
        ) : (
            <Loading what={T.analysis.name} lines={8} retry={loaded.reload} />
        );
    }
    const task = loaded.value as Task;
    if (task.agent !== AGENT) return <p class="empty">{missing}</p>;
    if (task.status === "completed" && task.result) {
        return <Done task={task} result={task.result as unknown as Result} />;
    }
    const ended = () => {
        forget("machine/analysis");
        loaded.reload();
        if (before) open(`#/analyses/${before}...${id}`);
    };
    return <RunningAnalysis task={task} ended={ended} />;
}

function Head({ task, result }: { task: Task; result: Result }) {
    const { zone } = look.value;
    const title = day(new Date(result.generated_at), Date.now(), zone);
    const copy = async () => {
        if (!(await copyText(analysisMarkdown(result)))) say(T.analysis.noClipboard, "error");
    };
    const json = JSON.stringify(result, undefined, 2);
    return (
        <div class="head">
            <a class="back" href="#/analyses">
                ‹ {T.places.analyses}
            </a>
            <h1>
                <Name text={result.host} />, {title}
            </h1>
            <PriorityMark level={result.priority_level} />
            <span class="space" />
            <button type="button" class="button primary no-print" data-primary onClick={() => void analyze(task.id)}>
                {T.analysis.again}
            </button>
            <Menu
                items={[
                    { name: T.analysis.copyMarkdown, run: () => void copy() },
                    { name: T.analysis.json, run: () => download(`analysis-${task.id}.json`, json) },
                    { name: T.analysis.print, run: () => print() },
                    { name: T.analysis.compare, href: "#/analyses" },
                    { name: T.analysis.task, href: `#/tasks/${task.id}` },
                ]}
            />
        </div>
    );
}

function Done({ task, result }: { task: Task; result: Result }) {
    const wanted = route.value.query.get("finding") ?? undefined;
    const counts = countBySeverity(result.findings);
    useTitle(T.analysis.title(result.host), counts);
    const history = useEvidenceHistory(result);
    const assertions = result.grounding.texts.flatMap((text) => text.assertions);
    const { checked } = result;
    const run = checked.filter((rule) => rule.reason === null).length;
    const byRules = result.degraded ?? result.model?.degraded;
    const step = (by: number) => {
        const cards = [...document.querySelectorAll<HTMLElement>("[data-finding]")];
        const at = cards.indexOf(document.activeElement?.closest<HTMLElement>("[data-finding]") as HTMLElement);
        cards[Math.max(0, Math.min(cards.length - 1, at + by))]?.focus();
    };
    const inCard = (selector: string) => {
        const card = document.activeElement?.closest("[data-finding]") ?? document.querySelector("[data-finding]");
        return card?.querySelector<HTMLElement>(selector);
    };
    useCommands(
        [
            { keys: "j", name: T.keys.next, kind: "action", run: () => step(1) },
            { keys: "k", name: T.keys.previous, kind: "action", run: () => step(-1) },
            { keys: "e", name: T.keys.evidence, kind: "action", run: () => inCard(".evidence")?.focus() },
            { keys: "c", name: T.keys.command, kind: "action", run: () => inCard(".command button")?.click() },
        ],
        [task.id],
    );
    useEffect(() => {
        if (wanted) document.getElementById(`finding-${wanted}`)?.scrollIntoView({ block: "start" });
    }, [wanted]);
    if (!history.isLoaded) return <Loading what={T.analysis.name} lines={8} />;
    return (
        <div class="page analysis">
            <Head task={task} result={result} />
            <div class="row summary">
                <FindingCounts counts={counts} />
                <span class="muted">
                    {result.model && result.generated_by === "model" ? (
                        <>
                            <Name text={result.model.name} />, {duration(result.model.duration_ms)} ·{" "}
                        </>
                    ) : (
                        <>{T.analysis.byRules} · </>
                    )}
                    {assertions.length > 0 && <>{T.analysis.supported(assertions.length)} · </>}
                    {checked.length > 0 && <>{T.analysis.rulesRun(run, checked.length)} · </>}
                    <Ago at={result.generated_at} />
                </span>
            </div>
            {byRules && <p class="unmeasured">{T.analysis.degraded(sentence(byRules))}</p>}
            {result.notes.map((note) => (
                <p key={note} class="unmeasured">
                    {sentence(note)}
                </p>
            ))}
            {result.findings.length === 0 && <p class="empty">{T.analysis.nothing(run, checked.length)}</p>}
            {result.findings.map((finding, index) => (
                <FindingCard
                    key={finding.id}
                    finding={finding}
                    recommendation={result.recommendations[index]}
                    checked={result.grounding.texts[index]}
                    refused={result.grounding.refused.filter((one) => one.finding_id === finding.id)}
                    result={result}
                    history={history}
                />
            ))}
            <CheckedRules checked={checked} findings={result.findings} />
            <p class="print-only">
                SutazAI · {result.host} · {result.generated_at} · {BASE}
            </p>
        </div>
    );
}
