/** Dialogs with which an admin creates a user, or gives one a new password. */
import { useState } from "preact/hooks";
import { forget } from "../api/cache";
import { api, data } from "../api/client";
import type { ManagedUser } from "../api/types";
import { T } from "../texts";
import { Dialog } from "./dialog";
import { SelectField, TextField } from "./field";
import { FormError, useForm } from "./form";
import { sentence } from "./notice";
import { say } from "./toasts";

const ROLES = [
    ["user", T.users.roles.user],
    ["admin", T.users.roles.admin],
] as const;

function Buttons({ action, busy, close }: { action: string; busy: boolean; close: () => void }) {
    return (
        <footer>
            <button type="button" class="button" onClick={close}>
                {T.cancel}
            </button>
            <button type="submit" class="button primary" aria-disabled={busy}>
                {action}
            </button>
        </footer>
    );
}

export function NewUser({ close }: { close: () => void }) {
    const [username, setUsername] = useState("");
    const [email, setEmail] = useState("");
    const [password, setPassword] = useState("");
    const [role, setRole] = useState<string>("user");
    const form = useForm(async () => {
        const body = { username, email, password, role: role as ManagedUser["role"] };
        await data(api.POST("/api/v1/admin/users", { body }));
        forget("users/");
        close();
    });
    return (
        <Dialog title={T.users.add} close={close}>
            <form class="stack body" onSubmit={form.submit}>
                <TextField
                    label={T.entrance.username}
                    hint={T.entrance.usernameHint}
                    value={username}
                    set={setUsername}
                    pattern="[A-Za-z0-9_]{3,50}"
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck={false}
                    required
                    autofocus
                    error={form.about("username")}
                />
                <TextField
                    label={T.entrance.email}
                    type="email"
                    value={email}
                    set={setEmail}
                    autocomplete="off"
                    required
                    error={form.about("email")}
                />
                <TextField
                    label={T.entrance.password}
                    hint={T.entrance.passwordHint}
                    type="password"
                    value={password}
                    set={setPassword}
                    autocomplete="new-password"
                    minLength={8}
                    required
                    error={form.about("password")}
                />
                <SelectField label={T.users.role} value={role} options={ROLES} set={setRole} />
                {form.failure && !form.failure.field && <FormError text={sentence(form.failure.message)} />}
                <Buttons action={T.users.add} busy={form.busy} close={close} />
            </form>
        </Dialog>
    );
}

export function NewPassword({ of, close }: { of: ManagedUser; close: () => void }) {
    const [password, setPassword] = useState("");
    const form = useForm(async () => {
        const params = { path: { id: of.id } };
        const changed = await data(api.PUT("/api/v1/admin/users/{id}/password", { params, body: { password } }));
        say(T.users.passwordSet(changed.ended, changed.revoked_keys));
        close();
    });
    return (
        <Dialog title={T.users.newPasswordOf(of.username)} close={close}>
            <form class="stack body" onSubmit={form.submit}>
                <p>{T.users.newPasswordMore}</p>
                <TextField
                    label={T.account.newPassword}
                    hint={T.entrance.passwordHint}
                    type="password"
                    value={password}
                    set={setPassword}
                    autocomplete="new-password"
                    minLength={8}
                    required
                    autofocus
                    error={form.about("password")}
                />
                {form.failure && !form.failure.field && <FormError text={sentence(form.failure.message)} />}
                <Buttons action={T.account.changePassword} busy={form.busy} close={close} />
            </form>
        </Dialog>
    );
}
