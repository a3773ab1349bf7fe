/** Name that others chose (process, container, file): isolated, without control characters, shortened in the middle. */
import { clean, middle } from "../lib/units";

export function Name({ text, max = 48 }: { text: string; max?: number }) {
    const cleaned = clean(text);
    const short = middle(cleaned, max);
    return <bdi title={short === cleaned ? undefined : cleaned}>{short}</bdi>;
}
