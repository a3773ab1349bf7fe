/** Measures the pages: each value is the median of five rounds, with the processor slowed to a quarter unless said. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { api, ARGUMENTS, BASE, browser, ended, newWindow, PASSWORD, settled } from "../../tests/python/ui/programs/browser.mjs";

const [database] = ARGUMENTS;
const ROUNDS = 5;
const SLOWED = 4;
const TASKS = 10_000;
const SCROLLING_MS = 20_000;
const RESTING_MS = 20_000;
const PAGES = ["#/", "#/analyses", "#/tasks", "#/schedules", "#/documents", "#/models", "#/admin", "#/account"];

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];

/** Opens a window of a user who is signed in, with empty caches. */
async function signedIn(slowed = SLOWED) {
    const context = await newWindow();
    await context.addInitScript(() => {
        window.interactions = [];
        window.painted = 0;
        window.drawn = 0;
        const watch = (type, receive, options = {}) =>
            new PerformanceObserver((list) => list.getEntries().forEach(receive)).observe({ type, buffered: true, ...options });
        watch("event", (entry) => entry.interactionId && window.interactions.push(entry.duration), { durationThreshold: 16 });
        watch("largest-contentful-paint", (entry) => {
            window.painted = entry.startTime;
        });
        const { stroke } = CanvasRenderingContext2D.prototype;
        CanvasRenderingContext2D.prototype.stroke = function (...given) {
            window.drawn = performance.now();
            return stroke.apply(this, given);
        };
    });
    const headers = { "X-Session": "cookie", Origin: BASE };
    const data = { login: "root_1", password: PASSWORD };
    const answer = await context.request.post(`${BASE}/api/v1/auth/login`, { headers, data });
    if (!answer.ok()) throw new Error(await answer.text());
    const page = await context.newPage();
    const protocol = await context.newCDPSession(page);
    await protocol.send("Performance.enable");
    await protocol.send("Emulation.setCPUThrottlingRate", { rate: slowed });
    return { context, page, protocol };
}

async function open(page, hash) {
    await page.goto(`${BASE}/ui/${hash}`);
    await page.locator("main h1").first().waitFor();
    await settled(page);
}

async function firstPaint() {
    const { context, page } = await signedIn();
    await open(page, "#/");
    const painted = await page.evaluate(() => window.painted);
    await context.close();
    return painted;
}

/** A way through the pages with clicks and keys; returns the 98th percentile of its interactions. */
async function interactions() {
    const { context, page } = await signedIn();
    await open(page, "#/");
    for (const name of ["24h", "1h"]) await page.locator(".segments label", { hasText: name }).click();
    await page.locator(".tile").first().click();
    for (const name of ["Analyses", "Tasks", "Schedules", "Documents", "Models", "Admin", "Account", "Tasks"]) {
        await page.locator(".rail a", { hasText: name }).click();
        await settled(page);
    }
    await page.locator(".task-row input").first().click();
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await page.getByRole("searchbox").pressSequentially("filled 12", { delay: 60 });
    await settled(page);
    await page.keyboard.press("Control+k");
    await page.keyboard.type("analy", { delay: 60 });
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Escape");
    await page.locator(".rail a", { hasText: "Schedules" }).click();
    await page.getByRole("button", { name: "New schedule" }).click();
    await page.keyboard.type("Nightly", { delay: 60 });
    await page.keyboard.press("Escape");
    await page.waitForTimeout(500);
    const all = await page.evaluate(() => window.interactions);
    await context.close();
    return quantile(all, 0.98) ?? 16;
}

/** Switches between pages that are known; returns the longest time from the address to the painted page. */
async function switching() {
    const { context, page } = await signedIn();
    for (const hash of PAGES) await open(page, hash);
    const times = [];
    for (const hash of PAGES) {
        times.push(
            await page.evaluate(async (to) => {
                const before = document.querySelector("main h1");
                const begun = performance.now();
                location.hash = to;
                while (!document.querySelector("main h1") || document.querySelector("main h1") === before) {
                    await new Promise(requestAnimationFrame);
                }
                await new Promise(requestAnimationFrame);
                return performance.now() - begun;
            }, hash),
        );
        await settled(page);
    }
    await context.close();
    return Math.max(...times);
}

