/** Session of the user: the refresh token is in a cookie that no script can read, the access token in memory. */
import { signal } from "@preact/signals";
import { api, BASE, data, useAccess } from "./client";
import { Failure } from "./failure";
import type { User } from "./types";

const ASK_OTHERS_MS = 120;
const RENEW_AT = 0.8;

export type Access =
    /** The server is asked whether there is a session. */
    | { kind: "unknown" }
    | { kind: "unreachable" }
    | { kind: "none"; needsAdmin: boolean; openRegistration: boolean }
    /** The server runs without users. */
    | { kind: "open" }
    | { kind: "in"; user: User }
    /** The session has ended while pages are open. */
    | { kind: "ended"; user: User };

interface Granted {
    user: User;
    access_token: string;
    expires_in: number;
}

type Shared = { kind: "ask" } | { kind: "granted"; granted: Granted; expiresAt: number } | { kind: "signed-out" };

export const access = signal<Access>({ kind: "unknown" });

let token: { text: string; granted: Granted; expiresAt: number } | undefined;
let renewal: Promise<boolean> | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;
let signedInAgain: ((again: boolean) => void)[] = [];

const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("sutazai-session") : undefined;

/** Signed-in user; `undefined` on a server without users. */
export function user(): User | undefined {
    const current = access.value;
    return current.kind === "in" || current.kind === "ended" ? current.user : undefined;
}

export function isAdmin(): boolean {
    return access.value.kind === "open" || user()?.role === "admin";
}

function take(granted: Granted, expiresAt: number): void {
    const before = user();
    if (before && before.id !== granted.user.id) {
        // Nothing of the other user may stay in memory.
        location.reload();
        return;
    }
    token = { text: granted.access_token, granted, expiresAt };
    access.value = { kind: "in", user: granted.user };
    clearTimeout(timer);
    const left = Math.max(0, expiresAt - Date.now());
    timer = setTimeout(() => void renew(token?.text), left * RENEW_AT);
    for (const resolve of signedInAgain) resolve(true);
    signedInAgain = [];
}

function share(message: Shared): void {
    channel?.postMessage(message);
}

function grant(granted: Granted): void {
    const expiresAt = Date.now() + granted.expires_in * 1000;
    take(granted, expiresAt);
    share({ kind: "granted", granted, expiresAt });
}

channel?.addEventListener("message", (event: MessageEvent<Shared>) => {
    const message = event.data;
    if (message.kind === "ask" && token) {
        share({ kind: "granted", granted: token.granted, expiresAt: token.expiresAt });
    } else if (message.kind === "granted" && message.granted.access_token !== token?.text) {
        take(message.granted, message.expiresAt);
    } else if (message.kind === "signed-out") {
        location.reload();
    }
});

/** Runs alone among all tabs where the browser has locks; elsewhere the server tolerates two renewals at once. */
async function alone<T>(work: () => Promise<T>): Promise<T> {
    return navigator.locks ? await navigator.locks.request("sutazai-refresh", work) : await work();
}

async function post(path: string, body?: unknown): Promise<Response> {
    try {
        return await fetch(`${BASE}/api/v1/auth/${path}`, {
            method: "POST",
            headers: {
                "X-Session": "cookie",
                ...(body === undefined ? {} : { "Content-Type": "application/json" }),
                ...(path.startsWith("logout") && token ? { Authorization: `Bearer ${token.text}` } : {}),
            },
            ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
    } catch {
        throw Failure.unreachable();
    }
}

async function answered(response: Response): Promise<Granted> {
    const body = await response.json().catch(() => undefined);
    if (!response.ok) throw Failure.from(response.status, body);
    return (body as { data: Granted }).data;
}

/** Renews the access token once for all callers; false means that there is no session. */
async function refresh(refused: string | undefined): Promise<boolean> {
    return alone(async () => {
        // Another tab may have renewed it while this one waited for the lock.
        if (token && token.text !== refused) return true;
        const response = await post("refresh");
        if (response.status === 204 || response.status === 401) return false;
        grant(await answered(response));
        return true;
    });
}

async function renew(refused: string | undefined): Promise<boolean> {
    renewal ??= refresh(refused).finally(() => {
        renewal = undefined;
    });
    if (await renewal) return true;
    const current = user();
    if (!current) return false;
    access.value = { kind: "ended", user: current };
    return new Promise((resolve) => signedInAgain.push(resolve));
}

/** Finds out who is signed in: asks the other tabs first, then the server. */
export async function begin(): Promise<void> {
    useAccess({ token: () => token?.text, renew });
    access.value = { kind: "unknown" };
    try {
        share({ kind: "ask" });
        if (channel) await new Promise((resolve) => setTimeout(resolve, ASK_OTHERS_MS));
        if (token) return;
        const setup = await data(api.GET("/api/v1/setup"));
        if (!setup.users) {
            access.value = { kind: "open" };
            return;
        }
        const inside = !setup.needs_admin && (await refresh(undefined));
        if (!inside) {
            access.value = { kind: "none", needsAdmin: setup.needs_admin, openRegistration: setup.open_registration };
        }
    } catch (error) {
        if (Failure.of(error).status === 0) access.value = { kind: "unreachable" };
        else throw error;
    }
}

export async function signIn(login: string, password: string): Promise<void> {
    grant(await answered(await post("login", { login, password })));
}

export async function register(account: {
    username: string;
    email: string;
    password: string;
    invitation?: string;
}): Promise<void> {
    grant(await answered(await post("register", account)));
}

export async function setUp(code: string, account: { username: string; email: string; password: string }) {
    await data(api.POST("/api/v1/setup", { body: { code, ...account } }));
    await signIn(account.username, account.password);
}

export async function signOut(everywhere = false): Promise<void> {
    const response = await post(everywhere ? "logout-all" : "logout");
    // An ended session is signed out already.
    if (!response.ok && response.status !== 401) await answered(response);
    share({ kind: "signed-out" });
    token = undefined;
    location.hash = "#/sign-in";
    location.reload();
}
