/** Server that is killed and comes back while pages are open; the test that runs this program kills and starts it. */
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { api, everywhere, finish, go, newWindow, settled, signIn } from "./browser.mjs";

const MAX_AWAY_MS = 10_000;

const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();
async function tell(message) {
    console.log(message);
    await lines.next();
}
const analyze = () => api("POST", "/api/v1/agents/hardware-optimizer/analyze", { use_model: false });
const submit = (task) => api("POST", "/api/v1/tasks", { agent: "hardware-optimizer", payload: {}, ...task });

const context = await newWindow({ expected: /ERR_CONNECTION|ERR_INCOMPLETE|ERR_NETWORK|ERR_EMPTY/ });
const page = await context.newPage();
await signIn(page);
await go(page, "#/tasks/new");
await page.getByLabel("Title").fill("typed before");
await settled(page);
// Two more tabs: a list, and the timeline of a task that waits.
const list = await context.newPage();
await go(list, "#/tasks");
await list.getByRole("heading", { name: "Tasks" }).waitFor();
const waiting = await submit({ title: "Waits", run_at: new Date(Date.now() + 3_600_000).toISOString() });
const timeline = await context.newPage();
await go(timeline, `#/tasks/${waiting.id}`);
const rows = (status) => timeline.locator(".timeline .words", { hasText: status });
await rows("Pending").waitFor();

await tell("stop");
await page.locator(".banner", { hasText: "The server cannot be reached." }).waitFor();
await page.getByText("Not live").waitFor();
await everywhere(page, "server-away");
await tell("start");
const began = Date.now();
// Meanwhile something happens that the pages have not been told.
const missed = await analyze();
await api("POST", `/api/v1/tasks/${waiting.id}/cancel`);
await page.locator(".banner", { hasText: "Connected again." }).waitFor({ timeout: 30_000 });
await page.getByText("Live", { exact: true }).waitFor();
const took = Date.now() - began;
console.log(`live again after ${took} ms`);
assert(took <= MAX_AWAY_MS, `live again after ${took} ms`);
assert.equal(await page.getByLabel("Title").inputValue(), "typed before");

// No event is lost or shown twice.
const seen = await analyze();
for (const { task_id } of [missed, seen]) {
    const row = list.locator(".task-row", { has: list.locator(`a[href="#/tasks/${task_id}"]`) });
    await row.getByText("Completed").waitFor();
    assert.equal(await row.count(), 1);
}
await rows("Cancelled").waitFor();
assert.equal(await rows("Cancelled").count(), 1);
assert.equal(await rows("Pending").count(), 1);
// An open input would keep the program running.
input.close();
await finish();
