/** One finding: what is wrong, what it rests on, what may be done, what was checked. */
import { type Signal, useSignal } from "@preact/signals";
import { useState } from "preact/hooks";
import { type EvidenceHistory, seriesOf } from "../api/evidence-history";
import { useRules, valueAt } from "../api/metrics";
import type { Analysis, CheckedText, Evidence, Finding, Recommendation } from "../api/types";
import { metricName, pieces } from "../lib/assertions";
import { boundsOf, severityOf } from "../lib/rules";
import { bound, clean, coarse, measured } from "../lib/units";
import { T } from "../texts";
import { Chart } from "./chart";
import { Command } from "./copy";
import { Sign } from "./icon";
import { Meter } from "./meter";
import { Name } from "./name";
import { Clock } from "./time";
import { type Refused, Why } from "./why";

interface Props {
    finding: Finding;
    recommendation: Recommendation | undefined;
    checked: CheckedText | undefined;
    refused: readonly Refused[];
    result: Analysis;
    history: EvidenceHistory;
}

/** Text whose assertions light up what they rest on. */
function Text({
    recommendation,
    checked,
    id,
    lit,
}: {
    recommendation: Recommendation;
    checked: CheckedText | undefined;
    id: string;
    lit: Signal<number | undefined>;
}) {
    return (
        <p class="text">
            {pieces(recommendation.text, checked?.assertions ?? []).map((piece, index) => {
                const { assertion } = piece;
                const key = `${index}`;
                if (!assertion) return <span key={key}>{piece.text}</span>;
                const shown = clean(piece.text.replace(/^`|`$/g, ""));
                const body = assertion.kind === "command" ? <code>{shown}</code> : <bdi>{shown}</bdi>;
                const { evidence } = assertion;
                if (evidence === null || evidence === undefined) return <span key={key}>{body}</span>;
                const light = (on: boolean) => () => {
                    lit.value = on ? evidence : undefined;
                };
                return (
                    <a
                        key={key}
                        class="assertion"
                        href={`#${id}-${evidence}`}
                        onClick={(event) => {
                            event.preventDefault();
                            document.getElementById(`${id}-${evidence}`)?.focus();
                        }}
                        onFocus={light(true)}
                        onBlur={light(false)}
                        onPointerEnter={light(true)}
                        onPointerLeave={light(false)}
                    >
                        {body}
                    </a>
                );
            })}
        </p>
    );
}

function Row({
    evidence,
    index,
    id,
    lit,
    finding,
}: {
    evidence: Evidence;
    index: number;
    id: string;
    lit: Signal<number | undefined>;
    finding: Finding;
}) {
    const judged = evidence.threshold !== null && evidence.threshold !== undefined;
    return (
        <tr id={`${id}-${index}`} tabIndex={-1} class={lit.value === index ? "lit" : ""}>
            <th scope="row" title={evidence.metric}>
                <bdi>{clean(metricName(evidence.metric))}</bdi>
            </th>
            <td class="number">{measured(evidence.value, evidence.unit)}</td>
            <td class="number muted">
                {judged ? T.finding.threshold(bound(evidence.threshold as number, evidence.unit)) : ""}
            </td>
            <td>{judged && <Sign kind={finding.severity} named />}</td>
        </tr>
    );
}

