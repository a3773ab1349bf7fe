/** This machine: the worst finding, the vital values against their bounds, and their history. */
import { useSignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { snapshotFailure, useRules, useSnapshot, valueAt } from "../api/metrics";
import type { Snapshot } from "../api/types";
import { useCommands } from "../keyboard";
import { boundsOf, countBySeverity, severityOf, softened } from "../lib/rules";
import { day } from "../lib/time";
import { coarse } from "../lib/units";
import { missing, vitals } from "../lib/vitals";
import { look } from "../look";
import { Segments } from "../parts/field";
import { FindingCounts } from "../parts/finding-counts";
import { Sign } from "../parts/icon";
import { Name } from "../parts/name";
import { Failed, Loading } from "../parts/notice";
import { Tile } from "../parts/tile";
import { Ago } from "../parts/time";
import { useTitle } from "../parts/title";
import { route, setQuery } from "../router";
import { T } from "../texts";
import { analyze, useLatestAnalysis } from "./analyze";
import { chartsOf, type LoadedHistory, MachineCharts, useHistory } from "./machine-charts";
import { MachineTables } from "./machine-tables";

const RANGES = { "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000 } as const;
export type Range = keyof typeof RANGES;

function Head({ now }: { now: Snapshot }) {
    if (now.host.status !== "present") return <h1>{T.places.machine}</h1>;
    const { hostname, uptime_seconds, system, kernel } = now.host.value;
    return (
        <h1>
            <Name text={hostname} />{" "}
            <small class="muted">
                {uptime_seconds != null && T.machine.up(coarse(uptime_seconds))}
                <span class="wide-only"> · {[system, kernel].filter(Boolean).join(", ")}</span>
            </small>
        </h1>
    );
}

function NotMeasuredLine({ now }: { now: Snapshot }) {
    const parts = missing(now);
    const [open, setOpen] = useState(false);
    if (parts.length === 0) return null;
    return (
        <div class="unmeasured">
            <Sign kind="missing" />
            <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
                <summary>
                    {T.machine.notMeasured} {parts.map(({ part }) => T.parts[part]).join(", ")}
                </summary>
                <ul>
                    {parts.map(({ part, reason }) => (
                        <li key={part}>{T.notMeasured(T.parts[part], reason)}</li>
                    ))}
                </ul>
            </details>
        </div>
    );
}

/** Time of the first point, if it is later than the range begins. */
function HistoryBegin({ history }: { history: LoadedHistory }) {
    const first = Math.min(
        ...[...history.samples.values()].map((samples) => samples[0]?.at ?? Number.POSITIVE_INFINITY),
    );
    const isLate = Number.isFinite(first) && first - history.from > (history.to - history.from) / 50;
    if (!isLate) return null;
    const { zone } = look.value;
    return (
        <span class="muted wide-only">{T.machine.historyBegins(day(new Date(first * 1000), Date.now(), zone))}</span>
    );
}

function showChart(id: string): void {
    document.getElementById(`chart-${id}`)?.scrollIntoView({ block: "center" });
}

export default function Machine() {
    const now = useSnapshot();
    const rules = useRules();
    const latest = useLatestAnalysis();
    const asked = route.value.query.get("range");
    const range: Range = asked !== null && asked in RANGES ? (asked as Range) : "6h";
    const lit = route.value.query.get("chart") ?? undefined;
    const cursor = useSignal<number | undefined>(undefined);
    const zoom = useSignal<[number, number] | undefined>(undefined);
    const history = useHistory(now, range, RANGES[range]);
    const host = now?.host.status === "present" ? now.host.value.hostname : undefined;
    const findings = latest.analysis?.findings ?? [];
    const counts = countBySeverity(findings);
    useTitle(host ?? T.places.machine, counts);

    const turn = (step: number) => {
        const names = Object.keys(RANGES) as Range[];
        const next = names[names.indexOf(range) + step];
        if (next) setQuery({ range: next });
    };
    useCommands(
        [
            { keys: "[", name: T.keys.shorter, kind: "action", run: () => turn(-1) },
            { keys: "]", name: T.keys.longer, kind: "action", run: () => turn(1) },
        ],
        [range],
    );
    useEffect(() => {
        if (lit) showChart(lit);
    }, [lit, now === undefined]);

    // The page is drawn once all its parts are known, so that nothing moves afterwards.
    if (!now || !latest.isLoaded) {
        const failure = snapshotFailure.value;
        return failure ? <Failed failure={failure} /> : <Loading what={T.machine.measurements} lines={8} />;
    }
    const value = (metric: string) => valueAt(now, metric);
    const other = latest.analysis && host && latest.analysis.host !== host ? latest.analysis.host : undefined;
    return (
        <div class="page">
            <div class="head">
                <Head now={now} />
                <span class="space" />
                <button type="button" class="button primary" data-primary onClick={() => void analyze()}>
                    {T.machine.analyze}
                </button>
            </div>
            <div class="row summary">
                {latest.analysis ? (
                    <>
                        <FindingCounts counts={counts} />
                        <span class="muted">
                            {T.machine.analyzed} <Ago at={latest.analysis.generated_at} />
                        </span>
                    </>
                ) : (
                    <span>{T.machine.never}</span>
                )}
            </div>
            {other && <p class="unmeasured">{T.machine.otherMachine(other)}</p>}
            <NotMeasuredLine now={now} />
            <div class="tiles">
                {vitals(now).map((vital) => {
                    const bounds = boundsOf(rules, vital.metric, value);
                    const severity = softened(severityOf(vital.value, bounds), vital.metric, findings);
                    const samples = history.samples.get(vital.series) ?? [];
                    return (
                        <Tile
                            key={vital.kind}
                            vital={vital}
                            bounds={bounds}
                            severity={severity}
                            samples={samples}
                            loading={!history.isLoaded}
                            select={() => {
                                setQuery({ chart: vital.id });
                                cursor.value = samples.at(-1)?.at;
                                showChart(vital.id);
                            }}
                        />
                    );
                })}
            </div>
            {findings.length > 0 && latest.id && (
                <section aria-labelledby="findings">
                    <h2 id="findings">{T.machine.findings}</h2>
                    <ul class="list">
                        {findings.map((finding) => (
                            <li key={finding.id}>
                                <a
                                    class="finding-line"
                                    href={`#/analyses/${latest.id}?finding=${encodeURIComponent(finding.id)}`}
                                >
                                    <Sign kind={finding.severity} named />
                                    <span class="grow">{finding.summary}</span>
                                </a>
                            </li>
                        ))}
                    </ul>
                </section>
            )}
            <section aria-labelledby="history">
                <div class="head">
                    <h2 id="history">{T.machine.history}</h2>
                    <HistoryBegin history={history} />
                    <span class="space" />
                    <Segments
                        label={T.machine.range}
                        value={range}
                        options={(Object.keys(RANGES) as Range[]).map((name) => [name, name] as const)}
                        set={(name) => {
                            zoom.value = undefined;
                            setQuery({ range: name });
                        }}
                    />
                </div>
                <MachineCharts
                    charts={chartsOf(now, rules, value)}
                    history={history}
                    cursor={cursor}
                    zoom={zoom}
                    lit={lit}
                    analysis={latest.analysis}
                />
            </section>
            <MachineTables now={now} />
        </div>
    );
}
