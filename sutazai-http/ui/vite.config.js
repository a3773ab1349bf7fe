// Builds the pages of the web interface: relative addresses, hashed names, no inline script or style.
import { readFileSync } from "node:fs";
import { defineConfig } from "vite";
import { ICONS } from "./icons.js";

const VIRTUAL = "virtual:icons";

/** Provides the drawing instructions of the named icons only; the whole set is 1,800 icons. */
function icons() {
    return {
        name: "icons",
        resolveId: (id) => (id === VIRTUAL ? `\0${VIRTUAL}` : undefined),
        load(id) {
            if (id !== `\0${VIRTUAL}`) return undefined;
            const all = JSON.parse(readFileSync("node_modules/lucide-static/icon-nodes.json", "utf8"));
            const unknown = ICONS.filter((name) => !all[name]);
            if (unknown.length > 0) throw new Error(`lucide has no icon ${unknown.join(", ")}`);
            return `export default ${JSON.stringify(Object.fromEntries(ICONS.map((name) => [name, all[name]])))}`;
        },
    };
}

export default defineConfig({
    base: "./",
    plugins: [icons()],
    build: {
        target: ["chrome123", "firefox128", "safari17.5"],
        assetsInlineLimit: 0,
        modulePreload: { polyfill: false },
    },
    test: { include: ["tests/**/*.test.ts"], css: true },
});
