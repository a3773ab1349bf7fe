/** Checks of a text: each assertion with its evidence, each rejected attempt with its reason, and who wrote it. */
import type { Analysis, CheckedText, Finding } from "../api/types";
import { metricName } from "../lib/assertions";
import { clean, measured } from "../lib/units";
import { T } from "../texts";
import { Sign } from "./icon";

export type Refused = Analysis["grounding"]["refused"][number];

interface Props {
    checked: CheckedText | undefined;
    refused: readonly Refused[];
    by: "model" | "rules";
    finding: Finding;
}

export function Why({ checked, refused, by, finding }: Props) {
    const assertions = checked?.assertions ?? [];
    const rests = (index: number | null | undefined) => {
        const evidence = index == null ? undefined : finding.evidence[index];
        return evidence ? `${metricName(evidence.metric)} ${measured(evidence.value, evidence.unit)}` : T.why.ofRule;
    };
    return (
        <details class="why">
            <summary>
                <Sign kind="good" /> {assertions.length > 0 && <>{T.why.supported(assertions.length)} · </>}
                {by === "model" ? T.why.byModel : T.why.byRules}
                {refused.length > 0 && <> · {T.why.refused(refused.length)}</>}
            </summary>
            {assertions.length > 0 && (
                <table>
                    <thead>
                        <tr>
                            <th scope="col">{T.why.assertion}</th>
                            <th scope="col">{T.why.kind}</th>
                            <th scope="col">{T.why.rests}</th>
                        </tr>
                    </thead>
                    <tbody>
                        {assertions.map((one) => (
                            <tr key={`${one.kind}-${one.start}-${one.end}`}>
                                <td>
                                    <bdi>{clean(one.text)}</bdi>
                                </td>
                                <td>{T.why.kinds[one.kind]}</td>
                                <td>
                                    <bdi>{clean(rests(one.evidence))}</bdi>
                                </td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            )}
            {refused.map((one) => (
                <p key={`${one.attempt}-${one.excerpt}`}>
                    {T.why.attempt(one.attempt)} {T.why.reasons[one.reason]}: “<bdi>{clean(one.excerpt)}</bdi>”
                </p>
            ))}
        </details>
    );
}
