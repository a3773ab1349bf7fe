/** Preferences of this browser: theme, density, time zone, single keys. The only thing kept in `localStorage`. */
import { effect, signal } from "@preact/signals";
import type { Zone } from "./lib/time";

export interface Look {
    theme: "system" | "light" | "dark";
    density: "auto" | "compact" | "roomy";
    zone: Zone;
    singleKeys: boolean;
}

const KEY = "look";
const USUAL: Look = { theme: "system", density: "auto", zone: "local", singleKeys: true };

function stored(): Look {
    try {
        return { ...USUAL, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Look>) };
    } catch {
        return USUAL;
    }
}

export const look = signal<Look>(stored());

export function setLook(changes: Partial<Look>): void {
    look.value = { ...look.value, ...changes };
    try {
        localStorage.setItem(KEY, JSON.stringify(look.value));
    } catch {
        // A browser without storage keeps the choice for this page only.
    }
}

export function startLook(): void {
    effect(() => {
        const root = document.documentElement;
        root.dataset["theme"] = look.value.theme;
        root.dataset["density"] = look.value.density;
    });
    // Paper is white; the charts are drawn again in its colors.
    addEventListener("beforeprint", () => {
        document.documentElement.dataset["theme"] = "light";
    });
    addEventListener("afterprint", () => {
        document.documentElement.dataset["theme"] = look.value.theme;
    });
    addEventListener("storage", (event) => {
        if (event.key === KEY) look.value = stored();
    });
}
