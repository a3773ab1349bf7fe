/** One conversation: its messages, the answer that is being written, and the field for the next message. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { change, forget, useLoaded } from "../api/cache";
import { answers, ask, askAgain, clear, endsWith, stop, type Talk } from "../api/chat";
import { api, data } from "../api/client";
import { useModels } from "../api/models";
import type { Message } from "../api/types";
import { clean, counted, middle } from "../lib/units";
import { Copy } from "../parts/copy";
import { SelectField } from "../parts/field";
import { Empty, Failed, Loading, sentence } from "../parts/notice";
import { RichText } from "../parts/rich-text";
import { Clock } from "../parts/time";
import { attempt } from "../parts/toasts";
import { open } from "../router";
import { T } from "../texts";
import { nameOf } from "./chat";

const NEAR_END = 80;
const TITLE_CHARS = 60;

async function loadTalk(id: string): Promise<Talk> {
    const messages: Message[] = [];
    let cursor: string | undefined;
    for (;;) {
        const query = { limit: 100, ...(cursor ? { cursor } : {}) };
        const page = await data(api.GET("/api/v1/conversations/{id}", { params: { path: { id }, query } }));
        messages.push(...page.messages);
        cursor = page.next_cursor ?? undefined;
        if (!cursor) return { conversation: page.conversation, messages };
    }
}

function One({ message, again }: { message: Message; again: (() => void) | undefined }) {
    const isMine = message.role === "user";
    return (
        <li class={isMine ? "message mine" : "message"}>
            <p class="who">
                <b>{isMine ? T.chat.you : (message.usage?.model ?? T.chat.model)}</b>{" "}
                <span class="muted">
                    <Clock at={message.created_at} />
                </span>
                <span class="space" />
                {again && !message.cut && (
                    <button type="button" class="button quiet small" onClick={again}>
                        {T.chat.again}
                    </button>
                )}
                <Copy text={message.content} what={T.chat.message} />
            </p>
            {isMine ? <p class="pre">{message.content}</p> : <RichText text={message.content} />}
            {message.usage?.degraded && <p class="hint">{sentence(message.usage.degraded)}</p>}
            {message.cut && (
                <p class="row muted">
                    {T.chat.cut}{" "}
                    {again && (
                        <button type="button" class="button" onClick={again}>
                            {T.chat.again}
                        </button>
                    )}
                </p>
            )}
        </li>
    );
}

function Writing({ id, talk }: { id: string; talk: Talk | undefined }) {
    const answer = answers.value.get(id);
    if (!answer) return null;
    const busy = answer.state === "waiting" || answer.state === "writing";
    const again = () =>
        attempt(async () => {
            const talk = await loadTalk(id);
            change<Talk>(`talk/${id}`, () => talk);
            clear(id);
            // Whether the message was stored depends on what failed.
            const last = talk.messages.findLast((message) => message.role === "user");
            if (answer.said === undefined || last?.content === answer.said) await askAgain(id);
            else await ask(id, answer.said);
        });
    return (
        <>
            {answer.said !== undefined && !(talk && endsWith(talk, answer.said)) && (
                <li class="message mine">
                    <p class="who">
                        <b>{T.chat.you}</b>
                    </p>
                    <p class="pre">{answer.said}</p>
                </li>
            )}
            <li class="message" aria-busy={busy}>
                <p class="who">
                    <b>{T.chat.model}</b>{" "}
                    <span class="muted">
                        {answer.state === "waiting"
                            ? T.chat.waiting
                            : busy
                              ? `${counted(answer.pieces, T.chat.token)} · ${T.chat.writing}`
                              : ""}
                    </span>
                    <span class="space" />
                    {busy && (
                        <button type="button" class="button" onClick={() => stop(id)}>
                            {T.chat.stop}
                        </button>
                    )}
                </p>
                <RichText text={answer.text} />
                {!busy && (
                    <p class="row wrap" role="alert">
                        {answer.failure && answer.state === "failed" ? sentence(answer.failure.message) : T.chat.cut}{" "}
                        <button type="button" class="button" onClick={() => void again()}>
                            {T.chat.again}
                        </button>
                    </p>
                )}
            </li>
        </>
    );
}

/** Keeps the end in view while the reader is there, judged by their own scrolling. */
function useFollow(content: unknown) {
    const list = useRef<HTMLDivElement>(null);
    const [isAtEnd, setAtEnd] = useState(true);
    const follows = useRef(true);
    const toEnd = () => {
        follows.current = true;
        setAtEnd(true);
        list.current?.scrollTo(0, list.current.scrollHeight);
    };
    const scrolled = () => {
        const box = list.current;
        if (!box) return;
        follows.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END;
        setAtEnd(follows.current);
    };
    // New content is what must be followed.
    useLayoutEffect(() => {
        if (follows.current) list.current?.scrollTo(0, list.current.scrollHeight);
    }, [content]);
    return { list, isAtEnd, toEnd, scrolled };
}

