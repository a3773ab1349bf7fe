/** Form made from the input schema of an agent, and the same as JSON. */
import { useEffect, useMemo, useState } from "preact/hooks";
import type { Agent } from "../api/types";
import { type FormField, fieldsOf, payloadOf } from "../lib/form-schema";
import { T } from "../texts";
import { Check, Field, Segments, SelectField, TextField } from "./field";

interface Props {
    agent: Agent | undefined;
    /** Payload to begin with. */
    initial?: Record<string, unknown>;
    /** Takes the payload, or the reason why it is none. */
    set: (payload: Record<string, unknown> | undefined) => void;
    error?: string | undefined;
}

function One({ field, value, set }: { field: FormField; value: string; set: (value: string) => void }) {
    if (field.kind === "boolean") {
        return (
            <div class="field">
                <Check label={field.title} checked={value === "true"} set={(on) => set(String(on))} />
                {field.hint && <p class="hint">{field.hint}</p>}
            </div>
        );
    }
    if (field.kind === "choice") {
        const options = field.choices.map((choice) => [choice, choice] as const);
        return (
            <SelectField
                label={field.title}
                hint={field.hint}
                value={value}
                options={field.required ? options : [["", "–"], ...options]}
                set={set}
            />
        );
    }
    if (field.kind === "json" || (field.maxLength ?? 0) > 400) {
        return (
            <Field label={field.title} hint={field.hint}>
                {(control) => (
                    <textarea
                        {...control}
                        rows={4}
                        class={field.kind === "json" ? "code" : ""}
                        required={field.required}
                        value={value}
                        onInput={(event) => set(event.currentTarget.value)}
                    />
                )}
            </Field>
        );
    }
    const isNumber = field.kind !== "text";
    return (
        <TextField
            label={field.title}
            hint={field.hint}
            value={value}
            set={set}
            required={field.required}
            {...(isNumber ? { type: "number", step: field.kind === "integer" ? 1 : "any" } : {})}
            {...(field.min === undefined ? {} : { min: field.min })}
            {...(field.max === undefined ? {} : { max: field.max })}
            {...(field.maxLength === undefined ? {} : { maxLength: field.maxLength })}
        />
    );
}

function textOf(value: unknown): string {
    return typeof value === "string" ? value : JSON.stringify(value);
}

export function PayloadForm({ agent, initial = {}, set, error }: Props) {
    const fields = useMemo(() => fieldsOf(agent?.input_schema), [agent]);
    const [values, setValues] = useState<Record<string, string>>(() =>
        Object.fromEntries(Object.entries(initial).map(([name, value]) => [name, textOf(value)])),
    );
    const [mode, setMode] = useState<"form" | "json">("form");
    const [json, setJson] = useState(JSON.stringify(initial, undefined, 2));
    const asForm = mode === "form" && fields !== undefined;
    const payload = useMemo(() => {
        try {
            const made: unknown = asForm ? payloadOf(fields, values) : JSON.parse(json);
            return typeof made === "object" && made !== null && !Array.isArray(made)
                ? (made as Record<string, unknown>)
                : undefined;
        } catch {
            return undefined;
        }
    }, [asForm, fields, values, json]);
    // Only a new payload is reported.
    useEffect(() => set(payload), [payload]);
    return (
        <fieldset class="stack payload">
            <legend>{T.newTask.payload}</legend>
            {fields && (
                <Segments
                    label={T.newTask.payload}
                    value={mode}
                    options={[
                        ["form", T.newTask.form],
                        ["json", T.newTask.json],
                    ]}
                    set={(next) => {
                        if (next === "json") setJson(JSON.stringify(payload ?? {}, undefined, 2));
                        setMode(next);
                    }}
                />
            )}
            {asForm ? (
                <>
                    {fields.length === 0 && <p class="muted">{T.newTask.noFields}</p>}
                    {fields.map((field) => (
                        <One
                            key={field.name}
                            field={field}
                            value={values[field.name] ?? field.initial}
                            set={(value) => setValues({ ...values, [field.name]: value })}
                        />
                    ))}
                </>
            ) : (
                <Field label={T.newTask.json} error={payload ? undefined : T.newTask.noObject}>
                    {(control) => (
                        <textarea
                            {...control}
                            class="code"
                            rows={8}
                            spellcheck={false}
                            value={json}
                            onInput={(event) => setJson(event.currentTarget.value)}
                        />
                    )}
                </Field>
            )}
            {error && (
                <p class="error" role="alert">
                    {error}
                </p>
            )}
        </fieldset>
    );
}
