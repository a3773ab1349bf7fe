/** Documents of the user: search in them, upload, read their parts. */
import { useEffect, useRef, useState } from "preact/hooks";
import { change, forget, useLoaded } from "../api/cache";
import { api, data } from "../api/client";
import type { Document, Passage } from "../api/types";
import { dismiss, MAX_BYTES, refusal, send, uploads } from "../api/uploads";
import { excerpt, marked } from "../lib/highlight";
import { bytes, counted } from "../lib/units";
import { Copy } from "../parts/copy";
import { Search } from "../parts/field";
import { Icon } from "../parts/icon";
import { Menu } from "../parts/menu";
import { Progress } from "../parts/meter";
import { Name } from "../parts/name";
import { Empty, Failed, Loading, sentence } from "../parts/notice";
import { Rename } from "../parts/rename";
import { useRowKeys } from "../parts/row-keys";
import { Ago } from "../parts/time";
import { useTitle } from "../parts/title";
import { attempt, later } from "../parts/toasts";
import { address, open, route, setQuery } from "../router";
import { T } from "../texts";
import { DocumentReader } from "./document";

interface DocumentList {
    items: Document[];
    next_cursor?: string | null;
}

const TYPING_MS = 300;

function sendAll(files: Iterable<File>): void {
    const words = { ...T.documents.refused, size: T.documents.refused.size(bytes(MAX_BYTES)) };
    for (const file of files) send(file, refusal(file, words));
}

function Uploads() {
    if (uploads.value.length === 0) return null;
    return (
        <ul class="list uploads">
            {uploads.value.map((one) => (
                <li key={one.id} class="row">
                    <Name text={one.name} max={30} />
                    {one.failure ? (
                        <span class="error grow">{sentence(one.failure)}</span>
                    ) : (
                        <span class="grow">
                            <Progress name={one.name} share={one.share} />
                        </span>
                    )}
                    <button
                        type="button"
                        class="button quiet small"
                        aria-label={one.failure ? T.close : T.documents.stop(one.name)}
                        onClick={() => (one.failure ? dismiss(one.id) : one.stop())}
                    >
                        <Icon name="x" />
                    </button>
                </li>
            ))}
        </ul>
    );
}

async function rename({ id }: Document, title: string): Promise<void> {
    const body = { title };
    const document = await data(api.PUT("/api/v1/documents/{id}/title", { params: { path: { id } }, body }));
    change<DocumentList>("documents", (list) => ({
        ...list,
        items: list.items.map((one) => (one.id === id ? document : one)),
    }));
    forget("search/");
    forget(`document/${id}`);
}

function Files({ list, rename }: { list: DocumentList; rename: (document: Document) => void }) {
    const remove = (document: Document) => {
        change<DocumentList>("documents", (old) => ({
            ...old,
            items: old.items.filter((one) => one.id !== document.id),
        }));
        const undo = () => forget("documents");
        const params = { path: { id: document.id } };
        later(
            T.documents.deleted(document.title),
            () => void attempt(() => data(api.DELETE("/api/v1/documents/{id}", { params })), undo),
            undo,
        );
    };
    return (
        <ul class="list">
            {list.items.map((document) => (
                <li key={document.id} class="row" data-row>
                    <Icon name="file-text" />
                    <a class="grow ellipsis" href={address(["documents", document.id])} data-open>
                        <Name text={document.title} max={60} />
                    </a>
                    <span class="number muted">{bytes(document.size_bytes)}</span>
                    <span class="number muted wide-only">
                        <Ago at={document.created_at} />
                    </span>
                    <Menu
                        label={T.actionsOf(document.title)}
                        items={[
                            { name: T.documents.open, href: address(["documents", document.id]) },
                            { name: T.rename, run: () => rename(document) },
                            { name: T.delete, run: () => remove(document) },
                        ]}
                    />
                </li>
            ))}
        </ul>
    );
}

function Found({ passage, query }: { passage: Passage; query: string }) {
    const { chunk, matches, title } = passage;
    const [whole, setWhole] = useState(false);
    const parts = marked(chunk.text, matches);
    const part = chunk.index + 1;
    return (
        <li class="passage" data-row>
            <p class="row">
                <a
                    class="strong"
                    data-open
                    href={address(["documents", chunk.document_id], { part: String(part), q: query })}
                >
                    <Name text={title} max={60} />
                </a>
                <span class="muted">· {T.documents.part(part)}</span>
                <span class="space" />
                <Copy text={`“${chunk.text.trim()}” (${title}, ${T.documents.part(part)})`} what={T.documents.quote} />
            </p>
            <p class="text pre">
                {(whole ? parts : excerpt(parts)).map((one, index) =>
                    one.isHit ? <mark key={index}>{one.text}</mark> : one.text,
                )}
            </p>
            {parts.length > 1 && excerpt(parts).length !== parts.length && (
                <button type="button" class="button quiet" onClick={() => setWhole(!whole)}>
                    {whole ? T.documents.less : T.documents.more}
                </button>
            )}
        </li>
    );
}

