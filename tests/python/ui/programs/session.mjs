/** Sessions and streams over several tabs, and what the pages store. */
import assert from "node:assert/strict";
import { api, everywhere, finish, go, newWindow, settled, signIn } from "./browser.mjs";

const context = await newWindow({ expected: /401|Unauthorized|ERR_FAILED/ });
const streams = new Map();
let opened = 0;
context.on("request", (request) => {
    if (!request.url().includes("/api/v1/events")) return;
    opened += 1;
    streams.set(request, request.frame().page());
});
/** Number of event streams that are open; those of closed tabs end without an event. */
const open = () => [...streams.values()].filter((page) => !page.isClosed()).length;
for (const end of ["requestfinished", "requestfailed"]) context.on(end, (request) => streams.delete(request));

const first = await context.newPage();
await signIn(first);
await settled(first);

// Reloading, also in quick succession, keeps the session.
for (let round = 0; round < 6; round += 1) await first.reload({ waitUntil: "domcontentloaded" });
await first.getByRole("button", { name: "root_1" }).waitFor();

// So does a connection that is cut when the server has renewed the session and the browser does not know it yet.
let isCut = false;
await first.route("**/api/v1/auth/refresh", async (route) => {
    if (isCut) return route.continue();
    isCut = true;
    const answer = await fetch(route.request().url(), { method: "POST", headers: await route.request().allHeaders() });
    assert.equal(answer.status, 200);
    return route.abort();
});
await first.reload();
await first.getByRole("button", { name: "Try again" }).click();
await first.getByRole("button", { name: "root_1" }).waitFor();
assert(isCut);
await first.unroute("**/api/v1/auth/refresh");

// Three tabs share one stream and one token.
const tabs = [first, await context.newPage(), await context.newPage()];
for (const tab of tabs.slice(1)) {
    await go(tab, "#/tasks");
    await tab.getByRole("heading", { name: "Tasks" }).waitFor();
}
await settled(tabs[2]);
assert.equal(open(), 1, `${open()} event streams`);

// Each of them follows a new task.
const task = await api("POST", "/api/v1/agents/hardware-optimizer/analyze", { use_model: false });
for (const tab of tabs.slice(1)) await tab.locator(`a[href="#/tasks/${task.task_id}"]`).waitFor();

// When the tab that reads the stream is closed, another one goes on without losing an event.
await first.close();
const next = await api("POST", "/api/v1/agents/hardware-optimizer/analyze", { use_model: false });
for (const tab of tabs.slice(1)) await tab.locator(`a[href="#/tasks/${next.task_id}"]`).waitFor();
assert.equal(open(), 1, `${open()} event streams`);
assert(opened >= 2);

const tab = tabs[1];
const kept = await tab.evaluate(() => ({
    local: Object.keys(localStorage),
    session: Object.keys(sessionStorage),
    cookie: document.cookie,
    address: location.href,
}));
assert.deepEqual({ ...kept, address: "" }, { local: [], session: [], cookie: "", address: "" });
assert(!/ey[A-Za-z0-9]/.test(kept.address));
const cookies = await context.cookies();
assert.equal(cookies.length, 1);
assert(cookies[0].httpOnly && cookies[0].sameSite === "Strict", JSON.stringify(cookies));

// The model of this server does not answer.
await go(tab, "#/admin");
await tab.getByRole("heading", { name: "Degraded" }).waitFor();
await everywhere(tab, "admin-degraded");

// A session that another client ends is a dialog above the page, which keeps what was typed.
await go(tab, "#/tasks/new");
await tab.getByLabel("Title").fill("typed before");
await api("POST", "/api/v1/auth/logout-all");
await tab.getByRole("button", { name: "Submit task" }).click();
const dialog = tab.getByRole("dialog", { name: "Your session has ended" });
await dialog.waitFor();
await everywhere(tab, "session-ended");
await dialog.getByLabel("Password").fill("correct horse battery");
await dialog.getByRole("button", { name: "Sign in", exact: true }).click();
await dialog.waitFor({ state: "detached" });
await tab.getByRole("heading", { name: "typed before" }).waitFor();

// Signing out in one tab signs the others out.
await tab.getByRole("button", { name: "root_1" }).click();
await tab.getByRole("menuitem", { name: "Sign out" }).click();
for (const each of tabs.slice(1)) await each.getByRole("heading", { name: "Sign in" }).waitFor();
await finish();
