/** Tables of this machine: disks, network, processes, containers, temperatures. */
import type { ComponentChildren } from "preact";
import type { Snapshot } from "../api/types";
import { bytes, count, measured, percent } from "../lib/units";
import { Meter } from "../parts/meter";
import { Name } from "../parts/name";
import { NotMeasured } from "../parts/notice";
import { T } from "../texts";

interface Column<R> {
    name: string;
    number?: boolean;
    cell: (row: R) => ComponentChildren;
    /** Left out on narrow screens. */
    wide?: boolean;
}

interface TableProps<R> {
    id: string;
    title: string;
    rows: readonly R[];
    keyOf: (row: R) => string | number;
    columns: Column<R>[];
}

function Table<R>({ id, title, rows, keyOf, columns }: TableProps<R>) {
    return (
        <section aria-labelledby={id} class="table">
            <h2 id={id}>{title}</h2>
            <div class="scroll">
                <table>
                    <thead>
                        <tr>
                            {columns.map((column) => (
                                <th key={column.name} scope="col" class={classOf(column)}>
                                    {column.name}
                                </th>
                            ))}
                        </tr>
                    </thead>
                    <tbody>
                        {rows.map((row) => (
                            <tr key={keyOf(row)}>
                                {columns.map((column) => (
                                    <td key={column.name} class={classOf(column)}>
                                        {column.cell(row)}
                                    </td>
                                ))}
                            </tr>
                        ))}
                    </tbody>
                </table>
            </div>
        </section>
    );
}

function classOf<R>(column: Column<R>): string {
    return `${column.number ? "number" : ""} ${column.wide ? "wide-only" : ""}`.trim();
}

/** Value with its meter in the cell. */
function Share({ name, value, max = 100, text }: { name: string; value: number; max?: number; text: string }) {
    return (
        <span class="share">
            <span class="number">{text}</span>
            <Meter name={name} value={value} max={max} text={text} />
        </span>
    );
}

const DASH = "–";
const maybe = (value: number | null | undefined, format: (value: number) => string) =>
    value == null ? DASH : format(value);

export function MachineTables({ now }: { now: Snapshot }) {
    const t = T.tables;
    const host = now.host.status === "present" ? now.host.value : undefined;
    const containers = now.containers;
    const hottest = host?.temperatures ?? [];
    return (
        <>
            {host && host.disks.length > 0 && (
                <Table
                    id="t-disks"
                    title={t.disks}
                    rows={host.disks}
                    keyOf={(disk) => disk.mount}
                    columns={[
                        { name: t.mount, cell: (disk) => <Name text={disk.mount} max={36} /> },
                        {
                            name: t.used,
                            number: true,
                            cell: (disk) => (
                                <Share name={disk.mount} value={disk.used_percent} text={percent(disk.used_percent)} />
                            ),
                        },
                        { name: t.available, number: true, cell: (disk) => bytes(disk.available_bytes) },
                        { name: t.size, number: true, wide: true, cell: (disk) => bytes(disk.total_bytes) },
                        {
                            name: t.inodes,
                            number: true,
                            wide: true,
                            cell: (disk) => maybe(disk.inodes_used_percent, percent),
                        },
                        { name: t.device, wide: true, cell: (disk) => <Name text={disk.device} max={30} /> },
                        { name: t.filesystem, wide: true, cell: (disk) => disk.filesystem },
                    ]}
                />
            )}
            {host && host.networks.length > 0 && (
                <Table
                    id="t-network"
                    title={t.network}
                    rows={host.networks}
                    keyOf={(one) => one.interface}
                    columns={[
                        { name: t.interface, cell: (one) => <Name text={one.interface} /> },
                        {
                            name: t.received,
                            number: true,
                            cell: (one) => measured(one.received_bytes_per_second, "bytes/s"),
                        },
                        { name: t.sent, number: true, cell: (one) => measured(one.sent_bytes_per_second, "bytes/s") },
                        { name: t.errors, number: true, wide: true, cell: (one) => count(one.errors) },
                        { name: t.drops, number: true, wide: true, cell: (one) => maybe(one.drops, count) },
                    ]}
                />
            )}
            {host?.processes && host.processes.top.length > 0 && (
                <Table
                    id="t-processes"
                    title={t.processes(count(host.processes.count))}
                    rows={host.processes.top}
                    keyOf={(one) => one.pid}
                    columns={[
                        { name: t.name, cell: (one) => <Name text={one.name} max={28} /> },
                        { name: t.pid, number: true, wide: true, cell: (one) => one.pid },
                        {
                            name: t.processor,
                            number: true,
                            cell: (one) =>
                                one.cpu_percent == null ? (
                                    DASH
                                ) : (
                                    <Share
                                        name={one.name}
                                        value={one.cpu_percent}
                                        max={host.cpu.cores * 100}
                                        text={percent(one.cpu_percent)}
                                    />
                                ),
                        },
                        {
                            name: t.memory,
                            number: true,
                            cell: (one) => (
                                <Share
                                    name={one.name}
                                    value={one.memory_bytes}
                                    max={host.memory.total_bytes ?? one.memory_bytes}
                                    text={bytes(one.memory_bytes)}
                                />
                            ),
                        },
                    ]}
                />
            )}
            {containers.status === "present" ? (
                <Table
                    id="t-containers"
                    title={t.containers(containers.value.running, containers.value.total)}
                    rows={containers.value.containers}
                    keyOf={(one) => one.id}
                    columns={[
                        { name: t.name, cell: (one) => <Name text={one.name} max={28} /> },
                        { name: t.state, cell: (one) => (one.health ? `${one.state}, ${one.health}` : one.state) },
                        { name: t.processor, number: true, cell: (one) => maybe(one.cpu_percent, percent) },
                        {
                            name: t.memory,
                            number: true,
                            cell: (one) =>
                                one.memory_used_bytes == null ? (
                                    DASH
                                ) : (
                                    <Share
                                        name={one.name}
                                        value={one.memory_used_bytes}
                                        max={
                                            one.memory_limit_bytes ?? host?.memory.total_bytes ?? one.memory_used_bytes
                                        }
                                        text={bytes(one.memory_used_bytes)}
                                    />
                                ),
                        },
                        { name: t.restarts, number: true, wide: true, cell: (one) => maybe(one.restarts, count) },
                        { name: t.image, wide: true, cell: (one) => <Name text={one.image} max={36} /> },
                    ]}
                />
            ) : (
                <section aria-labelledby="t-containers">
                    <h2 id="t-containers">{T.tables.containersTitle}</h2>
                    <NotMeasured what={T.parts.containers} reason={containers.reason} />
                </section>
            )}
            {hottest.length > 0 && (
                <Table
                    id="t-temperatures"
                    title={t.temperatures}
                    rows={hottest}
                    keyOf={(one) => one.label}
                    columns={[
                        { name: t.sensor, cell: (one) => <Name text={one.label} /> },
                        { name: t.now, number: true, cell: (one) => measured(one.celsius, "celsius") },
                        {
                            name: t.limit,
                            number: true,
                            cell: (one) => maybe(one.critical_celsius, (value) => measured(value, "celsius")),
                        },
                    ]}
                />
            )}
        </>
    );
}
