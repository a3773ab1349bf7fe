/** Account: sessions, API keys, look, password. */
import { useState } from "preact/hooks";
import { change, forget, isPending, useLoaded } from "../api/cache";
import { api, data } from "../api/client";
import { signOut, user } from "../api/session";
import type { ApiKey, Session } from "../api/types";
import { look, setLook } from "../look";
import { Confirm } from "../parts/dialog";
import { Check, Segments, TextField } from "../parts/field";
import { useForm } from "../parts/form";
import { KeyForm } from "../parts/key-form";
import { Name } from "../parts/name";
import { Failed, Loading } from "../parts/notice";
import { Ago } from "../parts/time";
import { useTitle } from "../parts/title";
import { attempt, later, say } from "../parts/toasts";
import { T } from "../texts";

function Look() {
    const { theme, density, zone, singleKeys } = look.value;
    return (
        <section aria-labelledby="look" class="card">
            <h2 id="look">{T.account.look}</h2>
            <div class="stack">
                <Segments
                    labeled
                    label={T.account.theme}
                    value={theme}
                    options={T.account.themes}
                    set={(next) => setLook({ theme: next })}
                />
                <Segments
                    labeled
                    label={T.account.density}
                    value={density}
                    options={T.account.densities}
                    set={(next) => setLook({ density: next })}
                />
                <Segments
                    labeled
                    label={T.account.zone}
                    value={zone}
                    options={T.account.zones}
                    set={(next) => setLook({ zone: next })}
                />
                <Check label={T.account.singleKeys} checked={singleKeys} set={(on) => setLook({ singleKeys: on })} />
            </div>
        </section>
    );
}

/** Sessions that are shown at first. */
const SHOWN = 5;

/** Names the browser and system of a session. */
function agentName(agent: string | null | undefined): string {
    if (!agent) return T.account.unknownClient;
    const browser = /(Firefox|Edg|Chrome|Safari|curl|python)[/ -]?([\d]+)?/i.exec(agent);
    const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(agent);
    const name = browser?.[1] === "Edg" ? "Edge" : browser?.[1];
    return name
        ? `${name}${browser?.[2] ? ` ${browser[2]}` : ""}${system ? `, ${system[1]}` : ""}`
        : agent.slice(0, 60);
}

function useSessions() {
    return useLoaded("sessions", () => data(api.GET("/api/v1/auth/sessions")));
}

function useKeys() {
    return useLoaded("keys", () => data(api.GET("/api/v1/auth/api-keys")));
}

function Sessions() {
    const loaded = useSessions();
    const [asks, setAsks] = useState(false);
    const [all, setAll] = useState(false);
    const end = (session: Session) => {
        change<{ items: Session[] }>("sessions", (list) => ({
            items: list.items.filter((one) => one.id !== session.id),
        }));
        const params = { path: { id: session.id } };
        void attempt(
            () => data(api.DELETE("/api/v1/auth/sessions/{id}", { params })),
            () => forget("sessions"),
        );
    };
    const items = loaded.value?.items;
    return (
        <section aria-labelledby="sessions" class="card">
            <div class="head">
                <h2 id="sessions">{T.account.sessions}</h2>
                <span class="space" />
                {items && items.length > 1 && (
                    <button type="button" class="button" onClick={() => setAsks(true)}>
                        {T.account.endAll}
                    </button>
                )}
            </div>
            {!items && loaded.failure && <Failed failure={loaded.failure} retry={loaded.reload} />}
            <ul class="list">
                {items?.slice(0, all ? items.length : SHOWN).map((session) => (
                    <li key={session.id} class="row wrap">
                        <span class="grow">
                            <Name text={agentName(session.user_agent)} />{" "}
                            {session.current && <span class="tag">{T.account.thisSession}</span>}
                            <br />
                            <span class="muted">
                                {T.account.used} <Ago at={session.last_used_at} /> · {T.account.since}{" "}
                                <Ago at={session.created_at} />
                            </span>
                        </span>
                        {!session.current && (
                            <button type="button" class="button" onClick={() => end(session)}>
                                {T.account.end}
                            </button>
                        )}
                    </li>
                ))}
            </ul>
            {items && items.length > SHOWN && !all && (
                <div>
                    <button type="button" class="button" onClick={() => setAll(true)}>
                        {T.account.moreSessions(items.length - SHOWN)}
                    </button>
                </div>
            )}
            {items?.length === 1 && <p class="muted">{T.account.onlySession}</p>}
            {asks && (
                <Confirm
                    title={T.account.endAll}
                    action={T.account.endAll}
                    run={() => void signOut(true)}
                    close={() => setAsks(false)}
                >
                    <p>{T.account.endAllMore(items?.length ?? 0)}</p>
                </Confirm>
            )}
        </section>
    );
}

