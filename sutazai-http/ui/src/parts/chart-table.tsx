/** Values of a chart as a table, newest first. */
import type { Aligned } from "../lib/series";
import { date, exact, seconds, type Zone } from "../lib/time";
import { measured } from "../lib/units";
import { T } from "../texts";
import type { Line } from "./chart";

const MAX_ROWS = 400;

interface Props {
    lines: readonly Line[];
    data: Aligned;
    unit: string;
    zone: Zone;
    title: string;
}

export function ChartTable({ lines, data, unit, zone, title }: Props) {
    const rows = data.times.map((at, row) => ({ at, row })).reverse();
    return (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard.
        <section class="plot scroll" tabIndex={0} aria-label={title}>
            <table>
                <thead>
                    <tr>
                        <th scope="col">{T.time}</th>
                        {lines.map((line) => (
                            <th key={line.name} scope="col" class="number">
                                {line.name}
                            </th>
                        ))}
                    </tr>
                </thead>
                <tbody>
                    {rows.slice(0, MAX_ROWS).map(({ at, row }) => (
                        <tr key={at}>
                            <td title={exact(new Date(at * 1000), zone)}>
                                {date(new Date(at * 1000), zone)} {seconds(at * 1000, zone)}
                            </td>
                            {lines.map((line, column) => {
                                const value = data.columns[column]?.mean[row];
                                return (
                                    <td key={line.name} class="number">
                                        {value == null ? "–" : measured(value, unit)}
                                    </td>
                                );
                            })}
                        </tr>
                    ))}
                </tbody>
            </table>
        </section>
    );
}
