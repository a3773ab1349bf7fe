/** What each page costs its reader: requests, and what is stored in the browser. */
import assert from "node:assert/strict";
import { ARGUMENTS, BASE, counter, finish, newWindow, settled, signIn } from "./browser.mjs";

const PAGES = JSON.parse(ARGUMENTS[0]);
const MAX_REQUESTS = 4;
const MINUTE_MS = 60_000;

const problems = [];
let most = 0;

// A page that is left open asks for nothing: its values arrive in the streams.
const quiet = await newWindow();
const machine = await quiet.newPage();
await signIn(machine);
await machine.goto(`${BASE}/ui/#/`);
await settled(machine);
const asked = counter(quiet);
const leftAlone = Date.now();

for (const size of [{ width: 1280, height: 900 }, { width: 360, height: 780 }]) {
    const context = await newWindow({ ...size, expected: /404/ });
    const page = await context.newPage();
    await signIn(page);
    await settled(page);
    const seen = counter(context);
    for (const [name, hash] of Object.entries(PAGES)) {
        seen.requests.length = 0;
        await page.goto(`${BASE}/ui/${hash}`);
        await settled(page);
        most = Math.max(most, seen.requests.length);
        if (seen.requests.length > MAX_REQUESTS) problems.push(`${name}: ${seen.requests.join(", ")}`);
    }
    await context.close();
}

console.log(`requests of a page: ${most}`);
await machine.waitForTimeout(Math.max(0, MINUTE_MS - (Date.now() - leftAlone)));
assert.deepEqual(asked.requests, []);

// The only thing that is kept is how the pages look.
await machine.goto(`${BASE}/ui/#/account`);
await machine.getByText("Dark", { exact: true }).click();
await machine.reload();
await settled(machine);
assert.equal(await machine.evaluate(() => document.documentElement.dataset.theme), "dark");
const kept = await machine.evaluate(() => ({ ...localStorage, ...sessionStorage }));
assert.deepEqual(Object.keys(kept), ["look"]);
assert(!/eyJ[A-Za-z0-9]|[0-9a-f]{32}/.test(JSON.stringify(kept) + machine.url()));
assert.deepEqual(problems, []);
await finish();
