/** Reads server-sent events from a response body (HTML, 9.2.6). */

export interface ServerEvent {
    id: string | undefined;
    event: string;
    data: string;
}

/** Splits a stream of text into events; a line may arrive in any number of pieces. */
export class EventParser {
    private rest = "";
    private id: string | undefined;
    private event = "";
    private data: string[] = [];

    /** Adds text and returns the events that it completes. An event without data carries its id only. */
    add(text: string): ServerEvent[] {
        const lines = (this.rest + text).split("\n");
        this.rest = lines.pop() ?? "";
        const events: ServerEvent[] = [];
        for (const raw of lines) {
            const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
            if (line === "") {
                if (this.id !== undefined || this.data.length > 0) {
                    events.push({ id: this.id, event: this.event || "message", data: this.data.join("\n") });
                }
                this.id = undefined;
                this.event = "";
                this.data = [];
            } else if (!line.startsWith(":")) {
                this.field(line);
            }
        }
        return events;
    }

    private field(line: string): void {
        const colon = line.indexOf(":");
        const name = colon === -1 ? line : line.slice(0, colon);
        const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (name === "id") this.id = value;
        else if (name === "event") this.event = value;
        else if (name === "data") this.data.push(value);
    }
}

/** Reads events until the stream ends; throws when `silence` milliseconds pass without a byte. */
export async function readEvents(
    response: Response,
    silence: number,
    receive: (event: ServerEvent) => void,
): Promise<void> {
    if (!response.body) return;
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    const parser = new EventParser();
    for (;;) {
        const { done, value } = await within(silence, reader.read(), () => void reader.cancel().catch(() => undefined));
        if (done) return;
        for (const event of parser.add(decoder.decode(value, { stream: true }))) receive(event);
    }
}

async function within<T>(ms: number, promise: Promise<T>, cancel: () => void): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
            // Before the cancellation, which would end the stream as if it were whole.
            reject(new Error(`no byte within ${ms} ms`));
            cancel();
        }, ms);
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}
