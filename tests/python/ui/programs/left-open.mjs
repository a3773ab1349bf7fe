/** This machine, left open for 3,600 measurements: neither its memory nor its document grows. They are sent one after
another instead of within two hours; everything behind the stream is as usual. */
import assert from "node:assert/strict";
import { api, finish, newWindow, settled, signIn } from "./browser.mjs";

const SAMPLES = 3600;
const SAMPLE_MS = 2000;
const MAX_GROWTH = 5 * 1024 * 1024;

const context = await newWindow();
await context.addInitScript(() => {
    const real = window.fetch;
    window.fetch = (request, options) => {
        if (!String(request.url ?? request).includes("/system/metrics/stream")) return real(request, options);
        const encoder = new TextEncoder();
        const body = new ReadableStream({
            start(stream) {
                window.measure = (snapshot) => {
                    stream.enqueue(encoder.encode(`event: snapshot\ndata: ${JSON.stringify(snapshot)}\n\n`));
                };
            },
        });
        return Promise.resolve(new Response(body, { headers: { "Content-Type": "text/event-stream" } }));
    };
});
const page = await context.newPage();
const protocol = await context.newCDPSession(page);
await protocol.send("Performance.enable");
await signIn(page);
await page.waitForFunction(() => window.measure !== undefined);

const snapshot = await api("GET", "/api/v1/system/metrics");
let sent = 0;
/** Sends measurements that differ from each other, and lets the page draw each. */
async function send(count) {
    const begun = Date.now() + sent * SAMPLE_MS;
    sent += count;
    await page.evaluate(
        async ([given, from, number, step]) => {
            const drawn = new MessageChannel();
            for (let index = 0; index < number; index += 1) {
                const next = structuredClone(given);
                next.taken_at = new Date(from + index * step).toISOString();
                if (next.host.value?.cpu) next.host.value.cpu.used_percent = (index * 7) % 100;
                window.measure(next);
                await new Promise((resolve) => {
                    drawn.port1.onmessage = resolve;
                    drawn.port2.postMessage(0);
                });
            }
        },
        [snapshot, begun, count, SAMPLE_MS],
    );
}

async function heap() {
    await protocol.send("HeapProfiler.collectGarbage");
    const { metrics } = await protocol.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "JSHeapUsedSize").value;
}
const nodes = () => page.evaluate(() => document.querySelectorAll("*").length);

// The first measurements load the charts and compile what draws them.
await send(100);
await page.locator(".tile").first().waitFor();
await settled(page);
const before = { heap: await heap(), nodes: await nodes() };
for (let round = 0; round < SAMPLES / 300; round += 1) await send(300);
await settled(page);
const after = { heap: await heap(), nodes: await nodes() };
const grown = after.heap - before.heap;
console.log(`heap grown by ${(grown / 1024 / 1024).toFixed(2)} MiB after ${SAMPLES} measurements`);
assert(grown <= MAX_GROWTH, `the heap grew by ${grown} bytes, from ${before.heap}`);
assert(after.nodes <= before.nodes + 20, `${before.nodes} nodes became ${after.nodes}`);
await finish();
