/** Numbers of findings by severity, with shape and word. */
import type { Counts } from "../lib/rules";
import { counted } from "../lib/units";
import { T } from "../texts";
import { Sign } from "./icon";

export function FindingCounts({ counts }: { counts: Counts }) {
    const shown = (["critical", "warning", "info"] as const).filter((severity) => counts[severity] > 0);
    if (shown.length === 0) {
        return (
            <span class="count">
                <Sign kind="good" /> {T.nothingFound}
            </span>
        );
    }
    return (
        <span class="row counts">
            {shown.map((severity) => (
                <span key={severity} class="count">
                    <Sign kind={severity} />{" "}
                    {severity === "critical"
                        ? `${counts.critical}\u00a0${T.severities.critical}`
                        : counted(counts[severity], T.severities[severity], T.severitiesMany[severity])}
                </span>
            ))}
        </span>
    );
}
