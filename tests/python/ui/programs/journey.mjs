/** The whole journey by keyboard alone: set up, analyze, open evidence, copy, retry, search, upload, chat, sign out. */
import assert from "node:assert/strict";
import { apiAs, ARGUMENTS, BASE, everywhere, finish, focusFault, newWindow, PASSWORD } from "./browser.mjs";

const [code] = ARGUMENTS;
/** Under another name the connection counts as not encrypted, and the pages say so. */
const NAMED = BASE.includes("office.test") ? "-not-encrypted" : "";
// The wrong password at the end is answered with 401.
const context = await newWindow({ expected: /401/ });
const page = await context.newPage();
const { keyboard } = page;
const focused = () => page.evaluate(() => document.activeElement?.outerHTML.slice(0, 100) ?? "");

/** Presses keys one after another, as `g t`; the focus is always somewhere, and can be seen. */
async function press(keys) {
    for (const key of keys.split(" ")) await keyboard.press(key);
    assert.equal(await focusFault(page), undefined, `after ${keys}`);
}

/** Types into the fields of a form, from the focused one on, and submits it. */
async function fill(...values) {
    for (const [index, value] of values.entries()) {
        if (index > 0) await press("Tab");
        await keyboard.type(value);
    }
    await press("Enter");
}

async function heading(name) {
    await page.getByRole("heading", { level: 1, name }).waitFor();
}

await page.goto(`${BASE}/`);
await page.getByRole("heading", { name: "This server has no admin yet" }).waitFor();
await everywhere(page, `no-admin${NAMED}`);
await page.goto(`${BASE}/ui/#/setup/${code}`);
await page.reload();
await page.getByLabel("User name").waitFor();
await everywhere(page, `set-up${NAMED}`);
// Over plain HTTP from another machine, browsers have no clipboard; there is no such page on this machine itself.
const isSecure = await page.evaluate(() => isSecureContext);
assert.equal(isSecure, NAMED === "");
await fill("ada", "ada@example.org", PASSWORD);

// The first analysis runs already.
const again = page.getByRole("button", { name: "Analyze again" });
await again.waitFor({ timeout: 60_000 });
await page.locator("[data-finding], .empty").first().waitFor();
const found = await page.locator("[data-finding]").count();
if (found > 0) {
    await press("j e");
    assert.match(await focused(), /evidence/);
    if ((await page.locator(".finding .command").count()) > 0) {
        await press("c");
        const command = await page.locator(".finding .command code").first().textContent();
        if (isSecure) {
            await page.getByText("Copied").first().waitFor();
            assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
        } else {
            assert.equal(await page.evaluate(() => getSelection().toString()), command);
        }
    }
    await page.locator(".finding summary").first().focus();
    await press("Enter");
    await page.getByText("written by").first().waitFor();
}

// The page follows a second analysis and ends in the comparison.
await page.locator("main").focus();
await press("n");
await page.getByRole("heading", { name: "Values" }).waitFor({ timeout: 60_000 });
assert.match(page.url(), /#\/analyses\/[0-9a-f-]{36}\.\.\.[0-9a-f-]{36}$/);

await press("g m");
await page.locator(".tile").first().waitFor();
await page.locator(".finding-line, .count").first().waitFor();
if (NAMED) await everywhere(page, `machine${NAMED}`);
await press("[ [");
await page.locator(".segments .on", { hasText: "1h" }).waitFor();

await press("g t");
await heading("Tasks");
await page.locator(".task-row").nth(1).waitFor();
await press("j x");
await page.getByText("1 selected").waitFor();
await press("Escape");
await press("/");
await keyboard.type("no such title");
await page.getByText("No task matches these filters.").waitFor();
await press("Escape");

// A task that failed runs again.
const pull = { agent: "model-puller", title: "Fetch", payload: { model: "tinyllama" }, max_attempts: 1 };
const { id } = await apiAs("ada", "POST", "/api/v1/tasks", pull);
await page.locator("main").focus();
await press("g m");
await press("g t");
await page.locator(".task-row", { hasText: "Fetch" }).getByText("Failed").waitFor();
await press("j Enter");
await heading("Failed Fetch");
assert(page.url().endsWith(id));
await press("n");
await page.getByText("attempt 2 of 2").or(page.getByText("attempt 1 of 1")).first().waitFor();
await page.locator(".timeline .words", { hasText: "Failed" }).nth(1).waitFor();

await page.locator("main").focus();
await press("g d");
await heading("Documents");
await page.locator("[data-primary]").waitFor();
let isChosen = false;
const chooser = page.waitForEvent("filechooser").finally(() => (isChosen = true));
// The page answers keys once its list is there.
for (let tries = 0; tries < 5 && !isChosen; tries += 1) {
    await press("n");
    await page.waitForTimeout(2_000);
}
const file = { name: "handbook.md", mimeType: "text/markdown", buffer: Buffer.from("# Leases\n\nA lease lasts 10 seconds.\n") };
const refused = { name: "report.pdf", mimeType: "application/pdf", buffer: Buffer.from("%PDF") };
await (await chooser).setFiles([file, refused]);
await page.getByText("PDF cannot be read yet").waitFor();
await page.getByRole("link", { name: "handbook" }).waitFor();
await page.locator("main").focus();
await press("/");
await keyboard.type("lease");
await page.locator("mark", { hasText: "lease" }).first().waitFor();

await page.locator("main").focus();
await press("g c");
await heading("Chat");
await press("n");
await page.getByRole("textbox", { name: /^Message/ }).waitFor();
await keyboard.type("Say yes.");
await press("Enter");
await page.locator(".message:not(.mine)").waitFor();
await page.locator(".message[aria-busy=true]").waitFor({ state: "detached", timeout: 60_000 });
assert((await page.locator(".message .rich").textContent()) !== "");
// The message stands there once, also if the conversation was loaded while the model wrote.
assert.equal(await page.locator(".message.mine").count(), 1);
await page.waitForURL(/#\/chat\/(?!new)/);
await page.reload();
await page.locator(".message.mine", { hasText: "Say yes." }).waitFor();

await page.locator("main").focus();
await press("?");
await page.getByRole("dialog", { name: "Keys" }).waitFor();
await press("Escape");
await press("Control+k");
await page.getByRole("combobox").waitFor();
await keyboard.type("sign out");
// The page is loaded anew, so there is no focus to look at yet.
await keyboard.press("Enter");
await page.getByRole("heading", { name: "Sign in" }).waitFor();
await page.locator("input[name=username]:focus").waitFor();
await fill("ada", "a wrong password");
await page.getByText("This name and password do not match.").waitFor();
await finish();
