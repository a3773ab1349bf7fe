/** Server-sent events that arrive in pieces. */
import { expect, test } from "vitest";
import { EventParser, readEvents } from "../src/api/sse";

const STREAM = 'id: 7\nevent: status\ndata: {"a":1}\n\n: comment\n\nid: 8\n\ndata: one\ndata: two\r\n\r\n';
const EVENTS = [
    { id: "7", event: "status", data: '{"a":1}' },
    { id: "8", event: "message", data: "" },
    { id: undefined, event: "message", data: "one\ntwo" },
];

test.each([1, 2, 3, 7, 1000])("pieces of %d characters give the same events", (size) => {
    const parser = new EventParser();
    const events = [];
    for (let start = 0; start < STREAM.length; start += size)
        events.push(...parser.add(STREAM.slice(start, start + size)));
    expect(events).toEqual(EVENTS);
});

test("a stream is read to its end", async () => {
    const received: string[] = [];
    await readEvents(new Response(STREAM), 1000, (event) => received.push(event.data));
    expect(received).toEqual(EVENTS.map((event) => event.data));
});

test("a silent stream is given up", async () => {
    const silent = new Response(new ReadableStream({ start() {} }));
    await expect(readEvents(silent, 20, () => undefined)).rejects.toThrow("no byte within 20 ms");
});
