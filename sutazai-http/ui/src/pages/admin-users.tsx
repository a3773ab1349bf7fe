/** Users of the server and invitations. */
import { useEffect, useState } from "preact/hooks";
import { change, forget } from "../api/cache";
import { api, BASE, data } from "../api/client";
import { type Listing, useListing } from "../api/listing";
import { user } from "../api/session";
import type { ManagedUser } from "../api/types";
import { Copy } from "../parts/copy";
import { Confirm, Dialog } from "../parts/dialog";
import { Search } from "../parts/field";
import { Menu } from "../parts/menu";
import { More } from "../parts/more";
import { Name } from "../parts/name";
import { NewPassword, NewUser } from "../parts/new-user";
import { Empty, Failed, Loading } from "../parts/notice";
import { Ago } from "../parts/time";
import { attempt, say } from "../parts/toasts";
import { useTypedQuery } from "../parts/typed-query";
import { route } from "../router";
import { T } from "../texts";

const LIMIT = 100;

type Question = { kind: "role" | "disable" | "sessions" | "delete"; of: ManagedUser };
type Form = "invite" | "add" | { password: ManagedUser };

function Invitation({ close }: { close: () => void }) {
    const [text, setText] = useState<string>();
    useEffect(() => {
        void attempt(
            async () =>
                setText((await data(api.POST("/api/v1/admin/invitations", { body: { hours: 72 } }))).invitation),
            close,
        );
    }, []);
    return (
        <Dialog title={T.users.invite} close={close}>
            <div class="body stack">
                <p>{T.users.inviteMore}</p>
                {text ? (
                    <div class="command">
                        <code>{`${BASE}/ui/#/register?invitation=${text}`}</code>
                        <Copy text={`${BASE}/ui/#/register?invitation=${text}`} what={T.users.invitation} />
                    </div>
                ) : (
                    <Loading what={T.users.invitation} lines={1} />
                )}
            </div>
        </Dialog>
    );
}

interface RowProps {
    one: ManagedUser;
    ask: (question: Question) => void;
    show: (form: Form) => void;
}

function Row({ one, ask, show }: RowProps) {
    const isSelf = one.id === user()?.id;
    const edit = (changes: Partial<ManagedUser>) =>
        change<Listing<ManagedUser>>(`users/${route.value.query.get("q") ?? ""}`, (list) => ({
            ...list,
            items: list.items.map((each) => (each.id === one.id ? { ...each, ...changes } : each)),
        }));
    const enable = () => {
        edit({ disabled: false });
        const params = { path: { id: one.id } };
        void attempt(
            () => data(api.POST("/api/v1/admin/users/{id}/enable", { params })),
            () => edit({ disabled: true }),
        );
    };
    return (
        <li class="row wrap" data-row>
            <span class="grow">
                <b>
                    <Name text={one.username} />
                </b>{" "}
                {isSelf && <span class="tag">{T.users.you}</span>}{" "}
                {one.disabled && <span class="tag">{T.users.disabled}</span>}
                <br />
                <span class="muted">
                    <Name text={one.email} />
                </span>
            </span>
            <span>{T.users.roles[one.role]}</span>
            <span class="muted">
                {one.last_login_at ? (
                    <>
                        {T.users.seen} <Ago at={one.last_login_at} />
                    </>
                ) : (
                    T.users.never
                )}
            </span>
            {!isSelf && (
                <Menu
                    label={T.actionsOf(one.username)}
                    items={[
                        {
                            name: one.role === "admin" ? T.users.makeUser : T.users.makeAdmin,
                            run: () => ask({ kind: "role", of: one }),
                        },
                        { name: T.users.newPassword, run: () => show({ password: one }) },
                        { name: T.users.signOut, run: () => ask({ kind: "sessions", of: one }) },
                        one.disabled
                            ? { name: T.users.enable, run: enable }
                            : { name: T.users.disable, run: () => ask({ kind: "disable", of: one }) },
                        { name: T.delete, run: () => ask({ kind: "delete", of: one }) },
                    ]}
                />
            )}
        </li>
    );
}

async function act({ kind, of }: Question): Promise<void> {
    const params = { path: { id: of.id } };
    if (kind === "role") {
        const role = of.role === "admin" ? "user" : "admin";
        await data(api.PUT("/api/v1/admin/users/{id}/role", { params, body: { role } }));
    } else if (kind === "disable") await data(api.POST("/api/v1/admin/users/{id}/disable", { params }));
    else if (kind === "sessions") {
        const { ended } = await data(api.DELETE("/api/v1/admin/users/{id}/sessions", { params }));
        say(T.users.ended(ended));
    } else await data(api.DELETE("/api/v1/admin/users/{id}", { params }));
    forget("users/");
}

export function Users() {
    const q = route.value.query.get("q") ?? "";
    const loaded = useListing<ManagedUser>(`users/${q}`, (cursor) => {
        const query = { limit: LIMIT, ...(q ? { search: q } : {}), ...(cursor ? { cursor } : {}) };
        return data(api.GET("/api/v1/admin/users", { params: { query } }));
    });
    const [typed, setTyped] = useTypedQuery();
    const [question, setQuestion] = useState<Question>();
    const [form, setForm] = useState<Form>();
    const close = () => setForm(undefined);
    const items = loaded.value?.items;
    const asked = question && T.users.questions[question.kind](question.of.username, question.of.role === "admin");
    return (
        <>
            <div class="filters">
                <Search label={T.users.search} value={typed} set={setTyped} />
                <span class="space" />
                <button type="button" class="button" onClick={() => setForm("add")}>
                    {T.users.add}
                </button>
                <button type="button" class="button primary" data-primary onClick={() => setForm("invite")}>
                    {T.users.invite}
                </button>
            </div>
            {!items && loaded.failure && <Failed failure={loaded.failure} retry={loaded.reload} />}
            {!items && !loaded.failure && <Loading what={T.admin.users} lines={4} retry={loaded.reload} />}
            {items?.length === 0 && <Empty>{T.users.noFit(q)}</Empty>}
            <ul class="list">
                {items?.map((one) => (
                    <Row key={one.id} one={one} ask={setQuestion} show={setForm} />
                ))}
            </ul>
            <More load={loaded.loadMore} />
            {items?.length === 1 && !q && <p class="muted">{T.users.onlyYou}</p>}
            {question && asked && (
                <Confirm
                    title={asked.title}
                    action={asked.action}
                    run={() => void attempt(() => act(question))}
                    close={() => setQuestion(undefined)}
                    dangerous={question.kind !== "role"}
                >
                    <p>{asked.more}</p>
                </Confirm>
            )}
            {form === "invite" && <Invitation close={close} />}
            {form === "add" && <NewUser close={close} />}
            {typeof form === "object" && <NewPassword of={form.password} close={close} />}
        </>
    );
}
