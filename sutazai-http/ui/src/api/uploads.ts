/** Uploads of documents; they go on when another page is opened. */
import { signal } from "@preact/signals";
import { forget } from "./cache";
import { upload } from "./client";
import { Failure } from "./failure";

export interface Upload {
    id: number;
    name: string;
    share: number;
    failure: string | undefined;
    stop: () => void;
}

export const MAX_BYTES = 10 * 1024 * 1024;
const KINDS = ["txt", "text", "md", "markdown", "html", "htm"];

export const uploads = signal<Upload[]>([]);
let next = 0;

function edit(id: number, changes: Partial<Upload>): void {
    uploads.value = uploads.value.map((one) => (one.id === id ? { ...one, ...changes } : one));
}

export function dismiss(id: number): void {
    uploads.value = uploads.value.filter((one) => one.id !== id);
}

/** Judges a file before it is sent; returns the reason of a refusal. */
export function refusal(
    file: File,
    words: { kind: string; pdf: string; size: string; empty: string },
): string | undefined {
    const ending = file.name.split(".").at(-1)?.toLowerCase() ?? "";
    if (ending === "pdf") return words.pdf;
    if (!KINDS.includes(ending)) return words.kind;
    if (file.size > MAX_BYTES) return words.size;
    return file.size === 0 ? words.empty : undefined;
}

/** Sends a file, or shows why it is refused. */
export function send(file: File, refused: string | undefined): void {
    next += 1;
    const id = next;
    const abort = new AbortController();
    const stop = () => {
        abort.abort();
        dismiss(id);
    };
    uploads.value = [...uploads.value, { id, name: file.name, share: 0, failure: refused, stop }];
    if (refused) return;
    const form = new FormData();
    form.append("file", file);
    upload("/api/v1/documents", form, (share) => edit(id, { share }), abort.signal).then(
        () => {
            dismiss(id);
            forget("documents");
        },
        (error: unknown) => {
            if (!abort.signal.aborted) edit(id, { failure: Failure.of(error).message });
        },
    );
}
