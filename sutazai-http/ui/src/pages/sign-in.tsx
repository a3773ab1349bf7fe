/** Form to sign in, as a page and as a dialog above the page of an ended session. */
import { useState } from "preact/hooks";
import { signIn, signOut } from "../api/session";
import { Dialog } from "../parts/dialog";
import { TextField } from "../parts/field";
import { useForm } from "../parts/form";
import { T } from "../texts";

export function SignInForm({ name = "", fixed = false }: { name?: string; fixed?: boolean }) {
    const [login, setLogin] = useState(name);
    const [password, setPassword] = useState("");
    const form = useForm(() => signIn(login.trim(), password));
    return (
        <form onSubmit={form.submit} class="stack">
            <TextField
                label={T.entrance.login}
                value={login}
                set={setLogin}
                name="username"
                autocomplete="username"
                autocapitalize="none"
                spellcheck={false}
                required
                readOnly={fixed}
                autofocus={!fixed}
                error={form.about("login")}
            />
            <TextField
                label={T.entrance.password}
                type="password"
                value={password}
                set={setPassword}
                name="password"
                autocomplete="current-password"
                required
                autofocus={fixed}
                error={form.about("password")}
            />
            {form.text && (
                <p class="error" role="alert">
                    {form.text}
                </p>
            )}
            <button type="submit" class="button primary full" aria-disabled={form.busy}>
                {form.busy ? T.entrance.signingIn : T.entrance.signIn}
            </button>
        </form>
    );
}

/** Dialog above the page when the session has ended; the page keeps what was typed. */
export function SignInAgain({ name }: { name: string }) {
    return (
        <Dialog title={T.entrance.ended}>
            <div class="body">
                <p>{T.entrance.endedMore}</p>
                <SignInForm name={name} fixed />
                <p>
                    <button type="button" class="button quiet" onClick={() => void signOut()}>
                        {T.entrance.other}
                    </button>
                </p>
            </div>
        </Dialog>
    );
}
