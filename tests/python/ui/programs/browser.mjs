/** A real Chromium with guards: whatever a page logs, violates or requests from another host is a fault. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [, , work, base, ...rest] = process.argv;
const SCREENSHOTS = process.env.SUTAZAI_UI_SCREENSHOTS;
/** Name of this machine that only the browser knows; pages under it are no secure context. */
const OTHER_NAME = "office.test";
const require = createRequire(join(work, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** Address of the server as the browser uses it, without a slash at its end. */
export const BASE = base;
/** Address of the server as this program uses it. */
const API = base.replace(OTHER_NAME, "127.0.0.1");
/** Further arguments of the program. */
export const ARGUMENTS = rest;
export const PASSWORD = "correct horse battery";

export const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    // Root has no sandbox, and containers have little shared memory.
    args: ["--no-sandbox", "--disable-dev-shm-usage", `--host-resolver-rules=MAP ${OTHER_NAME} 127.0.0.1`],
});

/** Faults of all pages so far. */
export const faults = [];

/** Opens a window; `expected` matches the messages that a test provokes. */
export async function newWindow({ width = 1280, height = 900, expected, ...options } = {}) {
    const isPhone = width < 500;
    const context = await browser.newContext({
        viewport: { width, height },
        hasTouch: isPhone,
        isMobile: isPhone,
        permissions: ["clipboard-read", "clipboard-write"],
        ...options,
    });
    context.on("page", (page) => guard(page, expected));
    return context;
}

/** Writes a screenshot into the folder that the tests name. */
export async function picture(page, name, options = {}) {
    mkdirSync(SCREENSHOTS, { recursive: true });
    await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), ...options });
}

/** Sizes of the windows in which pages are judged. */
export const SIZES = [
    [1280, 900],
    [360, 780],
];

/** Judges a state of a page in both themes and sizes, and writes a screenshot of each. */
export async function everywhere(page, name) {
    const before = page.viewportSize();
    const protocol = await page.context().newCDPSession(page);
    for (const [width, height] of SIZES) {
        await protocol.send("Emulation.setTouchEmulationEnabled", { enabled: width < 500 });
        await page.setViewportSize({ width, height });
        for (const colorScheme of ["light", "dark"]) {
            await page.emulateMedia({ colorScheme });
            // Colors change within 120 ms.
            await page.waitForFunction(() => document.getAnimations().every(({ playState }) => playState !== "running"));
            await picture(page, `${name}-${colorScheme}-${width}`);
            for (const found of await violations(page)) faults.push(`${name}-${colorScheme}-${width}: ${found}`);
        }
        if ((await overflow(page)) > 0) faults.push(`${name}: ${await overflow(page)} px wider than a window of ${width} px`);
    }
    await protocol.send("Emulation.setTouchEmulationEnabled", { enabled: false });
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(before);
    await protocol.detach();
}

/** Counts the requests to the API of a window; event streams, which stay open, are counted apart. */
export function counter(context) {
    const seen = { requests: [], streams: [] };
    context.on("request", (request) => {
        const path = request.url().slice(BASE.length);
        if (!/^\/(api|health)/.test(path)) return;
        const isStream = /\/(events|stream)(\?|$)/.test(path);
        seen[isStream ? "streams" : "requests"].push(`${request.method()} ${path}`);
    });
    return seen;
}

function guard(page, expected) {
    page.on("console", (message) => {
        if (message.type() !== "log" && !expected?.test(message.text())) faults.push(message.text());
    });
    page.on("pageerror", (error) => faults.push(String(error.stack)));
    page.on("request", (request) => {
        const url = request.url();
        if (!url.startsWith(`${BASE}/`) && !/^(data|blob|about):/.test(url)) faults.push(`requests ${url}`);
    });
}

export async function go(page, hash) {
    await page.goto(`${BASE}/ui/${hash}`);
    await page.locator("main, .entrance").first().waitFor();
}

export async function signIn(page, name = "root_1") {
    await go(page, "#/sign-in");
    await page.getByLabel("User name or e-mail address").fill(name);
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("navigation", { name: "Pages" }).first().waitFor();
}

/** Waits until a page is complete: nothing loads, and its live connection stands. */
export async function settled(page) {
    await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
    await page.waitForTimeout(400);
}

/** Signs a user in for this program and returns the token. */
async function tokenOf(login) {
    const answer = await fetch(`${API}/api/v1/auth/login`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ login, password: PASSWORD }),
    });
    return (await answer.json()).data.access_token;
}

