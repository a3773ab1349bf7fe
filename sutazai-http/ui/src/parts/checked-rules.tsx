/** Rules that found nothing, and rules that could not be run, with their reasons. */
import { useRules } from "../api/metrics";
import type { CheckedRule, Finding } from "../api/types";
import { counted } from "../lib/units";
import { T } from "../texts";
import { Sign } from "./icon";
import { sentence } from "./notice";

interface Props {
    checked: readonly CheckedRule[];
    findings: readonly Finding[];
}

export function CheckedRules({ checked, findings }: Props) {
    const rules = useRules();
    const title = (id: string) => rules.find((rule) => rule.id === id)?.title ?? id.replaceAll("_", " ");
    const found = new Set(findings.map((finding) => finding.rule));
    const quiet = checked.filter((rule) => rule.reason === null && !found.has(rule.rule));
    const away = checked.filter((rule) => rule.reason !== null);
    return (
        <>
            {quiet.length > 0 && (
                <details class="checked">
                    <summary>
                        <Sign kind="good" /> {T.checked.nothingFound(quiet.length)}
                    </summary>
                    <ul class="columns">
                        {quiet.map((rule) => (
                            <li key={rule.rule}>
                                {title(rule.rule)}{" "}
                                <span class="muted">
                                    {rule.looked_at === 0 ? T.checked.none : counted(rule.looked_at, T.checked.thing)}
                                </span>
                            </li>
                        ))}
                    </ul>
                </details>
            )}
            {away.length > 0 && (
                <details class="checked">
                    <summary>
                        <Sign kind="missing" /> {T.checked.notLookedAt(away.length)}
                    </summary>
                    <ul>
                        {away.map((rule) => (
                            <li key={rule.rule}>
                                {title(rule.rule)}: {sentence(rule.reason ?? "")}
                            </li>
                        ))}
                    </ul>
                </details>
            )}
        </>
    );
}
