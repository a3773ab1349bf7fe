/** Answers of the model that are being written; they go on when another page is opened. */
import { signal } from "@preact/signals";
import { change, forget } from "./cache";
import { openStream } from "./client";
import { Failure } from "./failure";
import { readEvents } from "./sse";
import type { Message } from "./types";

const SILENCE_MS = 60_000;

export interface Answer {
    conversation: string;
    /** What the user wrote; `undefined` if the model is asked again about a stored message. */
    said: string | undefined;
    text: string;
    pieces: number;
    state: "waiting" | "writing" | "cut" | "failed";
    failure: Failure | undefined;
}

export interface Talk {
    conversation: { id: string; title: string; model?: string | null };
    messages: Message[];
}

export const answers = signal<ReadonlyMap<string, Answer>>(new Map());
const stops = new Map<string, AbortController>();

function set(conversation: string, changes: Partial<Answer> | undefined): void {
    const next = new Map(answers.value);
    const old = next.get(conversation);
    if (changes === undefined) next.delete(conversation);
    else if (old) next.set(conversation, { ...old, ...changes });
    answers.value = next;
}

export function isWriting(): boolean {
    return [...answers.value.values()].some(({ state }) => state === "waiting" || state === "writing");
}

/** Sends a message and follows the answer. */
export function ask(conversation: string, said: string): Promise<void> {
    return followAnswer(conversation, said, "messages", { content: said });
}

/** Asks the model again about the latest message of the user, and follows the answer. */
export function askAgain(conversation: string): Promise<void> {
    return followAnswer(conversation, undefined, "answer", {});
}

async function followAnswer(
    conversation: string,
    said: string | undefined,
    path: string,
    body: Record<string, string>,
): Promise<void> {
    const abort = new AbortController();
    stops.set(conversation, abort);
    const begun: Answer = { conversation, said, text: "", pieces: 0, state: "waiting", failure: undefined };
    answers.value = new Map(answers.value).set(conversation, begun);
    let isDone = false;
    try {
        const response = await openStream(`/api/v1/conversations/${conversation}/${path}`, {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body: JSON.stringify(body),
            signal: abort.signal,
        });
        await readEvents(response, SILENCE_MS, (event) => {
            const data = JSON.parse(event.data) as { text?: string; message?: unknown };
            if (event.event === "text") {
                const now = answers.value.get(conversation);
                set(conversation, {
                    state: "writing",
                    text: (now?.text ?? "") + (data.text ?? ""),
                    pieces: (now?.pieces ?? 0) + 1,
                });
            } else if (event.event === "done") {
                isDone = true;
                settle(conversation, said, data.message as Message);
            } else if (event.event === "error") {
                throw Failure.from(503, { error: data });
            }
        });
        if (!isDone) set(conversation, { state: "cut" });
    } catch (error) {
        const failure = abort.signal.aborted ? undefined : Failure.of(error);
        const written = (answers.value.get(conversation)?.text ?? "") !== "";
        set(conversation, { state: failure && !written ? "failed" : "cut", failure });
    } finally {
        abort.abort();
        stops.delete(conversation);
        forget("conversations");
    }
}

/** Returns whether the last message of a conversation is this one of the user, so that it is stored already. */
export function endsWith(talk: Talk, said: string): boolean {
    const last = talk.messages.at(-1);
    return last?.role === "user" && last.content === said;
}

function settle(conversation: string, said: string | undefined, message: Message): void {
    const mine = {
        ...message,
        id: `${message.id}-said`,
        role: "user",
        content: said,
        usage: null,
        cut: false,
    } as Message;
    change<Talk>(`talk/${conversation}`, (talk) => {
        // A conversation that was loaded meanwhile has the answer already.
        if (talk.messages.some(({ id }) => id === message.id)) return talk;
        const isNew = said !== undefined && !endsWith(talk, said);
        return { ...talk, messages: [...talk.messages, ...(isNew ? [mine] : []), message] };
    });
    set(conversation, undefined);
}

export function stop(conversation: string): void {
    stops.get(conversation)?.abort();
}

/** Forgets an answer that was cut off or failed. */
export function clear(conversation: string): void {
    set(conversation, undefined);
}

addEventListener("beforeunload", (event) => {
    // The answer would be cut off.
    if (isWriting()) event.preventDefault();
});
