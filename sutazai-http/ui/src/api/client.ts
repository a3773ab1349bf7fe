/** Calls the API: adds the access token, renews it once when it is refused, and waits when there were too many calls. */
import { signal } from "@preact/signals";
import createClient from "openapi-fetch";
import { Failure } from "./failure";
import type { paths } from "./schema";

/** Folder above `/ui/`, where the API is, also if the server is nested under a prefix. */
export const BASE = new URL("../", document.baseURI).href.replace(/\/$/, "");

const MAX_WAIT_SECONDS = 60;

/** Time at which calls go on after too many of them; `undefined` while there is no such wait. */
export const resumesAt = signal<number | undefined>();

/** Access to the session, set by `session.ts`; the client itself knows no sign-in. */
interface Access {
    token: () => string | undefined;
    /** Renews the token that was refused; resolves to false when the user gave up signing in again. */
    renew: (refused: string | undefined) => Promise<boolean>;
}

let access: Access = { token: () => undefined, renew: async () => false };

export function useAccess(given: Access): void {
    access = given;
}

/** Sends a request with the access token. A refused token is renewed and the request repeated. */
export async function send(request: Request): Promise<Response> {
    // A request can be sent once only, so the repetition is a copy made before.
    const again = request.clone();
    const token = access.token();
    const response = await attempt(request, token);
    if (response.status === 401 && (await access.renew(token))) return attempt(again, access.token());
    if (response.status === 429 && request.method === "GET") {
        const wait = Number(response.headers.get("Retry-After") ?? 1);
        if (wait <= MAX_WAIT_SECONDS) {
            await pause(wait);
            return send(again);
        }
    }
    return response;
}

async function attempt(request: Request, token: string | undefined): Promise<Response> {
    if (token) request.headers.set("Authorization", `Bearer ${token}`);
    try {
        return await fetch(request);
    } catch (error) {
        if (request.signal.aborted) throw error;
        throw Failure.unreachable();
    }
}

async function pause(seconds: number): Promise<void> {
    const until = Date.now() + seconds * 1000;
    resumesAt.value = Math.max(resumesAt.value ?? 0, until);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    if (resumesAt.value === until) resumesAt.value = undefined;
}

/** Names of series contain commas, so they are repeated; other lists are separated by commas. */
function querySerializer(query: Record<string, unknown>): string {
    const given = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
        if (value === undefined || value === null) continue;
        if (name === "series" && Array.isArray(value)) for (const one of value) given.append(name, String(one));
        else given.append(name, String(value));
    }
    return given.toString();
}

export const api = createClient<paths>({
    baseUrl: BASE,
    fetch: send,
    querySerializer,
});

interface Answer<T> {
    data?: { data: T } | undefined;
    error?: unknown;
    response: Response;
}

/** Returns the `data` of a response, or throws a `Failure`. */
export async function data<T>(answer: Promise<Answer<T>>): Promise<T> {
    const { data: envelope, error, response } = await answer;
    if (!response.ok) throw Failure.from(response.status, error);
    return (envelope as { data: T }).data;
}

/** Opens an event stream. */
export async function openStream(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { Accept: "text/event-stream", ...(init.headers ?? {}) };
    const response = await send(new Request(`${BASE}${path}`, { ...init, headers }));
    if (!response.ok) throw Failure.from(response.status, await response.json().catch(() => undefined));
    return response;
}

/** Uploads a form and reports the share that was sent; `fetch` reports none. */
export function upload(
    path: string,
    form: FormData,
    progress: (share: number) => void,
    abort: AbortSignal,
): Promise<unknown> {
    return new Promise((resolve, reject) => {
        const request = new XMLHttpRequest();
        request.open("POST", `${BASE}${path}`);
        const token = access.token();
        if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
        request.responseType = "json";
        request.upload.onprogress = (event) => progress(event.total > 0 ? event.loaded / event.total : 0);
        request.onload = () => {
            if (request.status < 300) resolve((request.response as { data: unknown }).data);
            else reject(Failure.from(request.status, request.response));
        };
        request.onerror = () => reject(Failure.unreachable());
        request.onabort = () => reject(new DOMException("aborted", "AbortError"));
        abort.addEventListener("abort", () => request.abort());
        request.send(form);
    });
}
