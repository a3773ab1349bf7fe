/** Layout shift of each page while it loads, on a desktop and a phone: at once, and when the first responses are the last
to arrive. A task that runs is followed until it has ended. */
import assert from "node:assert/strict";
import { api, ARGUMENTS, ended, finish, go, newWindow, settled, signIn, SIZES } from "./browser.mjs";

const PAGES = JSON.parse(ARGUMENTS[0]);
const MAX_SHIFT = 0.02;
/** Wait of the first response; each later one waits less. */
const SLOWEST_MS = 700;
const STEP_MS = 150;

const problems = [];
let largest = { name: "", sum: 0 };

/** Lets the responses of a page arrive in the opposite order of their requests. */
async function reversed(page) {
    let wait = 0;
    page.on("framenavigated", (frame) => {
        if (frame === page.mainFrame()) wait = SLOWEST_MS;
    });
    await page.route("**/api/v1/**", async (route) => {
        // Without a session there is no page yet.
        if (/\/(auth|setup)/.test(route.request().url())) return route.continue();
        const own = wait;
        wait = Math.max(0, wait - STEP_MS);
        await new Promise((resolve) => setTimeout(resolve, own));
        return route.continue().catch(() => {});
    });
}

/** Records each shift that no input explains, with the elements that moved. */
async function observed(context) {
    await context.addInitScript(() => {
        window.shifts = [];
        new PerformanceObserver((list) => {
            for (const { value, hadRecentInput, sources } of list.getEntries()) {
                const moved = sources.map(({ node, previousRect, currentRect }) => {
                    const name = (node?.nodeType === 1 ? node : node?.parentElement)?.outerHTML.slice(0, 80);
                    const place = ({ x, y, width, height }) => `${[x, y, width, height].map(Math.round)}`;
                    return `${name} from ${place(previousRect)} to ${place(currentRect)}`;
                });
                if (!hadRecentInput) window.shifts.push({ value, moved });
            }
        }).observe({ type: "layout-shift", buffered: true });
    });
}

async function judge(page, name) {
    // Shifts are reported with the next frame.
    const shifts = await page.evaluate(async () => {
        await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        return window.shifts;
    });
    const sum = shifts.reduce((all, { value }) => all + value, 0);
    if (sum > largest.sum) largest = { name, sum };
    if (sum > MAX_SHIFT) problems.push(`${name}: ${sum.toFixed(3)}\n  ${shifts.flatMap(({ moved }) => moved).join("\n  ")}`);
}

for (const [width, height] of SIZES) {
    for (const order of ["at once", "reversed"]) {
        const context = await newWindow({ width, height, expected: /404/ });
        await observed(context);
        const page = await context.newPage();
        if (order === "reversed") await reversed(page);
        for (const entrance of ["sign-in", "register"]) {
            await page.goto("about:blank");
            await go(page, `#/${entrance}`);
            await settled(page);
            await judge(page, `${width} ${order} ${entrance}`);
        }
        await signIn(page);
        for (const [name, hash] of Object.entries(PAGES)) {
            await page.goto("about:blank");
            await go(page, hash);
            await page.locator("main h1, main .empty").first().waitFor();
            await settled(page);
            await judge(page, `${width} ${order} ${name}`);
        }
        await context.close();
    }
    const context = await newWindow({ width, height });
    await observed(context);
    const page = await context.newPage();
    await signIn(page);
    for (const kind of ["tasks", "analyses"]) {
        await page.goto("about:blank");
        const { task_id } = await api("POST", "/api/v1/agents/hardware-optimizer/analyze", { use_model: true });
        await go(page, `#/${kind}/${task_id}`);
        await ended(task_id);
        await page.locator(kind === "tasks" ? ".sign-completed" : "[data-finding], .empty").first().waitFor();
        await settled(page);
        await judge(page, `${width} running ${kind}`);
    }
    await context.close();
}
console.log(`largest layout shift: ${largest.sum.toFixed(4)}, ${largest.name}`);
assert.equal(problems.join("\n"), "");
await finish();
