/** Parts of one document; it opens at the part in the address and unfolds its neighbors in place. */
import { useEffect, useState } from "preact/hooks";
import { useLoaded } from "../api/cache";
import { api, data } from "../api/client";
import { Failure } from "../api/failure";
import type { Chunk } from "../api/types";
import { mark } from "../lib/highlight";
import { bytes, counted } from "../lib/units";
import { Copy } from "../parts/copy";
import { loadParts } from "../parts/found-passage";
import { Name } from "../parts/name";
import { Failed, Loading } from "../parts/notice";
import { Ago } from "../parts/time";
import { useTitle } from "../parts/title";
import { route } from "../router";
import { T } from "../texts";

const STEP = 20;

export function DocumentReader({ id, back }: { id: string; back: () => void }) {
    const loaded = useLoaded(`document/${id}`, () =>
        data(api.GET("/api/v1/documents/{id}", { params: { path: { id } } })),
    );
    const query = route.value.query.get("q") ?? "";
    const wanted = Math.max(0, Number(route.value.query.get("part") ?? 1) - 1 || 0);
    const [chunks, setChunks] = useState<Chunk[]>();
    const [failure, setFailure] = useState<Failure>();
    const document_ = loaded.value;
    useTitle(document_?.title ?? T.places.documents);
    const add = (from: number, at: "before" | "after" | "new") => {
        loadParts(id, from, STEP).then(
            (more) =>
                setChunks((old = []) =>
                    at === "new"
                        ? more
                        : at === "after"
                          ? [...old, ...more]
                          : [...more.filter((chunk) => chunk.index < (old[0]?.index ?? 0)), ...old],
                ),
            (error: unknown) => setFailure(Failure.of(error)),
        );
    };
    // The part in the address is where reading begins.
    useEffect(() => add(Math.max(0, wanted - 2), "new"), [id]);
    const isThere = chunks !== undefined;
    useEffect(() => {
        if (isThere && wanted > 0)
            window.document.getElementById(`part-${wanted}`)?.scrollIntoView({ block: "center" });
    }, [isThere, wanted]);
    const problem = failure ?? loaded.failure;
    if (problem) {
        return (
            <Failed
                failure={problem}
                missing={
                    <>
                        {T.documents.missing} <a href="#/documents">{T.documents.all}</a>
                    </>
                }
            />
        );
    }
    if (!document_ || !chunks) return <Loading what={T.documents.document} lines={8} />;
    const first = chunks[0]?.index ?? 0;
    const last = chunks.at(-1)?.index ?? 0;
    return (
        <div class="page reader">
            <div class="head">
                <button type="button" class="link back" onClick={back}>
                    ‹ {T.places.documents}
                </button>
                <h1>
                    <Name text={document_.title} max={80} />
                </h1>
            </div>
            <p class="muted">
                {bytes(document_.size_bytes)} · {counted(document_.chunks, T.documents.partWord)} ·{" "}
                <Ago at={document_.created_at} />
            </p>
            {first > 0 && (
                <button type="button" class="button" onClick={() => add(Math.max(0, first - STEP), "before")}>
                    {T.documents.before}
                </button>
            )}
            {chunks.map((chunk) => (
                <section
                    key={chunk.index}
                    id={`part-${chunk.index}`}
                    class={chunk.index === wanted && query ? "part lit" : "part"}
                    aria-label={T.documents.part(chunk.index + 1)}
                >
                    <p class="row muted">
                        {T.documents.part(chunk.index + 1)}
                        <span class="space" />
                        <Copy text={chunk.text} what={T.documents.part(chunk.index + 1)} />
                    </p>
                    <p class="text pre">
                        {mark(chunk.text, query).map((one, index) =>
                            one.isHit ? <mark key={index}>{one.text}</mark> : one.text,
                        )}
                    </p>
                </section>
            ))}
            {last + 1 < document_.chunks && (
                <button type="button" class="button" onClick={() => add(last + 1, "after")}>
                    {T.documents.after}
                </button>
            )}
        </div>
    );
}
