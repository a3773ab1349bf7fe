/** Tile of a vital value: name, value, shape when a bound is passed, sparkline, meter with its bounds. */
import type { Severity } from "../api/types";
import type { MetricBound } from "../lib/rules";
import type { Sample } from "../lib/series";
import { clean, measured, middle } from "../lib/units";
import type { Vital } from "../lib/vitals";
import { T } from "../texts";
import { Sign } from "./icon";
import { Meter } from "./meter";
import { Sparkline } from "./sparkline";

/** Names a value with the device or resource that was chosen, such as `Disk /var`. */
export function vitalName({ kind, of }: Vital, max = 60): string {
    const name = kind === "pressure" ? T.resources[of as "cpu"] : middle(clean(of), max);
    return `${T.vitals[kind]} ${name}`.trim();
}

interface Props {
    vital: Vital;
    bounds: readonly MetricBound[];
    severity: Severity | undefined;
    samples: readonly Sample[];
    /** The samples are still being loaded. */
    loading: boolean;
    select: () => void;
}

export function Tile({ vital, bounds, severity, samples, loading, select }: Props) {
    const name = vitalName(vital, 20);
    const points = samples.map(({ at, mean }) => ({ at, value: mean }));
    const first = points[0];
    const last = points.at(-1);
    const values = points.map((point) => point.value);
    const said =
        first && last
            ? T.sparkline(name, measured(Math.min(...values), vital.unit), measured(Math.max(...values), vital.unit))
            : T.noHistoryYet;
    return (
        <button type="button" class={`tile ${severity ?? ""}`} onClick={select}>
            <span class="name">
                <bdi>{name}</bdi>
            </span>
            <span class="value number">
                {vital.text} {severity && <Sign kind={severity} named />}
            </span>
            {first && last ? (
                <Sparkline
                    points={points}
                    from={first.at}
                    to={last.at}
                    max={vital.unit === "percent" ? 100 : undefined}
                    name={said}
                    severity={severity}
                />
            ) : (
                <span class="sparkline muted">{!loading && T.noHistoryShort}</span>
            )}
            <Meter
                name={name}
                value={vital.value}
                max={vital.max}
                text={vital.text}
                bounds={bounds.map((bound) => bound.value)}
                severity={severity}
            />
        </button>
    );
}
