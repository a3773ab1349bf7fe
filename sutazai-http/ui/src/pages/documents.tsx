/** Documents of the user: search in them, upload, read their parts. */
import { useEffect, useRef, useState } from "preact/hooks";
import { change, forget, isPending, useLoaded } from "../api/cache";
import { api, data } from "../api/client";
import { DOCUMENTS, type DocumentList, useDocuments } from "../api/content";
import type { Document, Passage } from "../api/types";
import { dismiss, MAX_BYTES, refusal, send, uploads } from "../api/uploads";
import { bytes, counted } from "../lib/units";
import { Search } from "../parts/field";
import { FoundPassage } from "../parts/found-passage";
import { Icon } from "../parts/icon";
import { Menu } from "../parts/menu";
import { Progress } from "../parts/meter";
import { More } from "../parts/more";
import { Name } from "../parts/name";
import { Empty, Failed, Loading, sentence } from "../parts/notice";
import { Rename } from "../parts/rename";
import { useRowKeys } from "../parts/row-keys";
import { Ago } from "../parts/time";
import { useTitle } from "../parts/title";
import { attempt, later } from "../parts/toasts";
import { useTypedQuery } from "../parts/typed-query";
import { address, open, route } from "../router";
import { T } from "../texts";
import { DocumentReader } from "./document";

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
    change<DocumentList>(DOCUMENTS, (list) => ({
        ...list,
        items: list.items.map((one) => (one.id === id ? document : one)),
    }));
    forget("search/");
    forget(`document/${id}`);
}

function Files({ list, rename }: { list: DocumentList; rename: (document: Document) => void }) {
    const remove = (document: Document) => {
        change<DocumentList>(DOCUMENTS, (old) => ({
            ...old,
            items: old.items.filter((one) => one.id !== document.id),
        }));
        const undo = () => forget(DOCUMENTS);
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

interface Found {
    query: string;
    passages: readonly Passage[];
}

/** Passages for a query. Those of the query before stay until the new ones are there. */
function useFound(query: string) {
    const loaded = useLoaded(`search/${query}`, async () =>
        query ? (await data(api.GET("/api/v1/documents/search", { params: { query: { q: query } } }))).items : [],
    );
    const last = useRef<Found | undefined>(undefined);
    if (!query) last.current = undefined;
    else if (loaded.value) last.current = { query, passages: loaded.value };
    return { ...loaded, value: last.current };
}

function Results({ found }: { found: ReturnType<typeof useFound> }) {
    if (found.failure) return <Failed failure={found.failure} retry={found.reload} />;
    if (!found.value) return <Loading what={T.documents.passages} lines={4} />;
    const { query, passages } = found.value;
    if (passages.length === 0) return <Empty>{T.documents.noPassage}</Empty>;
    return (
        <>
            <p class="muted" role="status">
                {T.documents.found(passages.length)}
            </p>
            <ol class="list">
                {passages.map((passage) => (
                    <FoundPassage
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
    const loaded = useDocuments();
    const found = useFound(query);
    const [typed, setTyped] = useTypedQuery();
    const [renamed, setRenamed] = useState<Document>();
    const input = useRef<HTMLInputElement>(null);
    const over = useDrop();
    useTitle(T.places.documents);
    useRowKeys();
    // The first files and passages are drawn together, so that neither moves the other.
    const isDrawn = useRef(false);
    isDrawn.current ||= !isPending(loaded) && (query === "" || !isPending(found));
    const items = loaded.value?.items;
    const size = (items ?? []).reduce((sum, document) => sum + document.size_bytes, 0);
    return (
        <div class={over ? "page dropping" : "page"}>
            <div class="head">
                <h1>{T.places.documents}</h1>
                {items && items.length > 0 && (
                    <span class="muted wide-only">
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
            {!isDrawn.current && <Loading what={T.places.documents} lines={6} retry={loaded.reload} />}
            {isDrawn.current && items && items.length > 0 && (
                <div class="filters">
                    <Search label={T.documents.search} value={typed} set={setTyped} />
                </div>
            )}
            {isDrawn.current && (
                <div class={query ? "two" : ""}>
                    {query && (
                        <section aria-label={T.documents.passages}>
                            <Results found={found} />
                        </section>
                    )}
                    <section aria-label={T.documents.files}>
                        {!items && loaded.failure && <Failed failure={loaded.failure} retry={loaded.reload} />}
                        {items?.length === 0 && <Empty>{T.documents.none}</Empty>}
                        {items && items.length > 0 && loaded.value && (
                            <>
                                {query && <h2>{T.documents.files}</h2>}
                                <Files list={loaded.value} rename={setRenamed} />
                                <More load={loaded.loadMore} />
                            </>
                        )}
                    </section>
                </div>
            )}
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
