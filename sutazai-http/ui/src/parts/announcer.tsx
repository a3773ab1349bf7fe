/** Tells screen readers what has changed, politely. */
import { signal } from "@preact/signals";

const spoken = signal("");

export function announce(text: string): void {
    // The same text twice would not be read again.
    spoken.value = spoken.value === text ? `${text}\u00a0` : text;
}

export function Announcer() {
    return (
        <div class="unseen" role="status" aria-live="polite">
            {spoken}
        </div>
    );
}
