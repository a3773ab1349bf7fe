/** Signs are told apart by shape and word: in forced colors, without the color that tritanopia takes, and on paper.
With reduced motion nothing moves by itself. */
import assert from "node:assert/strict";
import { ARGUMENTS, BASE, browser, finish, newWindow, settled, signIn } from "./browser.mjs";

const PAGES = JSON.parse(ARGUMENTS[0]);
const WORDS = {
    critical: "Critical",
    warning: "Warning",
    info: "Info",
    missing: "Not measured",
    pending: "Pending",
    completed: "Completed",
    failed: "Failed",
    cancelled: "Cancelled",
};
/** Share of the pixels in which two signs differ at least. */
const MIN_DIFFERENCE = 0.08;

/** Draws a sign as a mask of 24 by 24 fields: which of them differ from the ground. */
const painter = await (await browser.newContext()).newPage();
async function mask(sign) {
    const bytes = await sign.screenshot();
    return painter.evaluate(async (text) => {
        const raw = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        const bitmap = await createImageBitmap(new Blob([raw]));
        const canvas = new OffscreenCanvas(24, 24).getContext("2d");
        canvas.drawImage(bitmap, 0, 0, 24, 24);
        const { data } = canvas.getImageData(0, 0, 24, 24);
        const gray = (at) => (data[at] + data[at + 1] + data[at + 2]) / 3;
        return Array.from({ length: 576 }, (_, field) => Math.abs(gray(field * 4) - gray(0)) > 40);
    }, bytes.toString("base64"));
}
const difference = (a, b) => a.filter((field, index) => field !== b[index]).length / a.length;

async function toldApart(context, label, prepare) {
    const page = await context.newPage();
    await signIn(page);
    await prepare(page);
    const masks = new Map();
    for (const hash of [PAGES.tasks, PAGES["analysis-rules"], PAGES.machine, PAGES["task-failed"]]) {
        await page.goto(`${BASE}/ui/${hash}`);
        await settled(page);
        for (const [kind, word] of Object.entries(WORDS)) {
            const sign = page.locator(`main svg.sign-${kind}`).first();
            if (masks.has(kind) || (await sign.count()) === 0) continue;
            // The word stands in the same part, or is the name of the sign.
            const said = await sign.evaluate((one) => {
                const part = one.closest("li, tr, p, h2, summary, .count, .unmeasured, .notice, .priority");
                return `${one.getAttribute("aria-label") ?? ""} ${part?.textContent ?? ""}`;
            });
            const count = { info: "note", missing: "not measured|Could not" }[kind];
            assert.match(said, new RegExp(`${word}${count ? `|${count}` : ""}`, "i"), `${label} ${kind}: ${said}`);
            await sign.scrollIntoViewIfNeeded();
            masks.set(kind, await mask(sign));
        }
    }
    assert(masks.size >= 5, `${label}: only ${[...masks.keys()]}`);
    for (const [a, one] of masks) {
        assert(one.includes(true), `${label}: ${a} is not drawn`);
        for (const [b, other] of masks) {
            if (a === b) continue;
            const differs = difference(one, other);
            assert(differs >= MIN_DIFFERENCE, `${label}: ${a} and ${b} differ in ${differs}`);
        }
    }
    await page.close();
}

const sharp = { deviceScaleFactor: 2 };
await toldApart(await newWindow({ ...sharp, forcedColors: "active" }), "forced colors", async () => {});
await toldApart(await newWindow({ ...sharp, colorScheme: "dark" }), "tritanopia", async (page) => {
    const protocol = await page.context().newCDPSession(page);
    await protocol.send("Emulation.setEmulatedVisionDeficiency", { type: "tritanopia" });
});
await toldApart(await newWindow(sharp), "print", (page) => page.emulateMedia({ media: "print" }));

const still = await newWindow({ reducedMotion: "reduce", expected: /404/ });
const page = await still.newPage();
await signIn(page);
for (const [name, hash] of Object.entries(PAGES)) {
    await page.goto(`${BASE}/ui/${hash}`);
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "Search and actions" }).waitFor();
    const moving = await page.evaluate(() =>
        document.getAnimations().filter(({ effect }) => !effect.target.closest(".progress")).length,
    );
    assert.equal(moving, 0, `${name}: ${moving} animations`);
    await page.keyboard.press("Escape");
}
await finish();
