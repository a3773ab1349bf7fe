/** Palette: opens pages, runs actions of this page, finds tasks, conversations and documents. */
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { AGENT } from "../api/agents";
import { api, data } from "../api/client";
import { useConversations, useDocuments } from "../api/content";
import type { TaskItem } from "../api/types";
import { commands } from "../keyboard";
import { isId, rank } from "../lib/match";
import { open } from "../router";
import { T } from "../texts";
import { Dialog } from "./dialog";
import { titleOf } from "./task-row";

interface Entry {
    id: string;
    group: string;
    name: string;
    keys: string;
    run: () => void;
}

const SHOWN = 12;
const TYPING_MS = 200;

function commandEntries(): Entry[] {
    const byName = new Map(commands.value.map((one) => [one.name, one]));
    return [...byName.values()].map((one) => ({
        id: `command-${one.name}`,
        group: one.kind === "page" ? T.palette.pages : T.palette.actions,
        name: one.name,
        keys: one.keys,
        run: one.run,
    }));
}

function taskEntry(task: TaskItem): Entry {
    const isAnalysis = task.agent === AGENT && task.status === "completed";
    return {
        id: task.id,
        group: isAnalysis ? T.palette.analyses : T.palette.tasks,
        name: `${titleOf(task)}, ${T.signs[task.status].toLowerCase()}`,
        keys: "",
        run: () => open(isAnalysis ? `#/analyses/${task.id}` : `#/tasks/${task.id}`),
    };
}

/** Conversations and documents, the newest 100 of each. */
function useContent(): Entry[] {
    const talks = useConversations().value?.items ?? [];
    const documents = useDocuments().value?.items ?? [];
    return [
        ...talks.map((one) => ({
            id: one.id,
            group: T.palette.conversations,
            name: one.title || T.chat.untitled,
            keys: "",
            run: () => open(`#/chat/${one.id}`),
        })),
        ...documents.map((one) => ({
            id: one.id,
            group: T.palette.documents,
            name: one.title,
            keys: "",
            run: () => open(`#/documents/${one.id}`),
        })),
    ];
}

/** Tasks whose title or id fits; asked for once the typing pauses. */
function useFoundTasks(query: string): Entry[] {
    const [found, setFound] = useState<Entry[]>([]);
    useEffect(() => {
        setFound([]);
        if (query.trim().length < 3) return undefined;
        let gone = false;
        const timer = setTimeout(() => {
            const ask = api.GET("/api/v1/tasks", { params: { query: { q: query.trim().slice(0, 200), limit: 8 } } });
            data(ask).then(
                (page) => !gone && setFound((page.items as TaskItem[]).map(taskEntry)),
                () => !gone && setFound([]),
            );
        }, TYPING_MS);
        return () => {
            gone = true;
            clearTimeout(timer);
        };
    }, [query]);
    return found;
}

export function Palette({ close }: { close: () => void }) {
    const id = useId();
    const [query, setQuery] = useState("");
    const [at, setAt] = useState(0);
    const input = useRef<HTMLInputElement>(null);
    const list = useRef<HTMLDivElement>(null);
    const tasks = useFoundTasks(query);
    const ranked = [...commandEntries(), ...useContent()]
        .flatMap((entry) => {
            const fits = rank(entry.name, query);
            return fits === undefined ? [] : [{ entry, fits }];
        })
        .sort((a, b) => (query ? a.fits - b.fits : 0))
        .map(({ entry }) => entry);
    const entries = [...(isId(query) ? [] : ranked), ...tasks].slice(0, SHOWN);
    const index = Math.min(at, entries.length - 1);
    const choose = (entry: Entry | undefined) => {
        if (!entry) return;
        close();
        entry.run();
    };
    // After the dialog is shown, which focuses its first control; the attribute is refused while something has the focus.
    useLayoutEffect(() => input.current?.focus(), []);
    useEffect(() => {
        list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
    }, [index]);
    const keys = (event: KeyboardEvent) => {
        if (event.key === "ArrowDown") setAt((index + 1) % Math.max(1, entries.length));
        else if (event.key === "ArrowUp") setAt((index - 1 + entries.length) % Math.max(1, entries.length));
        else if (event.key === "Enter") choose(entries[index]);
        else return;
        event.preventDefault();
    };
    return (
        <Dialog title={T.palette.title} close={close} wide>
            <div class="palette">
                <input
                    ref={input}
                    type="text"
                    role="combobox"
                    aria-expanded="true"
                    aria-controls={`${id}-list`}
                    aria-activedescendant={entries[index] ? `${id}-${index}` : undefined}
                    aria-autocomplete="list"
                    aria-label={T.palette.title}
                    placeholder={T.palette.hint}
                    spellcheck={false}
                    value={query}
                    onInput={(event) => {
                        setQuery(event.currentTarget.value);
                        setAt(0);
                    }}
                    onKeyDown={keys}
                />
                <div id={`${id}-list`} role="listbox" aria-label={T.palette.results} ref={list}>
                    {entries.map((entry, row) => (
                        // biome-ignore lint/a11y/useKeyWithClickEvents: the combobox has the keys.
                        <div
                            key={entry.id}
                            id={`${id}-${row}`}
                            role="option"
                            tabIndex={-1}
                            aria-selected={row === index}
                            onClick={() => choose(entry)}
                        >
                            <span class="muted group">{entry.group}</span>
                            <bdi class="grow ellipsis">{entry.name}</bdi>
                            {entry.keys && <kbd class="wide-only">{entry.keys}</kbd>}
                        </div>
                    ))}
                </div>
                {entries.length === 0 && <p class="empty">{T.palette.nothing}</p>}
            </div>
        </Dialog>
    );
}
