/** Conversations with the model: the list, and the one that is open. */
import { useState } from "preact/hooks";
import { change, forget } from "../api/cache";
import type { Talk } from "../api/chat";
import { api, data } from "../api/client";
import { CONVERSATIONS, type ConversationList, useConversations } from "../api/content";
import { useNoModel } from "../api/models";
import type { Conversation } from "../api/types";
import { clean } from "../lib/units";
import { Search } from "../parts/field";
import { Icon } from "../parts/icon";
import { Menu } from "../parts/menu";
import { More } from "../parts/more";
import { Empty, Failed, Loading } from "../parts/notice";
import { Rename } from "../parts/rename";
import { useRowKeys } from "../parts/row-keys";
import { Ago } from "../parts/time";
import { useTitle } from "../parts/title";
import { attempt, later } from "../parts/toasts";
import { open } from "../router";
import { T } from "../texts";
import { OpenTalk } from "./talk";

export function nameOf(conversation: { title: string }): string {
    return clean(conversation.title) || T.chat.untitled;
}

function remove(conversation: Conversation, isOpen: boolean): void {
    change<ConversationList>(CONVERSATIONS, (list) => ({
        ...list,
        items: list.items.filter((one) => one.id !== conversation.id),
    }));
    if (isOpen) open("#/chat");
    const undo = () => forget(CONVERSATIONS);
    const params = { path: { id: conversation.id } };
    later(
        T.chat.deleted,
        () => void attempt(() => data(api.DELETE("/api/v1/conversations/{id}", { params })), undo),
        undo,
    );
}

async function rename({ id }: Conversation, title: string): Promise<void> {
    const body = { title };
    const conversation = await data(api.PUT("/api/v1/conversations/{id}/title", { params: { path: { id } }, body }));
    change<ConversationList>(CONVERSATIONS, (list) => ({
        ...list,
        items: list.items.map((one) => (one.id === id ? conversation : one)),
    }));
    change<Talk>(`talk/${id}`, (talk) => ({ ...talk, conversation }));
}

export default function Chat({ id }: { id: string | undefined }) {
    const loaded = useConversations();
    const noModel = useNoModel();
    const [search, setSearch] = useState("");
    const [renamed, setRenamed] = useState<Conversation>();
    useTitle(T.places.chat);
    useRowKeys();
    if (!loaded.value) {
        return loaded.failure ? (
            <Failed failure={loaded.failure} retry={loaded.reload} />
        ) : (
            <Loading what={T.places.chat} lines={6} retry={loaded.reload} />
        );
    }
    const items = loaded.value.items;
    if (items.length === 0 && noModel) {
        return (
            <>
                <h1>{T.places.chat}</h1>
                <Empty>{T.chat.noModel}</Empty>
            </>
        );
    }
    const shown = items.filter((one) => nameOf(one).toLowerCase().includes(search.trim().toLowerCase()));
    return (
        <div class={id ? "chat has-talk" : "chat"}>
            <aside aria-label={T.chat.conversations}>
                <div class="row">
                    {id ? <h2>{T.places.chat}</h2> : <h1>{T.places.chat}</h1>}
                    <span class="space" />
                    <a class="button" href="#/chat/new" data-primary>
                        <Icon name="plus" /> {T.chat.new}
                    </a>
                </div>
                {items.length > 0 && <Search label={T.chat.search} value={search} set={setSearch} />}
                {items.length > 0 && shown.length === 0 && <Empty>{T.chat.noFit}</Empty>}
                <ul class="list">
                    {shown.map((conversation) => (
                        <li key={conversation.id} class="row" data-row>
                            <a
                                class="grow ellipsis"
                                data-open
                                href={`#/chat/${conversation.id}`}
                                aria-current={conversation.id === id ? "page" : undefined}
                            >
                                <bdi>{nameOf(conversation)}</bdi>
                            </a>
                            <span class="muted number">
                                <Ago at={conversation.updated_at} />
                            </span>
                            <Menu
                                label={T.actionsOf(nameOf(conversation))}
                                items={[
                                    { name: T.rename, run: () => setRenamed(conversation) },
                                    { name: T.delete, run: () => remove(conversation, conversation.id === id) },
                                ]}
                            />
                        </li>
                    ))}
                </ul>
                <More load={loaded.loadMore} />
            </aside>
            {renamed && (
                <Rename
                    title={renamed.title}
                    maxLength={200}
                    save={(title) => rename(renamed, title)}
                    close={() => setRenamed(undefined)}
                />
            )}
            {id ? (
                <OpenTalk key={id} id={id === "new" ? undefined : id} />
            ) : (
                <div class="talk">
                    <Empty>
                        {T.chat.lead}{" "}
                        <a class="button" href="#/chat/new">
                            {T.chat.new}
                        </a>
                    </Empty>
                </div>
            )}
        </div>
    );
}
