/** Two analyses side by side: what is new, worse, better, gone and the same. */
import type { Analysis, Finding, Task } from "../api/types";
import { type Change, compare } from "../lib/compare";
import { comparisonMarkdown } from "../lib/report";
import { clock, day } from "../lib/time";
import { measured } from "../lib/units";
import { vitals } from "../lib/vitals";
import { look } from "../look";
import { Copy } from "../parts/copy";
import { Sign } from "../parts/icon";
import { Failed, Loading } from "../parts/notice";
import { vitalName } from "../parts/tile";
import { useTitle } from "../parts/title";
import { T } from "../texts";
import { useTask } from "./analysis";

function Side({ finding }: { finding: Finding | undefined }) {
    if (!finding) return <span class="muted">–</span>;
    return (
        <span class="row top-aligned">
            <Sign kind={finding.severity} named /> <span class="grow">{finding.summary}</span>
        </span>
    );
}

function Vitals({ before, after }: { before: Analysis; after: Analysis }) {
    const old = vitals(before.metrics);
    const rows = vitals(after.metrics).flatMap((vital) => {
        const one = old.find((each) => each.metric === vital.metric);
        return one ? [{ vital, one, step: vital.value - one.value }] : [];
    });
    if (rows.length === 0) return null;
    return (
        <section aria-labelledby="values">
            <h2 id="values">{T.comparison.values}</h2>
            <div class="scroll">
                <table class="rows">
                    <thead>
                        <tr>
                            <th scope="col">{T.comparison.value}</th>
                            <th scope="col" class="number">
                                {T.comparison.before}
                            </th>
                            <th scope="col" class="number">
                                {T.comparison.after}
                            </th>
                            <th scope="col" class="number">
                                {T.comparison.difference}
                            </th>
                        </tr>
                    </thead>
                    <tbody>
                        {rows.map(({ vital, one, step }) => (
                            <tr key={vital.metric}>
                                <th scope="row">
                                    <bdi>{vitalName(vital)}</bdi>
                                </th>
                                <td class="number">{one.text}</td>
                                <td class="number">{vital.text}</td>
                                <td class="number">
                                    {step > 0 ? "+" : ""}
                                    {measured(Math.round(step * 100) / 100, vital.unit)}
                                </td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            </div>
        </section>
    );
}

function Both({ before, after }: { before: Analysis; after: Analysis }) {
    const { zone } = look.value;
    const pairs = compare(before.findings, after.findings);
    const times = [before, after].map((one) => clock(new Date(one.generated_at), zone));
    const title = T.comparison.title(
        day(new Date(before.generated_at), Date.now(), zone),
        day(new Date(after.generated_at), Date.now(), zone),
    );
    const changed = pairs.filter((pair) => pair.change !== "same");
    const changes: Change[] = ["new", "worse", "same", "better", "gone"];
    return (
        <>
            <div class="head">
                <a class="back" href="#/analyses">
                    ‹ {T.places.analyses}
                </a>
                <h1>{title}</h1>
                <span class="space" />
                <Copy
                    text={() => comparisonMarkdown(title, pairs)}
                    what={T.comparison.name}
                    label={T.analysis.copyMarkdown}
                />
            </div>
            {before.host !== after.host && <p class="unmeasured">{T.comparison.hosts(before.host, after.host)}</p>}
            {changed.length === 0 && <p class="empty">{T.comparison.nothing(times[0] ?? "", times[1] ?? "")}</p>}
            {changes.map((change) => {
                const rows = pairs.filter((pair) => pair.change === change);
                if (rows.length === 0) return null;
                return (
                    <section key={change} aria-labelledby={`change-${change}`}>
                        <h2 id={`change-${change}`}>
                            {T.comparison.changes[change]} <span class="muted">{rows.length}</span>
                        </h2>
                        <div class="pairs">
                            {rows.map((pair) => (
                                <div key={pair.id} class="pair">
                                    <div>
                                        <span class="label">{T.comparison.before}</span>
                                        <Side finding={pair.before} />
                                    </div>
                                    <div>
                                        <span class="label">{T.comparison.after}</span>
                                        <Side finding={pair.after} />
                                    </div>
                                </div>
                            ))}
                        </div>
                    </section>
                );
            })}
            <Vitals before={before} after={after} />
        </>
    );
}

export default function Comparison({ pair }: { pair: string }) {
    const [first = "", second = ""] = pair.split("...");
    const before = useTask(first);
    const after = useTask(second);
    useTitle(T.comparison.name);
    const failure = before.failure ?? after.failure;
    const result = (task: Task | undefined) => (task?.result ?? undefined) as Analysis | undefined;
    const [old, current] = [result(before.value as Task | undefined), result(after.value as Task | undefined)];
    if (failure) {
        return (
            <Failed
                failure={failure}
                missing={
                    <>
                        {T.analysis.missing} <a href="#/analyses">{T.analysis.all}</a>
                    </>
                }
            />
        );
    }
    if (!before.value || !after.value) return <Loading what={T.comparison.name} />;
    if (!old || !current) return <p class="empty">{T.comparison.notDone}</p>;
    return (
        <div class="page">
            <Both before={old} after={current} />
        </div>
    );
}
