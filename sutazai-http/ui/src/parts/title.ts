/** Title and icon of the tab: the page, and how bad it is. */
import { useEffect } from "preact/hooks";
import plain from "../icon.svg";
import critical from "../icon-critical.svg";
import warning from "../icon-warning.svg";
import type { Counts } from "../lib/rules";
import { clean } from "../lib/units";

export function useTitle(title: string, counts?: Counts): void {
    const critically = counts?.critical ?? 0;
    const warned = counts?.warning ?? 0;
    useEffect(() => {
        const sign = critically > 0 ? `⬢ ${critically} · ` : warned > 0 ? `▲ ${warned} · ` : "";
        document.title = `${sign}${clean(title)} · SutazAI`;
        const icon = document.querySelector<HTMLLinkElement>("link[rel=icon]");
        if (icon) icon.href = critically > 0 ? critical : warned > 0 ? warning : plain;
    }, [title, critically, warned]);
}
