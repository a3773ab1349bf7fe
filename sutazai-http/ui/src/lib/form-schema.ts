/** Reads the fields of a form from the JSON Schema of an agent's input. */
export interface FormField {
    name: string;
    title: string;
    hint: string | undefined;
    kind: "text" | "number" | "integer" | "boolean" | "choice" | "json";
    required: boolean;
    choices: string[];
    initial: string;
    min: number | undefined;
    max: number | undefined;
    maxLength: number | undefined;
}

type Schema = Record<string, unknown>;

function isSchema(value: unknown): value is Schema {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Follows a reference within the schema, and takes the one type of a nullable value. */
function plain(schema: Schema, root: Schema): Schema {
    const reference = schema["$ref"];
    if (typeof reference === "string" && reference.startsWith("#/")) {
        let target: unknown = root;
        for (const part of reference.slice(2).split("/")) target = isSchema(target) ? target[part] : undefined;
        if (isSchema(target)) return plain({ ...target, ...without(schema, "$ref") }, root);
    }
    for (const word of ["anyOf", "oneOf", "allOf"]) {
        const all = schema[word];
        if (!Array.isArray(all)) continue;
        const others = all.filter((one) => isSchema(one) && one["type"] !== "null");
        if (others.length === 1) return plain({ ...(others[0] as Schema), ...without(schema, word) }, root);
    }
    return schema;
}

function without(schema: Schema, key: string): Schema {
    return Object.fromEntries(Object.entries(schema).filter(([name]) => name !== key));
}

function kindOf(schema: Schema): FormField["kind"] {
    if (Array.isArray(schema["enum"])) return "choice";
    const types = [schema["type"]].flat().filter((type) => type !== "null");
    const [type] = types;
    if (types.length === 1 && (type === "number" || type === "integer" || type === "boolean")) return type;
    return types.length === 1 && type === "string" ? "text" : "json";
}

/** Returns the fields of an object schema; `undefined` if a form cannot show it. */
export function fieldsOf(schema: unknown): FormField[] | undefined {
    if (!isSchema(schema)) return undefined;
    const root = plain(schema, schema);
    const properties = root["properties"];
    if (!isSchema(properties)) return undefined;
    const required = Array.isArray(root["required"]) ? root["required"] : [];
    return Object.entries(properties).map(([name, given]) => {
        const one = plain(isSchema(given) ? given : {}, schema);
        const number = (key: string) => (typeof one[key] === "number" ? (one[key] as number) : undefined);
        const usual = one["default"];
        const kind = kindOf(one);
        return {
            name,
            title: typeof one["title"] === "string" ? one["title"] : label(name),
            hint: typeof one["description"] === "string" ? one["description"] : undefined,
            kind,
            required: required.includes(name),
            choices: Array.isArray(one["enum"]) ? one["enum"].map(String) : [],
            initial: usual == null ? "" : kind === "json" ? JSON.stringify(usual) : String(usual),
            min: number("minimum"),
            max: number("maximum"),
            maxLength: number("maxLength"),
        };
    });
}

function label(name: string): string {
    const words = name.replaceAll("_", " ");
    return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Makes the payload of what was filled in; empty fields are left out. */
export function payloadOf(fields: readonly FormField[], values: Record<string, string>): Record<string, unknown> {
    const payload: Record<string, unknown> = {};
    for (const field of fields) {
        const text = values[field.name] ?? field.initial;
        if (text === "") continue;
        if (field.kind === "boolean") payload[field.name] = text === "true";
        else if (field.kind === "number" || field.kind === "integer") payload[field.name] = Number(text);
        else if (field.kind === "json") payload[field.name] = JSON.parse(text);
        else payload[field.name] = text;
    }
    return payload;
}
