/** Lists that are longer than a page, a list that is searched, and a task that another window has deleted. */
import assert from "node:assert/strict";
import { api, ARGUMENTS, ended, finish, go, newWindow, settled, signIn } from "./browser.mjs";

const CONVERSATIONS = Number(ARGUMENTS[0]);

const context = await newWindow({ expected: /404/ });
const page = await context.newPage();
await signIn(page);

await go(page, "#/chat");
await settled(page);
const rows = page.locator("aside [data-row]");
const more = page.getByRole("button", { name: "Show more" });
assert.equal(await rows.count(), 100);
await more.click();
await more.waitFor({ state: "detached" });
assert.equal(await rows.count(), CONVERSATIONS);
assert.equal(new Set(await rows.allInnerTexts()).size, CONVERSATIONS);

await go(page, "#/schedules");
const search = page.getByLabel("Search schedules");
await search.fill("NOON");
await page.getByRole("button", { name: "Night", exact: true }).waitFor({ state: "detached" });
await page.getByRole("button", { name: "Noon", exact: true }).waitFor();
await search.fill("never");
await page.getByText("No schedule has this name or agent.").waitFor();

// No backend of this server can pull models.
const pull = { agent: "model-puller", payload: { model: "tinyllama" }, max_attempts: 1 };
const { id } = await api("POST", "/api/v1/tasks", pull);
await ended(id);
await go(page, `#/tasks/${id}`);
const retry = page.getByRole("button", { name: "Retry" });
await retry.waitFor();
await api("DELETE", `/api/v1/tasks/${id}`);
await retry.click();
await page.getByRole("heading", { name: "This task was deleted." }).waitFor();
await page.getByRole("link", { name: "All tasks" }).click();
await page.getByRole("heading", { name: "Tasks" }).waitFor();
await finish();