function Results({ query }: { query: string }) {
    const found = useLoaded(`search/${query}`, () =>
        data(api.GET("/api/v1/documents/search", { params: { query: { q: query } } })),
    );
    if (found.failure) return <Failed failure={found.failure} retry={found.reload} />;
    if (!found.value) return <Loading what={T.documents.passages} lines={4} />;
    if (found.value.items.length === 0) return <Empty>{T.documents.noPassage}</Empty>;
    return (
        <>
            <p class="muted" role="status">
                {T.documents.found(found.value.items.length)}
            </p>
            <ol class="list">
                {found.value.items.map((passage) => (
                    <Found
                        key={`${passage.chunk.document_id}-${passage.chunk.index}`}
                        passage={passage}
                        query={query}
                    />
                ))}
            </ol>
        </>
    );
}

/** Takes files that are dropped or pasted anywhere on the page. */
function useDrop(): boolean {
    const [over, setOver] = useState(false);
    useEffect(() => {
        let depth = 0;
        const files = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
        const enter = (event: DragEvent) => {
            if (!files(event)) return;
            depth += 1;
            setOver(true);
        };
        const leave = (event: DragEvent) => {
            if (!files(event)) return;
            depth -= 1;
            setOver(depth > 0);
        };
        const drop = (event: DragEvent) => {
            depth = 0;
            setOver(false);
            event.preventDefault();
            sendAll(event.dataTransfer?.files ?? []);
        };
        const allow = (event: DragEvent) => event.preventDefault();
        const paste = (event: ClipboardEvent) => sendAll(event.clipboardData?.files ?? []);
        addEventListener("dragenter", enter);
        addEventListener("dragleave", leave);
        addEventListener("dragover", allow);
        addEventListener("drop", drop);
        addEventListener("paste", paste);
        return () => {
            removeEventListener("dragenter", enter);
            removeEventListener("dragleave", leave);
            removeEventListener("dragover", allow);
            removeEventListener("drop", drop);
            removeEventListener("paste", paste);
        };
    }, []);
    return over;
}

function All() {
    const query = route.value.query.get("q") ?? "";
    const loaded = useLoaded<DocumentList>("documents", () =>
        data(api.GET("/api/v1/documents", { params: { query: { limit: 100 } } })),
    );
    const [typed, setTyped] = useState(query);
    const [renamed, setRenamed] = useState<Document>();
    const input = useRef<HTMLInputElement>(null);
    const over = useDrop();
    useTitle(T.places.documents);
    useRowKeys();
    useEffect(() => {
        const timer = setTimeout(() => setQuery({ q: typed.trim() || undefined }), TYPING_MS);
        return () => clearTimeout(timer);
    }, [typed]);
    const items = loaded.value?.items;
    const size = (items ?? []).reduce((sum, document) => sum + document.size_bytes, 0);
    return (
        <div class={over ? "page dropping" : "page"}>
            <div class="head">
                <h1>{T.places.documents}</h1>
                {items && items.length > 0 && (
                    <span class="muted">
                        {counted(items.length, T.documents.file)}
                        {loaded.value?.next_cursor ? "+" : ""}, {bytes(size)}
                    </span>
                )}
                <span class="space" />
                <button type="button" class="button primary" data-primary onClick={() => input.current?.click()}>
                    <Icon name="upload" /> {T.documents.upload}
                </button>
                <input
                    ref={input}
                    type="file"
                    multiple
                    hidden
                    accept=".txt,.text,.md,.markdown,.html,.htm"
                    onChange={(event) => {
                        sendAll([...(event.currentTarget.files ?? [])]);
                        event.currentTarget.value = "";
                    }}
                />
            </div>
            {over && <p class="drop-hint">{T.documents.drop}</p>}
            <Uploads />
            {items && items.length > 0 && (
                <div class="filters">
                    <Search label={T.documents.search} value={typed} set={setTyped} />
                </div>
            )}
            <div class={query ? "two" : ""}>
                {query && (
                    <section aria-label={T.documents.passages}>
                        <Results query={query} />
                    </section>
                )}
                <section aria-label={T.documents.files}>
                    {!items && loaded.failure && <Failed failure={loaded.failure} retry={loaded.reload} />}
                    {!items && !loaded.failure && <Loading what={T.places.documents} lines={4} retry={loaded.reload} />}
                    {items?.length === 0 && <Empty>{T.documents.none}</Empty>}
                    {items && items.length > 0 && loaded.value && (
                        <>
                            {query && <h2>{T.documents.files}</h2>}
                            <Files list={loaded.value} rename={setRenamed} />
                        </>
                    )}
                </section>
            </div>
            {renamed && (
                <Rename
                    title={renamed.title}
                    maxLength={255}
                    save={(title) => rename(renamed, title)}
                    close={() => setRenamed(undefined)}
                />
            )}
        </div>
    );
}

export default function Documents({ id }: { id: string | undefined }) {
    return id ? <DocumentReader key={id} id={id} back={() => open("#/documents")} /> : <All />;
}
