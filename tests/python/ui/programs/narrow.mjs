/** Narrow and zoomed windows scroll in one direction only, also when what was found has a long name without spaces. */
import assert from "node:assert/strict";
import { ARGUMENTS, BASE, finish, newWindow, overflow, settled, signIn } from "./browser.mjs";

const PAGES = JSON.parse(ARGUMENTS[0]);
const WINDOWS = {
    "320 px": { width: 320, height: 640 },
    // A window of 1280 by 900 at 200 %: half as many pixels of the style sheet, each drawn with four.
    "200 %": { width: 640, height: 450, deviceScaleFactor: 2 },
};

const LONG_NAME = `/docker/${"a580672e4f15a6e56af2865a5ce24659".repeat(4)}`;

/** Lengthens the names of what was found in the responses about tasks and in the events of ended ones. */
async function lengthen(route) {
    const response = await route.fetch();
    const body = await response.text();
    const long = body.replaceAll(/"(summary|resource|text)":"((?:[^"\\]|\\.)*)"/g, `"$1":"$2 ${LONG_NAME}"`);
    await route.fulfill({ response, body: long });
}

const problems = [];
for (const [label, window] of Object.entries(WINDOWS)) {
    const context = await newWindow({ ...window, expected: /404/ });
    await context.route(/\/api\/v1\/tasks\/[^/?]+(\/events)?$/, lengthen);
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
