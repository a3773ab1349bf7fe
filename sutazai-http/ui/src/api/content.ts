/** Documents and conversations of the user, loaded once for their pages and for the palette. */
import { useLoaded } from "./cache";
import { api, data } from "./client";
import type { Conversation, Document } from "./types";

export const DOCUMENTS = "documents";
export const CONVERSATIONS = "conversations";

const LIMIT = 100;

interface List<T> {
    items: T[];
    next_cursor?: string | null;
}

export type DocumentList = List<Document>;
export type ConversationList = List<Conversation>;

export function useDocuments() {
    return useLoaded<DocumentList>(DOCUMENTS, () =>
        data(api.GET("/api/v1/documents", { params: { query: { limit: LIMIT } } })),
    );
}

export function useConversations() {
    return useLoaded<ConversationList>(CONVERSATIONS, () =>
        data(api.GET("/api/v1/conversations", { params: { query: { limit: LIMIT } } })),
    );
}