/** Loads all tasks into the list, then scrolls through it and filters it. */
async function longList() {
    const { context, page, protocol } = await signedIn(1);
    await open(page, "#/tasks");
    const last = page.getByRole("link", { name: `Filled ${TASKS}`, exact: true });
    while (!(await last.isVisible())) {
        await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
        await page.waitForTimeout(30);
    }
    await page.evaluate(() => scrollTo(0, 0));
    await settled(page);
    await protocol.send("Emulation.setCPUThrottlingRate", { rate: SLOWED });
    const scrolled = await page.evaluate(async (duration) => {
        const frames = [];
        const begun = performance.now();
        let before = begun;
        let nodes = 0;
        while (before - begun < duration) {
            scrollBy(0, 60);
            const now = await new Promise(requestAnimationFrame);
            frames.push(now - before);
            before = now;
            if (frames.length % 100 === 0) nodes = Math.max(nodes, document.querySelectorAll("*").length);
        }
        return { frames: frames.slice(1), nodes };
    }, SCROLLING_MS);
    await page.evaluate(() => scrollTo(0, 0));
    await settled(page);
    const filters = [];
    for (let round = 0; round < ROUNDS; round += 1) {
        filters.push(
            await page.evaluate(async (name) => {
                const begun = performance.now();
                location.hash = `#/tasks?q=${encodeURIComponent(name)}`;
                while (document.querySelector(".task-row .title")?.textContent !== name) {
                    await new Promise(requestAnimationFrame);
                }
                await new Promise(requestAnimationFrame);
                return performance.now() - begun;
            }, `Filled ${1234 + round * 1111}`),
        );
    }
    await context.close();
    return { nodes: scrolled.nodes, frame: quantile(scrolled.frames, 0.99), filter: median(filters) };
}

/** Draws a day in all charts, and moves the cursor over one of them. */
async function charts() {
    const { context, page, protocol } = await signedIn();
    await open(page, "#/?range=24h");
    await page.locator(".u-over").first().waitFor();
    const count = await page.locator(".u-over").count();
    const drawn = await page.evaluate(() => {
        const loaded = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/metrics/history"));
        return window.drawn - loaded.at(-1).responseEnd;
    });
    const busy = async () => {
        const { metrics } = await protocol.send("Performance.getMetrics");
        return metrics.find(({ name }) => name === "TaskDuration").value * 1000;
    };
    const before = await busy();
    const frames = await page.evaluate(async () => {
        const over = document.querySelector(".u-over");
        over.scrollIntoView({ block: "center" });
        const box = over.getBoundingClientRect();
        for (let step = 0; step < 120; step += 1) {
            const place = { bubbles: true, clientX: box.left + ((step * 3) % box.width), clientY: box.top + 20 };
            over.dispatchEvent(new MouseEvent(step === 0 ? "mouseenter" : "mousemove", place));
            await new Promise(requestAnimationFrame);
        }
        return 120;
    });
    const frame = ((await busy()) - before) / frames;
    await context.close();
    return { count, drawn, frame };
}

/** Milliseconds of script in each second of This machine at rest, at full speed. */
async function resting() {
    const { context, page, protocol } = await signedIn(1);
    await open(page, "#/");
    const script = async () => {
        const { metrics } = await protocol.send("Performance.getMetrics");
        return metrics.find(({ name }) => name === "ScriptDuration").value * 1000;
    };
    const before = await script();
    await page.waitForTimeout(RESTING_MS);
    const spent = ((await script()) - before) / (RESTING_MS / 1000);
    await context.close();
    return spent;
}

async function repeated(measure) {
    const values = [];
    for (let round = 0; round < ROUNDS; round += 1) values.push(await measure());
    return values;
}

const { task_id } = await api("POST", "/api/v1/agents/hardware-optimizer/analyze", { use_model: false });
await ended(task_id);
const filler = fileURLToPath(new URL("../../tests/python/ui/fill.py", import.meta.url));
for (const [what, count] of [["tasks", TASKS], ["metrics", 1440]]) {
    execFileSync("python3", [filler, database, what, String(count)], { stdio: "inherit" });
}

const rows = [];
const add = (what, bound, value, unit) => {
    const shown = value >= 100 ? value.toFixed(0) : value.toFixed(1);
    rows.push(`| ${what} | ${bound} ${unit} | ${shown} ${unit} | ${value <= bound ? "yes" : "no"} |`);
    console.error(rows.at(-1));
};
add("largest paint of This machine, empty cache, slowed", 1000, median(await repeated(firstPaint)), "ms");
add("interactions of a journey, 98th percentile, slowed", 100, median(await repeated(interactions)), "ms");
add("switching between known pages, the slowest, slowed", 100, median(await repeated(switching)), "ms");
const drawings = await repeated(charts);
add(`${drawings[0].count} charts with 24 h, from the response to the last line, slowed`, 150, median(drawings.map(({ drawn }) => drawn)), "ms");
add("cursor over the charts, work of a frame, slowed", 16, median(drawings.map(({ frame }) => frame)), "ms");
const list = await longList();
add("10,000 tasks: nodes in the document", 1500, list.nodes, "");
add("10,000 tasks: frames of 20 s of scrolling, 99th percentile, slowed", 34, list.frame, "ms");
add("10,000 tasks: from a new filter in the address to its first row, slowed", 200, list.filter, "ms");
add("This machine at rest: script in a second", 10, await resting(), "ms");
console.log(["| what | bound | measured | within |", "| --- | ---: | ---: | --- |", ...rows].join("\n"));
await browser.close();
