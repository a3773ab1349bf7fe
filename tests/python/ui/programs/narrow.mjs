/** Narrow and zoomed windows scroll in one direction only. */
import assert from "node:assert/strict";
import { ARGUMENTS, BASE, finish, newWindow, overflow, settled, signIn } from "./browser.mjs";

const PAGES = JSON.parse(ARGUMENTS[0]);
const WINDOWS = {
    "320 px": { width: 320, height: 640 },
    // A window of 1280 by 900 at 200 %: half as many pixels of the style sheet, each drawn with four.
    "200 %": { width: 640, height: 450, deviceScaleFactor: 2 },
};

const problems = [];
for (const [label, window] of Object.entries(WINDOWS)) {
    const context = await newWindow({ ...window, expected: /404/ });
    const page = await context.newPage();
    await signIn(page);
    for (const [name, hash] of Object.entries(PAGES)) {
        await page.goto(`${BASE}/ui/${hash}`);
        await settled(page);
        await page.evaluate(() => {
            for (const one of document.querySelectorAll("main details")) one.open = true;
        });
        const over = await overflow(page);
        if (over > 0) problems.push(`${label} ${name}: ${over} px wider than the window`);
    }
    await context.close();
}
assert.deepEqual(problems, []);
await finish();