function Keys() {
    const loaded = useKeys();
    const [isOpen, setOpen] = useState(false);
    const remove = (key: ApiKey) => {
        change<{ items: ApiKey[] }>("keys", (list) => ({ items: list.items.filter((one) => one.id !== key.id) }));
        const undo = () => forget("keys");
        const params = { path: { id: key.id } };
        later(
            T.account.keyDeleted,
            () => void attempt(() => data(api.DELETE("/api/v1/auth/api-keys/{id}", { params })), undo),
            undo,
        );
    };
    const items = loaded.value?.items;
    return (
        <section aria-labelledby="keys" class="card">
            <div class="head">
                <h2 id="keys">{T.account.keys}</h2>
                <span class="space" />
                <button type="button" class="button primary" data-primary onClick={() => setOpen(true)}>
                    {T.account.newKey}
                </button>
            </div>
            {!items && loaded.failure && <Failed failure={loaded.failure} retry={loaded.reload} />}
            {items?.length === 0 && <p class="muted">{T.account.noKeys}</p>}
            <ul class="list">
                {items?.map((key) => (
                    <li key={key.id} class="row wrap">
                        <span class="grow">
                            <b>
                                <Name text={key.name} />
                            </b>{" "}
                            <code>{key.prefix}…</code>
                            <br />
                            <span class="muted">{key.scopes.map((scope) => T.scopes[scope]).join(" ")}</span>
                            <br />
                            <span class="muted">
                                {key.last_used_at ? (
                                    <>
                                        {T.account.used} <Ago at={key.last_used_at} />
                                    </>
                                ) : (
                                    T.account.neverUsed
                                )}
                                {key.expires_at && (
                                    <>
                                        {" "}
                                        · {T.account.expires} <Ago at={key.expires_at} />
                                    </>
                                )}
                            </span>
                        </span>
                        <button type="button" class="button" onClick={() => remove(key)}>
                            {T.delete}
                        </button>
                    </li>
                ))}
            </ul>
            {isOpen && (
                <KeyForm
                    close={() => {
                        setOpen(false);
                        forget("keys");
                    }}
                />
            )}
        </section>
    );
}

function Password() {
    const [current, setCurrent] = useState("");
    const [next, setNext] = useState("");
    const form = useForm(async () => {
        const changed = await data(
            api.POST("/api/v1/auth/password", {
                body: { current_password: current, new_password: next, revoke_keys: true },
            }),
        );
        setCurrent("");
        setNext("");
        say(T.account.passwordChanged(changed.ended, changed.revoked_keys));
        forget("sessions");
        forget("keys");
    });
    return (
        <section aria-labelledby="password" class="card">
            <h2 id="password">{T.account.password}</h2>
            <form class="stack" onSubmit={form.submit}>
                <input type="text" autocomplete="username" value={user()?.username ?? ""} hidden readOnly />
                <TextField
                    label={T.account.currentPassword}
                    type="password"
                    autocomplete="current-password"
                    value={current}
                    set={setCurrent}
                    required
                    error={form.about("current_password")}
                />
                <TextField
                    label={T.account.newPassword}
                    hint={T.account.passwordHint}
                    type="password"
                    autocomplete="new-password"
                    value={next}
                    set={setNext}
                    minLength={8}
                    required
                    error={form.about("new_password") ?? form.about("password")}
                />
                {form.text && (
                    <p class="error" role="alert">
                        {form.text}
                    </p>
                )}
                <div>
                    <button type="submit" class="button" aria-disabled={form.busy}>
                        {T.account.changePassword}
                    </button>
                </div>
            </form>
        </section>
    );
}

/** Parts of a signed-in user. They are drawn once all are known, so that nothing moves afterwards. */
function Own() {
    if ([useSessions(), useKeys()].some(isPending)) return <Loading what={T.places.account} lines={12} />;
    return (
        <div class="two">
            <div class="stack">
                <Sessions />
                <Look />
            </div>
            <div class="stack">
                <Keys />
                <Password />
            </div>
        </div>
    );
}

export default function Account() {
    useTitle(T.places.account);
    const own = user();
    return (
        <div class="page">
            <div class="head">
                <h1>{T.places.account}</h1>
                {own && (
                    <span class="muted">
                        <Name text={own.username} /> · <Name text={own.email} /> · {T.users.roles[own.role]}
                    </span>
                )}
                <span class="space" />
                {own && (
                    <button type="button" class="button" onClick={() => void signOut()}>
                        {T.signOut}
                    </button>
                )}
            </div>
            {own ? <Own /> : <Look />}
        </div>
    );
}
