/** Two users of one server: nothing of one appears in any page, feed, palette or link of the other. Their names for
things are hostile: markup, control signs, and as long as the server takes them. */
import assert from "node:assert/strict";
import { api, apiAs, BASE, ended, finish, go, newWindow, overflow, PASSWORD, settled, signIn } from "./browser.mjs";

const MARK = "Xyzzy";
const SPITE = `${MARK}<img src=x onerror=alert(1)><b>\u202e\u0007`;
const long = (size) => SPITE + "n".repeat(size - SPITE.length);

async function invite(username) {
    const { invitation } = await api("POST", "/api/v1/admin/invitations", { hours: 1 });
    const body = { username, email: `${username}@example.org`, password: PASSWORD, invitation };
    const answer = await fetch(`${BASE}/api/v1/auth/register`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
    });
    assert.equal(answer.status, 201, await answer.text());
}
await invite("mallory");
await invite("bob");
const mallory = (method, path, body) => apiAs("mallory", method, path, body);

/** The longest name of at most 500 characters that the server takes. */
async function longest(create) {
    for (const size of [500, 255, 200, 100]) {
        try {
            return await create(long(size));
        } catch (error) {
            if (size === 100 || !/422|400/.test(error.message)) throw error;
        }
    }
}

const agent = "hardware-optimizer";
const run_at = new Date(Date.now() + 3_600_000).toISOString();
const titled = await longest((title) => mallory("POST", "/api/v1/tasks", { agent, title, payload: {}, run_at }));
const plan = { agent, cron: "30 7 * * *", time_zone: "UTC" };
await longest((name) => mallory("POST", "/api/v1/schedules", { ...plan, name }));
const talk = await longest((title) => mallory("POST", "/api/v1/conversations", { title }));
// The names of keys are printable.
await longest((name) =>
    mallory("POST", "/api/v1/auth/api-keys", { name: name.replaceAll(/\p{C}/gu, ""), scopes: ["tasks:read"] }),
);
const paper = await longest((name) => {
    const form = new FormData();
    form.append("file", new Blob([`${MARK}<img src=x onerror=alert(1)> lease`]), `${name.replaceAll(/[\u0000-\u001f"]/g, "")}.txt`);
    return mallory("POST", "/api/v1/documents", form);
});
const { task_id } = await mallory("POST", "/api/v1/agents/hardware-optimizer/analyze", { use_model: false });
await ended(task_id);

const LISTS = ["#/", "#/analyses", "#/tasks", "#/schedules", "#/documents", "#/documents?q=lease", "#/chat", "#/models", "#/account"];
const LINKS = [`#/tasks/${titled.id}`, `#/tasks/${task_id}`, `#/analyses/${task_id}`, `#/documents/${paper.id}`, `#/chat/${talk.id}`];
const text = (page) => page.evaluate(() => document.body.innerText + document.title);

// Mallory sees her own names as plain text, on a desktop and a phone.
for (const size of [{ width: 1280, height: 900 }, { width: 360, height: 780 }]) {
    const own = await newWindow({ ...size, expected: /501/ });
    const page = await own.newPage();
    await signIn(page, "mallory");
    let seen = 0;
    for (const hash of [...LISTS, ...LINKS]) {
        await page.goto(`${BASE}/ui/${hash}`);
        await settled(page);
        if ((await text(page)).includes(MARK)) seen += 1;
        assert.equal(await page.locator("main img").count(), 0, hash);
        assert((await overflow(page)) <= 0, `${hash} is ${await overflow(page)} px too wide at ${size.width}`);
        assert(!/[\u0007\u202e]/.test(await text(page)), `${hash} shows control characters`);
    }
    assert(seen >= 8, `only ${seen} pages show her names`);
    await own.close();
}

// Bob sees nothing of it: in lists, by links, in the palette, in what arrives live.
// A request that is under way while bob signs out is answered with 401.
const context = await newWindow({ expected: /401|404|501/ });
const page = await context.newPage();
await signIn(page, "bob");
for (const hash of LISTS) {
    await page.goto(`${BASE}/ui/${hash}`);
    await settled(page);
    assert(!(await text(page)).includes(MARK), hash);
}
await page.goto(`${BASE}/ui/#/analyses`);
await page.getByText("Nothing has been analyzed yet.").waitFor();
for (const hash of LINKS) {
    await page.goto(`${BASE}/ui/${hash}`);
    await page.getByText(/There is no such .*, or it is not yours\./).waitFor();
    assert(!(await text(page)).includes(MARK), hash);
}
for (const words of [MARK, titled.id, task_id]) {
    await page.keyboard.press("Control+k");
    await page.keyboard.type(words);
    // The server is asked a moment after the last key.
    await page.waitForTimeout(2_000);
    await page.getByText("Nothing matches.").waitFor();
    await page.keyboard.press("Escape");
}
await page.goto(`${BASE}/ui/#/admin`);
await page.getByText("Only admins can see this. You are signed in as bob.").waitFor();

await go(page, "#/tasks");
await page.getByText("No tasks yet.").waitFor();
const later = await mallory("POST", "/api/v1/agents/hardware-optimizer/analyze", { use_model: false });
await ended(later.task_id);
const mine = await apiAs("bob", "POST", "/api/v1/agents/hardware-optimizer/analyze", { use_model: false });
await page.locator(`a[href="#/tasks/${mine.task_id}"]`).waitFor();
assert.equal(await page.locator(".task-row").count(), 1);

// Whoever signs in next in the same window starts with nothing of the one before.
await page.getByRole("button", { name: "bob" }).click();
await page.getByRole("menuitem", { name: "Sign out" }).click();
await page.getByRole("heading", { name: "Sign in" }).waitFor();
await signIn(page, "mallory");
await go(page, "#/tasks");
await page.locator(`a[href="#/tasks/${titled.id}"]`).waitFor();
assert.equal(await page.locator(`a[href="#/tasks/${mine.task_id}"]`).count(), 0);
await finish();
