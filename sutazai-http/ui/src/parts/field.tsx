/** Labeled control of a form with its hint and its error. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

interface FieldProps {
    label: string;
    hint?: ComponentChildren;
    error?: string | undefined;
    /** Control; receives the ids that join it with its label and texts. */
    children: (control: { id: string; "aria-describedby": string | undefined; "aria-invalid": boolean }) => JSX.Element;
}

export function Field({ label, hint, error, children }: FieldProps) {
    const id = useId();
    const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
    return (
        <div class="field">
            <label for={id}>{label}</label>
            {children({ id, "aria-describedby": described, "aria-invalid": Boolean(error) })}
            {hint && (
                <p class="hint" id={`${id}-hint`}>
                    {hint}
                </p>
            )}
            {error && (
                <p class="error" id={`${id}-error`}>
                    {error}
                </p>
            )}
        </div>
    );
}

interface InputProps {
    label: string;
    hint?: ComponentChildren;
    error?: string | undefined;
    value: string;
    set: (value: string) => void;
    type?: "text" | "password" | "email" | "number" | "datetime-local";
    name?: string;
    class?: string;
    autocomplete?: string;
    autocapitalize?: "none";
    spellcheck?: boolean;
    autofocus?: boolean;
    required?: boolean;
    readOnly?: boolean;
    pattern?: string;
    minLength?: number;
    maxLength?: number;
    min?: number;
    max?: number;
    step?: number | "any";
}

/** Text field with a label. */
export function TextField({ label, hint, error, value, set, type = "text", autofocus, ...rest }: InputProps) {
    const input = useRef<HTMLInputElement>(null);
    // The attribute works only while a document is loaded.
    useEffect(() => {
        if (autofocus) input.current?.focus();
    }, [autofocus]);
    return (
        <Field label={label} hint={hint} error={error}>
            {(control) => (
                <input
                    {...rest}
                    {...control}
                    ref={input}
                    // The types of elements allow only one type at a time.
                    type={type as "text"}
                    value={value}
                    onInput={(event) => set(event.currentTarget.value)}
                />
            )}
        </Field>
    );
}

interface SelectProps {
    label: string;
    value: string;
    options: readonly (readonly [value: string, text: string])[];
    set: (value: string) => void;
    hint?: ComponentChildren;
    error?: string | undefined;
}

export function SelectField({ label, value, options, set, hint, error }: SelectProps) {
    return (
        <Field label={label} hint={hint} error={error}>
            {(control) => (
                <select {...control} value={value} onChange={(event) => set(event.currentTarget.value)}>
                    {options.map(([key, text]) => (
                        <option key={key} value={key}>
                            {text}
                        </option>
                    ))}
                </select>
            )}
        </Field>
    );
}

/** Filter in one line: its label stands before the list. */
export function Filter({ label, value, options, set }: SelectProps) {
    const id = useId();
    return (
        <span class="filter">
            <label for={id}>{label}</label>
            <select id={id} value={value} onChange={(event) => set(event.currentTarget.value)}>
                {options.map(([key, text]) => (
                    <option key={key} value={key}>
                        {text}
                    </option>
                ))}
            </select>
        </span>
    );
}

/** Search field of a list; `/` focuses it. */
export function Search({ label, value, set }: { label: string; value: string; set: (value: string) => void }) {
    return (
        <input
            type="search"
            class="search"
            data-filter
            aria-label={label}
            placeholder={label}
            value={value}
            maxLength={200}
            onInput={(event) => set(event.currentTarget.value)}
        />
    );
}

export function Check({ label, checked, set }: { label: string; checked: boolean; set: (on: boolean) => void }) {
    return (
        <label class="check">
            <input type="checkbox" checked={checked} onChange={(event) => set(event.currentTarget.checked)} />
            <span>{label}</span>
        </label>
    );
}

/** Choice of one of a few words, as a group of radio buttons. */
export function Segments<K extends string>({
    label,
    value,
    options,
    set,
    labeled = false,
}: {
    label: string;
    /** Shows the label above the choice. */
    labeled?: boolean;
    value: K;
    options: readonly (readonly [K, string])[];
    set: (value: K) => void;
}) {
    const name = useId();
    return (
        <fieldset>
            <legend class={labeled ? "" : "unseen"}>{label}</legend>
            <div class="segments">
                {options.map(([key, text]) => (
                    <label key={key} class={key === value ? "on" : ""}>
                        <input type="radio" name={name} checked={key === value} onChange={() => set(key)} />
                        {text}
                    </label>
                ))}
            </div>
        </fieldset>
    );
}