/** Calls the API as a user; the token comes from a sign-in of its own. */
export async function apiAs(login, method, path, body) {
    const isForm = body instanceof FormData;
    const answer = await fetch(`${API}${path}`, {
        method,
        headers: {
            Authorization: `Bearer ${await tokenOf(login)}`,
            ...(isForm ? {} : { "Content-Type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
    });
    assert(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`);
    return (await answer.json()).data;
}

/** Calls the API as the admin of the tests. */
export const api = (method, path, body) => apiAs("root_1", method, path, body);

/** Waits until a task of a user has ended and returns it. */
export async function ended(id, login = "root_1") {
    for (let round = 0; round < 600; round += 1) {
        const task = await apiAs(login, "GET", `/api/v1/tasks/${id}`);
        if (["completed", "failed", "cancelled"].includes(task.status)) return task;
        await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new Error(`task ${id} does not end`);
}

/** Returns what axe-core finds: violations, and text whose contrast it cannot judge. */
export async function violations(page) {
    // The policy of the page forbids scripts of others, but not the debugger.
    await page.evaluate(axe);
    return page.evaluate(async () => {
        const tags = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"];
        const { violations, incomplete } = await window.axe.run(document, { runOnly: tags });
        // A box that scrolls clips what it holds, and a marked word covers a part of its line; a reader sees both.
        const isClipped = (element) =>
            element !== null &&
            ((getComputedStyle(element).overflow !== "visible" &&
                (element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight)) ||
                isClipped(element.parentElement));
        // A menu or a bar lies over a part of the page.
        const menus = [...document.querySelectorAll("[role=menu]")].map((menu) => menu.getBoundingClientRect());
        const isUnderMenu = ({ left, right, top, bottom }) =>
            menus.some((menu) => menu.left < right && left < menu.right && menu.top < bottom && top < menu.bottom);
        const isCovered = ({ any, target }) =>
            any.some(({ data }) => /obscur|overlap/i.test(data?.messageKey ?? "")) ||
            isUnderMenu(document.querySelector(target[0]).getBoundingClientRect());
        const isSeen = (node) => {
            const element = document.querySelector(node.target[0]);
            return element.querySelector("mark") !== null || isClipped(element) || isCovered(node);
        };
        const unsure = incomplete
            .filter((one) => one.id === "color-contrast")
            .map((one) => ({ ...one, nodes: one.nodes.filter((node) => !isSeen(node)) }))
            .filter((one) => one.nodes.length > 0);
        return [...violations, ...unsure].map(
            ({ id, nodes }) => `${id}: ${nodes.length} times, first ${nodes[0].html.slice(0, 160)}`,
        );
    });
}

/** Returns the controls that are smaller than 24 pixels and not part of a text. */
export function smallTargets(page) {
    return page.evaluate(() => {
        const controls = document.querySelectorAll("a, button, input, select, summary, [tabindex='0']");
        const isSmall = (control) => {
            const inText = getComputedStyle(control).display === "inline";
            const box = (control.closest("label") ?? control).getBoundingClientRect();
            const hidden = !control.checkVisibility() || control.closest(".unseen") || box.width === 0;
            // A check box in a row has the row's height around it.
            const spaced = control.matches("[type=checkbox], [type=radio]");
            return !inText && !hidden && !spaced && (box.width < 24 || box.height < 24);
        };
        return [...controls].filter(isSmall).map((control) => control.outerHTML.slice(0, 120));
    });
}

/** Returns by how many pixels the page is wider than its window. */
export function overflow(page) {
    return page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
}

/** Returns why the focus cannot be seen, or `undefined` if it can. */
export function focusFault(page) {
    return page.evaluate(() => {
        const focused = document.activeElement;
        if (!focused || focused === document.body) return "the focus is lost";
        // The page itself takes the focus when it opens, as after a link.
        if (focused.id === "main") return undefined;
        const name = focused.outerHTML.slice(0, 140);
        const drawn = [focused, focused.closest("label"), focused.closest("tr")].filter(Boolean).map(getComputedStyle);
        if (drawn.every((style) => style.outlineStyle === "none" && style.boxShadow === "none")) return `unseen: ${name}`;
        const box = (focused.closest("label") ?? focused).getBoundingClientRect();
        const isIn = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
        return isIn ? undefined : `outside of the window: ${name}`;
    });
}

/** Ends the program: with 1 and the faults if there were any. */
export async function finish() {
    await browser.close();
    assert.deepEqual(faults, []);
}
