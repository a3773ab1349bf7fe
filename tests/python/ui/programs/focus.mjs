/** Each page by the Tab key: every stop can be seen, and none is a trap. */
import assert from "node:assert/strict";
import { ARGUMENTS, BASE, finish, focusFault, newWindow, settled, signIn } from "./browser.mjs";

const PAGES = JSON.parse(ARGUMENTS[0]);
const MAX_STOPS = 150;

const context = await newWindow({ expected: /404/ });
const page = await context.newPage();
await signIn(page);
const problems = [];
for (const [name, hash] of Object.entries(PAGES)) {
    await page.goto("about:blank");
    await page.goto(`${BASE}/ui/${hash}`);
    await page.locator("main").waitFor();
    await settled(page);
    const stops = await page.evaluate(() => {
        const all = document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]");
        const groups = new Set();
        // A group of radio buttons is one stop.
        const isFirst = ({ type, name }) => type !== "radio" || (!groups.has(name) && groups.add(name));
        return [...all].filter((one) => one.tabIndex >= 0 && one.checkVisibility() && isFirst(one)).length;
    });
    let hasWrapped = false;
    for (let reached = 0; reached < Math.min(stops, MAX_STOPS); reached += 1) {
        await page.keyboard.press("Tab");
        const fault = await focusFault(page);
        // After the last stop the focus leaves the page once, for the controls of the browser.
        if (fault && !hasWrapped && (await page.evaluate(() => document.activeElement === document.body))) {
            hasWrapped = true;
            continue;
        }
        if (fault) {
            problems.push(`${name}, stop ${reached + 1} of ${stops}: ${fault}`);
            break;
        }
    }
}
assert.deepEqual(problems, []);
await finish();
