/** States that last for moments: what is uploaded or is written, a new key, and questions before an action. */
import assert from "node:assert/strict";
import { api, ended, everywhere, finish, go, newWindow, picture, signIn } from "./browser.mjs";

const STORY = "Write a long story about a ship, a storm and an island.";

const context = await newWindow({ expected: /ERR_FAILED|ERR_ABORTED/ });
const page = await context.newPage();
await signIn(page);

// Files on a slow line, and one that is refused.
await go(page, "#/documents");
await page.getByRole("button", { name: "Upload" }).waitFor();
const protocol = await context.newCDPSession(page);
const slow = { offline: false, latency: 20, downloadThroughput: -1, uploadThroughput: 40_000 };
await protocol.send("Network.enable");
await protocol.send("Network.emulateNetworkConditions", slow);
const text = "A lease lasts 10 seconds unless it is renewed by a heartbeat. ".repeat(20_000);
await page.locator("input[type=file]").setInputFiles([
    { name: "handbook.md", mimeType: "text/markdown", buffer: Buffer.from(text) },
    { name: "report.pdf", mimeType: "application/pdf", buffer: Buffer.from("%PDF") },
]);
await page.getByText("PDF cannot be read yet").waitFor();
await everywhere(page, "documents-uploading");
await page.getByRole("button", { name: "Stop uploading handbook.md" }).click();
await protocol.send("Network.emulateNetworkConditions", { ...slow, uploadThroughput: -1 });

// The parts around a passage unfold in their place.
const handbook = new FormData();
handbook.append("file", new Blob([text.slice(0, 8_000)]), "leases.md");
await api("POST", "/api/v1/documents", handbook);
await page.goto("about:blank");
await go(page, "#/documents?q=lease%20heartbeat");
await page.getByRole("button", { name: "Show the part before" }).first().click();
await page.locator(".passage .text.muted").waitFor();
await everywhere(page, "documents-unfolded");

// An answer while it is written, and one that was stopped.
await go(page, "#/chat/new");
await page.getByRole("textbox", { name: /^Message/ }).fill(STORY);
await page.keyboard.press("Enter");
await page.getByText("· writing").waitFor({ timeout: 60_000 });
await everywhere(page, "chat-writing");
await page.getByRole("button", { name: "Stop" }).click();
await page.getByText("Cut off:").first().waitFor();
await everywhere(page, "chat-cut");

// A key is shown once.
await go(page, "#/account");
await page.getByRole("button", { name: "New API key" }).click();
await page.getByRole("textbox", { name: "Name" }).fill("Dashboard");
await page.getByRole("button", { name: "Create key" }).click();
await page.getByText("This is the only time that the key is shown.").waitFor();
await everywhere(page, "account-key-created");
await page.getByRole("button", { name: "I have noted it" }).click();
await page.getByText("never used").waitFor();
await everywhere(page, "account-with-key");

// A second user, and the question before they are disabled.
await go(page, "#/admin/users");
await page.getByRole("button", { name: "Add user" }).click();
await everywhere(page, "user-form");
await page.keyboard.press("Escape");
await api("POST", "/api/v1/admin/users", {
    username: "grace",
    email: "grace@example.org",
    password: "correct horse battery",
    role: "user",
});
await page.reload();
await page.getByRole("button", { name: "Actions of grace" }).click();
await everywhere(page, "user-menu");
await page.getByRole("menuitem", { name: "Disable" }).click();
await page.getByRole("dialog", { name: "Disable grace?" }).waitFor();
await everywhere(page, "user-disable");
await page.getByRole("button", { name: "Disable" }).click();
await page.getByText("disabled", { exact: true }).waitFor();

// Deleting can be undone for some seconds.
const { task_id } = await api("POST", "/api/v1/agents/hardware-optimizer/analyze", { use_model: false });
await ended(task_id);
await go(page, "#/tasks");
await page.locator(".task-row input").first().check();
await page.getByRole("button", { name: "Delete 1" }).click();
await page.getByRole("button", { name: "Undo" }).waitFor();
await picture(page, "tasks-deleted");
const rows = await page.locator(".task-row").count();
await page.getByRole("button", { name: "Undo" }).click();
await page.waitForFunction((count) => document.querySelectorAll(".task-row").length > count, rows);
assert.equal(await page.locator(".task-row").count(), rows + 1);
await finish();
