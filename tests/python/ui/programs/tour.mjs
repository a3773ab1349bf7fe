/** Guided tour: does on a new server what docs/tour.md describes, and takes its pictures. */
import { mkdirSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { apiAs, ARGUMENTS, BASE, ended, finish, newWindow, PASSWORD, settled } from "./browser.mjs";

const [code, folder, documents] = ARGUMENTS;
const USER = "ada";
const WEBP_QUALITY = 82;

mkdirSync(folder, { recursive: true });
const context = await newWindow({ width: 1280, height: 800, colorScheme: "light" });
const page = await context.newPage();
const api = (method, path, body) => apiAs(USER, method, path, body);

/** Writes what the window shows as WebP, which is a quarter of the size of PNG. */
async function take(window, name) {
    await settled(window);
    const protocol = await window.context().newCDPSession(window);
    const { data } = await protocol.send("Page.captureScreenshot", { format: "webp", quality: WEBP_QUALITY });
    writeFileSync(join(folder, `${name}.webp`), Buffer.from(data, "base64"));
    await protocol.detach();
}
const visit = async (hash) => {
    await page.goto(`${BASE}/ui/${hash}`);
    await settled(page);
};

// The first admin, and the first analysis.
await visit(`#/setup/${code}`);
await page.reload();
await page.getByLabel("User name").fill(USER);
await page.getByLabel("E-mail address").fill("ada@example.org");
await page.getByLabel("Password").fill(PASSWORD);
await take(page, "set-up");
await page.getByRole("button", { name: "Create admin and analyze this machine" }).click();
await page.getByRole("button", { name: "Analyze again" }).waitFor({ timeout: 120_000 });
const first = page.url().split("/").at(-1);
await take(page, "analysis");
const why = page.locator(".finding summary").first();
if (await why.count()) {
    await why.click();
    await why.scrollIntoViewIfNeeded();
    await page.locator("[data-finding]").first().evaluate((card) => card.scrollIntoView({ block: "start" }));
    await take(page, "evidence");
}
await page.evaluate(() => scrollTo(0, 0));
await page.getByRole("button", { name: "Analyze again" }).click();
await page.getByRole("heading", { name: "Values" }).waitFor({ timeout: 120_000 });
await take(page, "comparison");

// What there is to see in lists.
const agent = "hardware-optimizer";
const later = new Date(Date.now() + 3_600_000).toISOString();
await api("POST", "/api/v1/tasks", { agent, payload: {}, run_at: later, title: "Look again in an hour" });
const pull = { agent: "model-puller", payload: { model: "tinyllama" }, max_attempts: 1, title: "Fetch tinyllama" };
await ended((await api("POST", "/api/v1/tasks", pull)).id, USER);
const plan = { agent, name: "Morning look", cron: "30 7 * * MON-FRI", time_zone: "Europe/Berlin" };
await api("POST", "/api/v1/schedules", plan);
for (const name of ["queue.md", "reliability.md", "operations.md"]) {
    const form = new FormData();
    form.append("file", new Blob([await readFile(join(documents, name))]), name);
    await api("POST", "/api/v1/documents", form);
}

await visit("#/?range=1h");
await page.locator(".u-over").first().waitFor();
const over = await page.locator(".u-over").first().boundingBox();
await page.mouse.move(over.x + over.width * 0.9, over.y + over.height / 2);
await take(page, "machine");

// A task while it runs.
await visit("#/tasks");
await page.locator(".task-row").first().waitFor();
const running = await api("POST", "/api/v1/agents/hardware-optimizer/analyze", { use_model: true });
// Without a model the task may have ended already.
await page
    .locator(".task-row .progress")
    .first()
    .waitFor({ timeout: 5_000 })
    .catch(() => {});
await take(page, "tasks");
await visit(`#/tasks/${running.task_id}`);
await page.locator(".sign-completed").first().waitFor({ timeout: 120_000 });
await take(page, "task");

await visit("#/schedules");
await page.getByRole("button", { name: "New schedule" }).click();
await page.getByRole("textbox", { name: "Name" }).fill("Every night");
await page.getByLabel("When", { exact: true }).selectOption("every night at 3:00");
await page.locator(".next-times li").nth(2).waitFor();
await take(page, "schedule");
await page.keyboard.press("Escape");

await visit("#/documents?q=lease%20heartbeat");
await page.locator("mark").first().waitFor();
await take(page, "documents");

await visit("#/chat/new");
await page.getByRole("textbox", { name: /^Message/ }).fill("What is a processor?");
await page.keyboard.press("Enter");
await page.locator(".message[aria-busy=true]").waitFor();
await page.locator(".message[aria-busy=true]").waitFor({ state: "detached", timeout: 120_000 });
await take(page, "chat");

await visit("#/admin");
await page.locator(".checks li").first().waitFor();
await take(page, "admin");

// The same on a phone, in dark colors.
const pocket = await newWindow({
    width: 390,
    height: 780,
    colorScheme: "dark",
    deviceScaleFactor: 2,
    storageState: await context.storageState(),
});
const phone = await pocket.newPage();
await phone.goto(`${BASE}/ui/#/analyses/${first}`);
await phone.getByRole("button", { name: "Analyze again" }).waitFor();
await take(phone, "phone");
await finish();
