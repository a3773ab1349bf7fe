/** Follows the events of all tasks: one tab reads the stream and passes the events on to the others. */
import { signal } from "@preact/signals";
import { openStream } from "./client";
import { Failure } from "./failure";
import { readEvents } from "./sse";
import type { TaskEvent } from "./types";

const SILENCE_MS = 35_000;
/** With its jitter and a failed attempt, the page is live within 10 s after the server is back. */
const MAX_DELAY_MS = 6_000;

export type Live =
    | { kind: "connecting" }
    | { kind: "live" }
    /** The stream is lost; `since` is the time of the last sign of the server. */
    | { kind: "away"; since: number; retryAt: number };

type Shared =
    | { kind: "state"; state: Live; last: string | undefined }
    | { kind: "event"; event: TaskEvent; id: string | undefined }
    | { kind: "reset" }
    | { kind: "hello" };

export const live = signal<Live>({ kind: "connecting" });

/** Whether the device has a network; the stream may take half a minute to notice that it has none. */
export const online = signal(navigator.onLine);
for (const change of ["online", "offline"]) {
    addEventListener(change, () => {
        online.value = navigator.onLine;
    });
}

const followers = new Set<(event: TaskEvent) => void>();
const resets = new Set<() => void>();
const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("sutazai-live") : undefined;

let last: string | undefined;
let leads = false;
let retry: (() => void) | undefined;
let heard = Date.now();

/** Calls `receive` with each event; returns a function that ends this. */
export function follow(receive: (event: TaskEvent) => void): () => void {
    followers.add(receive);
    return () => followers.delete(receive);
}

/** Calls `restart` when events may have been missed, so that lists must be loaded again. */
export function onReset(restart: () => void): () => void {
    resets.add(restart);
    return () => resets.delete(restart);
}

function set(state: Live): void {
    if (live.value.kind === "away" && state.kind === "connecting") return;
    live.value = state;
    if (leads) channel?.postMessage({ kind: "state", state, last } satisfies Shared);
}

function pass(event: TaskEvent): void {
    for (const receive of followers) receive(event);
}

function reset(): void {
    for (const restart of resets) restart();
}

channel?.addEventListener("message", (message: MessageEvent<Shared>) => {
    const shared = message.data;
    if (shared.kind === "hello") {
        if (leads) channel.postMessage({ kind: "state", state: live.value, last } satisfies Shared);
    } else if (!leads) {
        if (shared.kind === "state") {
            live.value = shared.state;
            last = shared.last ?? last;
        } else if (shared.kind === "event") {
            last = shared.id ?? last;
            pass(shared.event);
        } else {
            reset();
        }
    }
});

/** Tries again at once, instead of at the end of the wait. */
export function retryNow(): void {
    retry?.();
}

async function wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        retry = () => {
            clearTimeout(timer);
            resolve();
        };
    });
    retry = undefined;
}

async function read(abort: AbortSignal): Promise<void> {
    const headers: Record<string, string> = last === undefined ? {} : { "Last-Event-ID": last };
    const path = "/api/v1/events?types=status,progress,findings";
    const response = await openStream(path, { headers, signal: abort });
    heard = Date.now();
    set({ kind: "live" });
    await readEvents(response, SILENCE_MS, (event) => {
        heard = Date.now();
        last = event.id ?? last;
        if (event.data === "") return;
        const task = JSON.parse(event.data) as TaskEvent;
        pass(task);
        channel?.postMessage({ kind: "event", event: task, id: event.id } satisfies Shared);
    });
}

async function lead(abort: AbortSignal): Promise<void> {
    leads = true;
    let failures = 0;
    while (!abort.aborted) {
        let delay = 0;
        const before = heard;
        try {
            await read(abort);
        } catch (error) {
            const failure = Failure.of(error);
            if (failure.status === 409) {
                last = undefined;
                reset();
                channel?.postMessage({ kind: "reset" } satisfies Shared);
                continue;
            }
            if (failure.status === 401) return;
            delay = (failure.retryAfter ?? 0) * 1000;
        }
        if (abort.aborted) return;
        failures = heard > before ? 0 : failures + 1;
        const backoff = Math.min(MAX_DELAY_MS, 1000 * 2 ** failures);
        delay = Math.max(delay, backoff * (0.75 + Math.random() / 2));
        set({ kind: "away", since: heard, retryAt: Date.now() + delay });
        await wait(delay);
    }
}

/** Reads the stream in this tab as soon as no other does. Without locks each visible tab reads for itself. */
export function startLive(): void {
    addEventListener("online", retryNow);
    document.addEventListener("visibilitychange", () => {
        if (!document.hidden) retryNow();
    });
    if (navigator.locks) {
        channel?.postMessage({ kind: "hello" } satisfies Shared);
        void navigator.locks.request("sutazai-live", () => lead(new AbortController().signal));
        return;
    }
    let abort = new AbortController();
    const visible = () => {
        abort.abort();
        if (document.hidden) return;
        abort = new AbortController();
        void lead(abort.signal);
    };
    document.addEventListener("visibilitychange", visible);
    visible();
}
