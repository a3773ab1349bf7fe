/** Dialog that asks for a new title. */
import { useState } from "preact/hooks";
import { T } from "../texts";
import { Dialog } from "./dialog";
import { TextField } from "./field";
import { FormError, useForm } from "./form";
import { sentence } from "./notice";

interface Props {
    title: string;
    maxLength: number;
    save: (title: string) => Promise<void>;
    close: () => void;
}

export function Rename({ title, maxLength, save, close }: Props) {
    const [value, setValue] = useState(title);
    const form = useForm(async () => {
        await save(value.trim());
        close();
    });
    return (
        <Dialog title={T.rename} close={close}>
            <form class="stack body" onSubmit={form.submit}>
                <TextField
                    label={T.tasks.title}
                    value={value}
                    set={setValue}
                    maxLength={maxLength}
                    required
                    autofocus
                    error={form.about("title")}
                />
                {form.failure && !form.failure.field && <FormError text={sentence(form.failure.message)} />}
                <footer>
                    <button type="button" class="button" onClick={close}>
                        {T.cancel}
                    </button>
                    <button type="submit" class="button primary" aria-disabled={form.busy}>
                        {T.rename}
                    </button>
                </footer>
            </form>
        </Dialog>
    );
}
