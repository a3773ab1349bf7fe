/** Passage that a search found: the words around its hits, the whole part, and the parts before and after it. */
import { useState } from "preact/hooks";
import { api, data } from "../api/client";
import type { Chunk, Passage } from "../api/types";
import { excerpt, type Marked, mark, marked } from "../lib/highlight";
import { address } from "../router";
import { T } from "../texts";
import { Copy } from "./copy";
import { Name } from "./name";
import { attempt } from "./toasts";

/** Loads parts of a document. */
export async function loadParts(id: string, from: number, limit: number): Promise<Chunk[]> {
    const params = { path: { id }, query: { from, limit } };
    return (await data(api.GET("/api/v1/documents/{id}/chunks", { params }))).items;
}

/** Parts around a passage, which the reader unfolds one by one. */
function useNeighbors(chunk: Chunk) {
    const [parts, setParts] = useState<readonly Chunk[]>([]);
    const [ends, setEnds] = useState({ first: chunk.index, last: chunk.index, isWhole: false });
    const add = (index: number) =>
        attempt(async () => {
            const [part] = await loadParts(chunk.document_id, index, 1);
            if (!part) return setEnds({ ...ends, isWhole: true });
            setParts([...parts, part].sort((a, b) => a.index - b.index));
            setEnds({ ...ends, first: Math.min(ends.first, index), last: Math.max(ends.last, index) });
        });
    return {
        earlier: parts.filter((part) => part.index < chunk.index),
        later: parts.filter((part) => part.index > chunk.index),
        before: ends.first > 0 ? () => add(ends.first - 1) : undefined,
        after: ends.isWhole ? undefined : () => add(ends.last + 1),
    };
}

function Neighbor({ part, query }: { part: Chunk; query: string }) {
    return (
        <p class="text pre muted">
            {mark(part.text, query).map((one, index) => (one.isHit ? <mark key={index}>{one.text}</mark> : one.text))}
        </p>
    );
}

function lengthOf(parts: readonly Marked[]): number {
    return parts.reduce((sum, part) => sum + part.text.length, 0);
}

export function FoundPassage({ passage, query }: { passage: Passage; query: string }) {
    const { chunk, matches, title } = passage;
    const [whole, setWhole] = useState(false);
    const { earlier, later, before, after } = useNeighbors(chunk);
    const parts = marked(chunk.text, matches);
    const short = excerpt(parts);
    const isWhole = whole || earlier.length > 0 || later.length > 0;
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
            {earlier.map((one) => (
                <Neighbor key={one.index} part={one} query={query} />
            ))}
            <p class="text pre">
                {(isWhole ? parts : short).map((one, index) =>
                    one.isHit ? <mark key={index}>{one.text}</mark> : one.text,
                )}
            </p>
            {later.map((one) => (
                <Neighbor key={one.index} part={one} query={query} />
            ))}
            <p class="row wrap">
                {lengthOf(short) < lengthOf(parts) && (whole || !isWhole) && (
                    <button type="button" class="button quiet" onClick={() => setWhole(!whole)}>
                        {whole ? T.documents.less : T.documents.more}
                    </button>
                )}
                {before && (
                    <button type="button" class="button quiet" onClick={() => void before()}>
                        {T.documents.partBefore}
                    </button>
                )}
                {after && (
                    <button type="button" class="button quiet" onClick={() => void after()}>
                        {T.documents.partAfter}
                    </button>
                )}
            </p>
        </li>
    );
}
