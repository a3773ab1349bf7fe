/** A list of 10,000 tasks: all can be reached, few are in the document, and a filter finds the only one it fits. */
import assert from "node:assert/strict";
import { ARGUMENTS, finish, go, newWindow, settled, signIn } from "./browser.mjs";

const total = Number(ARGUMENTS[0]);
const MAX_NODES = 1500;

const context = await newWindow();
const page = await context.newPage();
await signIn(page);
await go(page, "#/tasks");
await page.locator(".task-row").first().waitFor();
const nodes = () => page.evaluate(() => document.querySelectorAll("*").length);
const last = page.getByRole("link", { name: `Filled ${total}`, exact: true });
const height = () => page.evaluate(() => document.documentElement.scrollHeight);
const scrollTo = (share) => page.evaluate((of) => scrollTo(0, document.documentElement.scrollHeight * of), share);

let most = 0;
while (!(await last.isVisible())) {
    const before = await height();
    await scrollTo(1);
    // More rows below, or the last one in view.
    await page.waitForFunction(
        ([old, name]) =>
            document.documentElement.scrollHeight > old || document.querySelector(".task-rows")?.textContent.includes(name),
        [before, `Filled ${total}`],
    );
    most = Math.max(most, await nodes());
}
await scrollTo(0.5);
await settled(page);
most = Math.max(most, await nodes());
console.log(`nodes of a list of ${total} tasks: ${most}`);
assert(most <= MAX_NODES, `${most} nodes`);

await page.evaluate(() => scrollTo(0, 0));
await page.getByRole("searchbox").fill("Filled 7777");
await page.waitForFunction(() => document.querySelectorAll(".task-row").length === 1);
await page.getByRole("link", { name: "Filled 7777", exact: true }).waitFor();
await finish();
