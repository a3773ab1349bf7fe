/** Writes an analysis or a comparison as Markdown, to be pasted elsewhere. */
import type { Analysis } from "../api/types";
import { metricName } from "./assertions";
import type { Pair } from "./compare";
import { bound, measured } from "./units";

export function analysisMarkdown(analysis: Analysis): string {
    const lines = [
        `# ${analysis.host}, ${analysis.generated_at}`,
        "",
        `Priority: ${analysis.priority_level}. ${analysis.summary}`,
    ];
    for (const [index, finding] of analysis.findings.entries()) {
        lines.push(
            "",
            `## ${finding.severity}: ${finding.resource}`,
            "",
            analysis.recommendations[index]?.text ?? finding.summary,
            "",
        );
        for (const one of finding.evidence) {
            const limit = one.threshold == null ? "" : ` (threshold ${bound(one.threshold, one.unit)})`;
            lines.push(`- ${metricName(one.metric)}: ${measured(one.value, one.unit)}${limit}`);
        }
        const commands = finding.remedies.flatMap((remedy) => remedy.command ?? []);
        if (commands.length > 0) lines.push("", "```sh", ...commands, "```");
    }
    return `${lines.join("\n")}\n`;
}

export function comparisonMarkdown(title: string, pairs: readonly Pair[]): string {
    const cell = (text: string | undefined) => (text ?? "–").replaceAll("|", "\\|");
    const rows = pairs.map(
        (pair) => `| ${pair.change} | ${cell(pair.before?.summary)} | ${cell(pair.after?.summary)} |`,
    );
    return [`# ${title}`, "", "| change | before | after |", "|---|---|---|", ...rows, ""].join("\n");
}
