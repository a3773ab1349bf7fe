/** A server without a model and without Docker, before its first analysis, and a device that goes offline. */
import assert from "node:assert/strict";
import { api, BASE, ended, everywhere, finish, go, newWindow, settled, signIn } from "./browser.mjs";

const context = await newWindow({ expected: /503|404|401|ERR_INTERNET|ERR_NETWORK/ });
const page = await context.newPage();
await go(page, "#/sign-in");
await page.getByLabel("User name or e-mail address").fill("root_1");
await page.getByLabel("Password").fill("not the password");
await page.getByRole("button", { name: "Sign in" }).click();
await page.getByText("This name and password do not match.").waitFor();
await everywhere(page, "sign-in-error");
await signIn(page);

// First run.
const empty = {
    "#/": /Nothing has been analyzed yet\. It takes seconds and changes nothing on this machine\./,
    "#/analyses": /Nothing has been analyzed yet\./,
    "#/tasks": /No tasks yet\. Analyses, schedules and fetched models appear here\./,
    "#/schedules": /No schedules yet\. For example: analyze this machine on weekdays at 7:30\./,
    "#/documents": /No documents yet\. Drop \.txt, \.md or \.html files here, up to 10 MB each\./,
    "#/documents?q=lease": /No part has any of these words\. Whole words are compared: leases is not lease\./,
    "#/chat": /No model is set up\. Set MODEL_BACKENDS and start the server again\./,
    "#/models": /No model is available: the rules write the recommendations\./,
    "#/admin/failed": /No failed tasks\./,
    "#/admin/users": /No user but you\./,
    "#/account": /No API keys yet\. Programs sign in with them in your name\./,
};
for (const [hash, words] of Object.entries(empty)) {
    await page.goto(`${BASE}/ui/${hash}`);
    await page.getByText(words).first().waitFor();
    await settled(page);
    await everywhere(page, `first-run-${hash.replaceAll(/[^a-z]/g, "") || "machine"}`);
}
await page.goto(`${BASE}/ui/#/tasks?status=failed`);
await page.getByText("No task matches these filters.").waitFor();

// Without Docker the rest is there, and the reason in the place of the containers.
await page.goto(`${BASE}/ui/#/`);
await page.getByText(/Not measured:.*containers/).waitFor();
await page.getByText(/Containers: not measured\. .*\/no\/docker\.sock/).first().waitFor({ state: "attached" });
await page.locator(".tile").first().waitFor();
await everywhere(page, "machine-not-measured");

// Without a model the rules write, and say so.
await page.keyboard.press("n");
await page.getByText(/The rules wrote the text\./).waitFor({ timeout: 60_000 });
await page.getByText(/By the rules/).waitFor();

// Offline, what is known stays, with its age.
const { task_id } = await api("POST", "/api/v1/agents/hardware-optimizer/analyze", { use_model: false });
await ended(task_id);
await page.goto(`${BASE}/ui/#/tasks`);
await page.locator(".task-row").first().waitFor();
const rows = await page.locator(".task-row").count();
await context.setOffline(true);
await page.getByText(/This device is offline\. What you see is from \d\d:\d\d:\d\d\./).waitFor();
await page.getByText("Not live", { exact: true }).waitFor();
const dot = page.locator(".connection i");
assert.equal(await dot.evaluate((one) => getComputedStyle(one).backgroundColor), "rgba(0, 0, 0, 0)");
await everywhere(page, "offline");
assert.equal(await page.locator(".task-row").count(), rows);
await context.setOffline(false);
await page.getByText("This device is offline.").waitFor({ state: "detached" });
await page.getByText("Live", { exact: true }).waitFor();
assert.notEqual(await dot.evaluate((one) => getComputedStyle(one).backgroundColor), "rgba(0, 0, 0, 0)");
await finish();
