/** Every page and state, in both themes and on a desktop and a phone: axe-core, targets, width, and a screenshot. */
import assert from "node:assert/strict";
import {
    ARGUMENTS,
    BASE,
    finish,
    go,
    newWindow,
    overflow,
    picture,
    settled,
    signIn,
    SIZES,
    smallTargets,
    violations,
} from "./browser.mjs";

const PAGES = JSON.parse(ARGUMENTS[0]);

/** Dialogs and states that need a step on their page. */
const STEPS = {
    palette: ["#/", async (page) => page.keyboard.press("Control+k")],
    keys: ["#/", async (page) => page.keyboard.press("?")],
    "schedule-form": ["#/schedules", async (page) => page.getByRole("button", { name: "New schedule" }).click()],
    "new-key": ["#/account", async (page) => page.getByRole("button", { name: "New API key" }).click()],
    invitation: ["#/admin/users", async (page) => page.getByRole("button", { name: "Invite" }).click()],
    "fetch-model": ["#/models", async (page) => page.getByRole("button", { name: "Fetch a model" }).click()],
    selection: ["#/tasks", async (page) => page.locator(".task-row input").first().check()],
    menu: [PAGES["analysis-rules"], async (page) => page.locator("main .head [data-menu]").click()],
    table: ["#/", async (page) => page.locator(".chart figcaption button").first().click()],
};

const problems = [];

async function judge(page, name, label) {
    await settled(page);
    // Everything that can be unfolded is part of the page.
    await page.evaluate(() => {
        for (const one of document.querySelectorAll("main details")) one.open = true;
    });
    for (const found of await violations(page)) problems.push(`${label} ${name}: ${found}`);
    for (const found of await smallTargets(page)) problems.push(`${label} ${name}: small ${found}`);
    const over = await overflow(page);
    if (over > 0) problems.push(`${label} ${name}: ${over} px wider than the window`);
    await picture(page, `${name}-${label}`);
}

/** Too many requests: the page waits as the server says, and goes on by itself. */
async function limited(page, label) {
    let refusals = 0;
    await page.route("**/api/v1/schedules*", async (route) => {
        refusals += 1;
        if (refusals > 1) return route.continue();
        const headers = { "Retry-After": "2", "Content-Type": "application/json" };
        return route.fulfill({ status: 429, headers, body: "{}" });
    });
    await page.goto("about:blank");
    await go(page, "#/schedules");
    await page.getByText("Too many requests.").waitFor();
    await picture(page, `rate-limited-${label}`);
    await page.getByRole("button", { name: "Morning look" }).first().waitFor();
    await page.getByText("Too many requests.").waitFor({ state: "detached" });
}

/** Paper has everything, in light colors. */
async function printed(page) {
    await page.goto(`${BASE}/ui/${PAGES["analysis-model"]}`);
    await page.getByRole("button", { name: "Analyze again" }).waitFor();
    await settled(page);
    await page.emulateMedia({ media: "print" });
    await picture(page, "print", { fullPage: true });
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(255, 255, 255)");
    assert.equal(await page.locator(".rail").isVisible(), false);
    const folded = await page.locator("main details > :not(summary)").evaluateAll(
        (parts) => parts.filter((part) => part.getBoundingClientRect().height === 0).length,
    );
    assert.equal(folded, 0);
    const sheets = (await page.pdf()).toString("latin1").match(/\/Type\s*\/Page\b/g) ?? [];
    assert(sheets.length > 0);
}

for (const [width, height] of SIZES) {
    for (const colorScheme of ["light", "dark"]) {
        const label = `${colorScheme}-${width}`;
        const context = await newWindow({ width, height, colorScheme, expected: /404|429|501/ });
        const page = await context.newPage();
        await go(page, "#/sign-in");
        await page.getByRole("button", { name: "Sign in" }).waitFor();
        await judge(page, "sign-in", label);
        await go(page, "#/register");
        await judge(page, "register", label);
        await signIn(page);
        for (const [name, hash] of Object.entries(PAGES)) {
            await page.goto(`${BASE}/ui/${hash}`);
            await judge(page, name, label);
            // Hostile names are text.
            assert.equal(await page.locator("main img").count(), 0);
        }
        for (const [name, [hash, step]] of Object.entries(STEPS)) {
            await page.goto(`${BASE}/ui/${hash}`);
            await settled(page);
            await step(page);
            await judge(page, name, label);
            await page.keyboard.press("Escape");
        }
        await limited(page, label);
        if (label === "dark-1280") await printed(page);
        await context.close();
    }
}
assert.deepEqual(problems, []);
await finish();