function Composer({ id, model }: { id: string | undefined; model: string }) {
    const [text, setText] = useState("");
    const answer = id ? answers.value.get(id) : undefined;
    const busy = answer?.state === "waiting" || answer?.state === "writing";
    const field = useRef<HTMLTextAreaElement>(null);
    useEffect(() => field.current?.focus(), []);
    const send = async () => {
        const said = text.trim();
        if (!said || busy) return;
        await attempt(async () => {
            let target = id;
            if (!target) {
                const title = middle(clean(said.split("\n")[0] ?? ""), TITLE_CHARS);
                const body = { title, ...(model ? { model } : {}) };
                target = (await data(api.POST("/api/v1/conversations", { body }))).id;
                forget("conversations");
            } else if (answer) {
                clear(target);
                forget(`talk/${target}`);
            }
            setText("");
            void ask(target, said);
            if (!id) open(`#/chat/${target}`);
        });
    };
    return (
        <form
            class="composer"
            onSubmit={(event) => {
                event.preventDefault();
                void send();
            }}
        >
            <textarea
                ref={field}
                rows={2}
                aria-label={T.chat.field}
                placeholder={T.chat.field}
                value={text}
                maxLength={100_000}
                onInput={(event) => setText(event.currentTarget.value)}
                onKeyDown={(event) => {
                    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
                        event.preventDefault();
                        void send();
                    }
                }}
            />
            <button type="submit" class="button primary" aria-disabled={busy || !text.trim()}>
                {T.chat.send}
            </button>
            <p class="hint">{T.chat.unchecked}</p>
        </form>
    );
}

function NewTalk() {
    const models = useModels();
    const [model, setModel] = useState("");
    const options = models.map(({ name }) => [name, name] as const);
    return (
        <div class="talk">
            <div class="head">
                <a class="back" href="#/chat">
                    ‹ {T.places.chat}
                </a>
                <h1>{T.chat.new}</h1>
            </div>
            <div class="messages">
                <Empty>{T.chat.lead}</Empty>
                {options.length > 1 && (
                    <SelectField
                        label={T.chat.model}
                        value={model}
                        options={[["", T.chat.usual], ...options]}
                        set={setModel}
                    />
                )}
            </div>
            <Composer id={undefined} model={model} />
        </div>
    );
}

function Known({ id }: { id: string }) {
    const loaded = useLoaded(`talk/${id}`, () => loadTalk(id));
    const answer = answers.value.get(id);
    const { list, isAtEnd, toEnd, scrolled } = useFollow(`${loaded.value?.messages.length} ${answer?.text.length}`);
    const talk = loaded.value;
    if (!talk && loaded.failure) {
        return (
            <div class="talk">
                <Failed
                    failure={loaded.failure}
                    retry={loaded.reload}
                    missing={
                        <>
                            {T.chat.missing} <a href="#/chat">{T.chat.all}</a>
                        </>
                    }
                />
            </div>
        );
    }
    return (
        <div class="talk">
            <div class="head">
                <a class="back" href="#/chat">
                    ‹ {T.places.chat}
                </a>
                <h1 class="ellipsis">
                    <bdi>{talk ? nameOf(talk.conversation) : ""}</bdi>
                </h1>
                <span class="space" />
                <span class="muted wide-only">{talk?.conversation.model}</span>
            </div>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
            <div class="messages" ref={list} onScroll={scrolled} tabIndex={0} role="log" aria-label={T.chat.messages}>
                {!talk && <Loading what={T.chat.messages} lines={6} />}
                <ol>
                    {talk?.messages.map((message, index) => (
                        <One
                            key={message.id}
                            message={message}
                            again={index === talk.messages.length - 1 && !answer ? () => void askAgain(id) : undefined}
                        />
                    ))}
                    <Writing id={id} talk={talk} />
                </ol>
            </div>
            {!isAtEnd && (
                <button type="button" class="button latest" onClick={toEnd}>
                    ↓ {T.chat.latest}
                </button>
            )}
            <Composer id={id} model="" />
        </div>
    );
}

export function OpenTalk({ id }: { id: string | undefined }) {
    return id ? <Known id={id} /> : <NewTalk />;
}
