/** Documents and conversations of the user, loaded once for their pages and for the palette. */
import { api, data } from "./client";
import { type Listing, useListing } from "./listing";
import type { Conversation, Document } from "./types";

export const DOCUMENTS = "documents";
export const CONVERSATIONS = "conversations";

const LIMIT = 100;

export type DocumentList = Listing<Document>;
export type ConversationList = Listing<Conversation>;

export function useDocuments() {
    return useListing<Document>(DOCUMENTS, (cursor) =>
        data(api.GET("/api/v1/documents", { params: { query: { limit: LIMIT, ...(cursor ? { cursor } : {}) } } })),
    );
}

export function useConversations() {
    return useListing<Conversation>(CONVERSATIONS, (cursor) =>
        data(api.GET("/api/v1/conversations", { params: { query: { limit: LIMIT, ...(cursor ? { cursor } : {}) } } })),
    );
}
