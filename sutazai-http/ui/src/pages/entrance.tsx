/** Pages for those who are not signed in: set up, sign in, register. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { api, data } from "../api/client";
import { register, setUp } from "../api/session";
import { TextField } from "../parts/field";
import { FormError, useForm } from "../parts/form";
import { Icon } from "../parts/icon";
import { sentence } from "../parts/notice";
import { address, open, route } from "../router";
import { T } from "../texts";
import { SignInForm } from "./sign-in";

function Card({ title, lead, children }: { title: string; lead?: ComponentChildren; children: ComponentChildren }) {
    return (
        <main class="entrance" id="main">
            <p class="brand">
                <Icon name="activity" /> SutazAI
            </p>
            <div class="card">
                <h1>{title}</h1>
                {lead && <p class="muted">{lead}</p>}
                {children}
            </div>
            {!isSecureContext && <p class="hint">{T.connection.notEncrypted}</p>}
        </main>
    );
}

interface Account {
    username: string;
    email: string;
    password: string;
}

interface FieldsProps {
    account: Account;
    set: (account: Account) => void;
    about: (field: string) => string | undefined;
    /** The fields are the first ones of their form. */
    first: boolean;
}

function AccountFields({ account, set, about, first }: FieldsProps) {
    return (
        <>
            <TextField
                label={T.entrance.username}
                hint={T.entrance.usernameHint}
                value={account.username}
                set={(username) => set({ ...account, username })}
                autocomplete="username"
                autocapitalize="none"
                spellcheck={false}
                pattern="[A-Za-z0-9_]{3,50}"
                required
                autofocus={first}
                error={about("username")}
            />
            <TextField
                label={T.entrance.email}
                type="email"
                value={account.email}
                set={(email) => set({ ...account, email })}
                autocomplete="email"
                required
                error={about("email")}
            />
            <TextField
                label={T.entrance.password}
                hint={T.entrance.passwordHint}
                type="password"
                value={account.password}
                set={(password) => set({ ...account, password })}
                autocomplete="new-password"
                minLength={8}
                required
                error={about("password")}
            />
        </>
    );
}

const NOBODY: Account = { username: "", email: "", password: "" };

function SetUp({ code }: { code: string | undefined }) {
    const [account, setAccount] = useState(NOBODY);
    const [typed, setTyped] = useState("");
    const form = useForm(async () => {
        await setUp(code ?? "", account);
        // The first analysis runs already when the first page is seen.
        const started = await data(
            api.POST("/api/v1/agents/hardware-optimizer/analyze", { body: { use_model: true } }),
        );
        open(address(["analyses", started.task_id]));
    });
    if (!code) {
        return (
            <Card title={T.entrance.noAdmin}>
                <p>
                    {T.entrance.openLink} <code>sutazai serve</code> {T.entrance.printed}{" "}
                    <code>sutazai admin create-user --admin</code>.
                </p>
                <form
                    class="stack"
                    onSubmit={(event) => {
                        event.preventDefault();
                        if (typed.trim()) open(address(["setup", typed.trim()]));
                    }}
                >
                    <TextField
                        label={T.entrance.code}
                        hint={T.entrance.codeHint}
                        value={typed}
                        set={setTyped}
                        class="code"
                        autocomplete="off"
                        autocapitalize="none"
                        spellcheck={false}
                        required
                    />
                    <button type="submit" class="button primary full">
                        {T.entrance.goOn}
                    </button>
                </form>
            </Card>
        );
    }
    const spent =
        form.failure && (form.failure.field === "code" || (form.failure.status === 409 && !form.failure.field));
    return (
        <Card title={T.entrance.setUp} lead={T.entrance.setUpMore}>
            <form onSubmit={form.submit} class="stack">
                <AccountFields account={account} set={setAccount} about={form.about} first />
                {spent ? (
                    <p class="error" role="alert">
                        {T.entrance.spent} <code>sutazai serve</code> {T.entrance.spentMore}
                    </p>
                ) : (
                    form.text && (
                        <p class="error" role="alert">
                            {form.text}
                        </p>
                    )
                )}
                <button type="submit" class="button primary full" aria-disabled={form.busy}>
                    {form.busy ? T.entrance.creating : T.entrance.createAdmin}
                </button>
            </form>
        </Card>
    );
}

function Register({ openRegistration }: { openRegistration: boolean }) {
    const [account, setAccount] = useState(NOBODY);
    const [invitation, setInvitation] = useState(route.value.query.get("invitation") ?? "");
    const form = useForm(async () => {
        await register({ ...account, ...(invitation ? { invitation } : {}) });
        open("#/");
    });
    return (
        <Card title={T.entrance.register} lead={openRegistration ? undefined : T.entrance.byInvitation}>
            <form onSubmit={form.submit} class="stack">
                {!openRegistration && (
                    <TextField
                        label={T.entrance.invitation}
                        value={invitation}
                        set={setInvitation}
                        required
                        autocomplete="off"
                        autofocus
                        error={form.about("invitation")}
                    />
                )}
                <AccountFields account={account} set={setAccount} about={form.about} first={openRegistration} />
                <FormError text={form.failure?.status === 401 ? sentence(form.failure.message) : form.text} />
                <button type="submit" class="button primary full" aria-disabled={form.busy}>
                    {form.busy ? T.entrance.creating : T.entrance.create}
                </button>
            </form>
            <p>
                {T.entrance.haveAccount} <a href="#/sign-in">{T.entrance.signIn}</a>
            </p>
        </Card>
    );
}

export default function Entrance({ needsAdmin, openRegistration }: { needsAdmin: boolean; openRegistration: boolean }) {
    const [first, second] = route.value.path;
    if (needsAdmin) return <SetUp code={first === "setup" ? second : undefined} />;
    if (first === "register") return <Register openRegistration={openRegistration} />;
    return (
        <Card title={T.entrance.signIn}>
            {first === "setup" && (
                <p class="error">
                    {T.entrance.spent} {T.entrance.adminThere}
                </p>
            )}
            <SignInForm />
            <p>
                {openRegistration ? T.entrance.noAccount : T.entrance.invited}{" "}
                <a href="#/register">{T.entrance.create}</a>
            </p>
        </Card>
    );
}