function Picture({
    finding,
    result,
    history,
    lit,
}: Pick<Props, "finding" | "result" | "history"> & { lit: Signal<number | undefined> }) {
    const rules = useRules();
    const cursor = useSignal<number | undefined>(undefined);
    const zoom = useSignal<[number, number] | undefined>(undefined);
    const drawn = finding.evidence.findIndex((one) => (history.samples.get(seriesOf(one, result))?.length ?? 0) > 1);
    const evidence = finding.evidence[Math.max(0, drawn)];
    if (!evidence) return null;
    const name = metricName(evidence.metric);
    const bounds = boundsOf(rules, evidence.metric, (metric) => valueAt(result.metrics, metric), finding.rule);
    const samples = history.samples.get(seriesOf(evidence, result));
    if (drawn === -1 || !samples) {
        if (evidence.unit !== "percent") return null;
        const shown =
            bounds.length > 0 ? bounds.map((one) => one.value) : evidence.threshold != null ? [evidence.threshold] : [];
        return (
            <Meter
                name={name}
                value={evidence.value}
                max={100}
                text={measured(evidence.value, "percent")}
                bounds={shown}
                severity={bounds.length > 0 && !severityOf(evidence.value, bounds) ? undefined : finding.severity}
            />
        );
    }
    const since = evidence.since ? new Date(evidence.since).getTime() / 1000 : undefined;
    return (
        <Chart
            id={`chart-${finding.id}`}
            title={name}
            lines={[{ name, samples }]}
            unit={evidence.unit}
            from={history.from}
            to={history.to}
            bounds={bounds}
            marks={[{ at: history.at, severity: finding.severity, name: finding.summary }]}
            since={since}
            cursor={cursor}
            zoom={zoom}
            lit={lit.value === drawn}
        />
    );
}

export function FindingCard({ finding, recommendation, checked, refused, result, history }: Props) {
    const lit = useSignal<number | undefined>(undefined);
    const [all, setAll] = useState(false);
    const id = `evidence-${finding.id}`;
    const since = finding.evidence.find((one) => one.since)?.since;
    const lasted = since ? new Date(result.metrics.taken_at).getTime() - new Date(since).getTime() : 0;
    const commands = finding.remedies.filter((remedy) => remedy.command);
    const shown = all ? finding.evidence : finding.evidence.slice(0, 6);
    return (
        <article
            class={`card finding ${finding.severity}`}
            id={`finding-${finding.id}`}
            data-finding
            // biome-ignore lint/a11y/noNoninteractiveTabindex: the keys j and k step through the findings.
            tabIndex={0}
            aria-label={finding.summary}
        >
            <header>
                <h2>
                    <Sign kind={finding.severity} /> {T.signs[finding.severity]} · <Name text={finding.resource} />
                </h2>
                {since && (
                    <span class="muted">
                        {T.finding.since} <Clock at={since} />
                        {lasted >= 60_000 && <>, {coarse(Math.round(lasted / 60_000) * 60)}</>}
                    </span>
                )}
            </header>
            <div class="two">
                <div>
                    {recommendation ? (
                        <Text recommendation={recommendation} checked={checked} id={id} lit={lit} />
                    ) : (
                        <p class="text">{finding.summary}</p>
                    )}
                    {finding.remedies.length > 0 && (
                        <section>
                            <h3>{T.finding.whatToDo}</h3>
                            <p class="hint">{T.finding.nothingIsRun}</p>
                            {commands.map((remedy) => (
                                <div key={remedy.command}>
                                    <p class="remedy">{remedy.text}</p>
                                    <Command text={remedy.command as string} />
                                </div>
                            ))}
                            <ul class="remedies">
                                {finding.remedies
                                    .filter((remedy) => !remedy.command)
                                    .map((remedy) => (
                                        <li key={remedy.text}>{remedy.text}</li>
                                    ))}
                            </ul>
                        </section>
                    )}
                </div>
                <div>
                    <table class="evidence" tabIndex={-1}>
                        <caption class="unseen">{T.finding.evidence}</caption>
                        <tbody>
                            {shown.map((evidence, index) => (
                                <Row key={evidence.metric + String(index)} {...{ evidence, index, id, lit, finding }} />
                            ))}
                        </tbody>
                    </table>
                    {finding.evidence.length > shown.length && (
                        <button type="button" class="button quiet" onClick={() => setAll(true)}>
                            {T.finding.moreEvidence(finding.evidence.length - shown.length)}
                        </button>
                    )}
                    <Picture finding={finding} result={result} history={history} lit={lit} />
                    <Why
                        checked={checked}
                        refused={refused}
                        by={recommendation?.text_by ?? "rules"}
                        finding={finding}
                    />
                </div>
            </div>
        </article>
    );
}
