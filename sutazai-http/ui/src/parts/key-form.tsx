/** Form of a new API key; the key itself is shown once. */
import { useState } from "preact/hooks";
import { api, data } from "../api/client";
import type { ApiKey } from "../api/types";
import { T } from "../texts";
import { Copy } from "./copy";
import { Dialog } from "./dialog";
import { Check, SelectField, TextField } from "./field";
import { FormError, useForm } from "./form";
import { sentence } from "./notice";

type Scope = ApiKey["scopes"][number];
const SCOPES = Object.keys(T.scopes) as Scope[];
const DAY = 86_400_000;

export function KeyForm({ close }: { close: () => void }) {
    const [name, setName] = useState("");
    const [scopes, setScopes] = useState<Scope[]>(["tasks:read"]);
    const [days, setDays] = useState("90");
    const [password, setPassword] = useState("");
    const [key, setKey] = useState<string>();
    const form = useForm(async () => {
        const expires_at = new Date(Date.now() + Number(days) * DAY).toISOString();
        const body = { name: name.trim(), scopes, expires_at, ...(password ? { password } : {}) };
        setKey((await data(api.POST("/api/v1/auth/api-keys", { body }))).key);
    });
    if (key) {
        return (
            <Dialog title={T.account.newKey} close={close}>
                <div class="body stack">
                    <p>{T.account.onlyTime}</p>
                    <div class="command">
                        <code>{key}</code>
                        <Copy text={key} what={T.account.key} />
                    </div>
                    <footer>
                        <button type="button" class="button primary" onClick={close}>
                            {T.account.noted}
                        </button>
                    </footer>
                </div>
            </Dialog>
        );
    }
    const needsPassword = form.failure?.field === "password" || password !== "";
    return (
        <Dialog title={T.account.newKey} close={close}>
            <form class="body stack" onSubmit={form.submit}>
                <TextField
                    label={T.account.keyName}
                    hint={T.account.keyNameHint}
                    value={name}
                    set={setName}
                    required
                    maxLength={100}
                    autofocus
                    error={form.about("name")}
                />
                <fieldset class="stack">
                    <legend>{T.account.may}</legend>
                    {SCOPES.map((scope) => (
                        <Check
                            key={scope}
                            label={T.scopes[scope]}
                            checked={scopes.includes(scope)}
                            set={(on) => setScopes(on ? [...scopes, scope] : scopes.filter((one) => one !== scope))}
                        />
                    ))}
                </fieldset>
                <SelectField label={T.account.expires} value={days} options={T.account.lifetimes} set={setDays} />
                {needsPassword && (
                    <TextField
                        label={T.entrance.password}
                        hint={T.account.passwordAgain}
                        type="password"
                        autocomplete="current-password"
                        value={password}
                        set={setPassword}
                        error={form.about("password")}
                    />
                )}
                {form.failure && !form.failure.field && <FormError text={sentence(form.failure.message)} />}
                <footer>
                    <button type="button" class="button" onClick={close}>
                        {T.cancel}
                    </button>
                    <button type="submit" class="button primary" aria-disabled={form.busy || scopes.length === 0}>
                        {T.account.createKey}
                    </button>
                </footer>
            </form>
        </Dialog>
    );
}
