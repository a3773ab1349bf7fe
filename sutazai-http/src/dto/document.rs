//! Documents of users, their chunks, and what a search finds of them. What describes the API is in `crate::document`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_core::Result;
use sutazai_core::domain::{
    Chunk, Document, DocumentId, DocumentPage, DocumentQuery, MediaType, Passage, UserId,
};
use utoipa::{IntoParams, ToSchema};

use crate::document::words::MediaTypeWord;
use crate::dto::cursor::{DEFAULT_LIMIT, read_cursor, write_cursor};

/// A file to be kept as a document.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what `FileForm` reads")]
pub(crate) struct UploadDocument {
    /// A text in UTF-8, or in UTF-16 with a byte order mark. Its content type, or the ending of its name, says what it is:
    /// `text/plain` (`.txt`), `text/markdown` (`.md`) or `text/html` (`.html`).
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// What it is to be called; left out or empty: the file's name.
    #[schema(max_length = 255, nullable = false, example = "Handbook")]
    title: Option<String>,
}

/// A document as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Document)]
pub(crate) struct DocumentView {
    #[schema(value_type = Uuid)]
    id: DocumentId,
    /// Whose it is; null when the server runs without users.
    #[schema(value_type = Option<Uuid>)]
    owner: Option<UserId>,
    title: String,
    /// What kind of file it was read from.
    #[schema(value_type = MediaTypeWord)]
    media_type: &'static str,
    /// How large that file was.
    size_bytes: u64,
    /// How many chunks its text was split into.
    chunks: u32,
    created_at: DateTime<Utc>,
}

impl From<Document> for DocumentView {
    fn from(document: Document) -> Self {
        Self {
            id: document.id,
            owner: document.owner,
            title: document.title,
            media_type: MediaType::as_str(document.media_type),
            size_bytes: document.size_bytes,
            chunks: document.chunks,
            created_at: document.created_at,
        }
    }
}

/// One page of documents.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentList {
    items: Vec<DocumentView>,
    /// Hand it back as `cursor` for the next page; null at the end.
    next_cursor: Option<String>,
}

impl From<DocumentPage> for DocumentList {
    fn from(page: DocumentPage) -> Self {
        Self {
            items: page.items.into_iter().map(DocumentView::from).collect(),
            next_cursor: page.next.map(|id| write_cursor(id.0)),
        }
    }
}

/// The parameters of a listing.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListDocuments {
    /// Documents on a page.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u32,
    /// The `next_cursor` of the page before.
    #[param(nullable = false, pattern = "^[0-9a-f]{32}$")]
    cursor: Option<String>,
}

fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

impl ListDocuments {
    /// # Errors
    /// `InvalidInput` naming `cursor`.
    pub(crate) fn query(&self) -> Result<DocumentQuery> {
        let before = self.cursor.as_deref().map(read_cursor).transpose()?.map(DocumentId);
        Ok(DocumentQuery { owner: None, before, limit: self.limit })
    }
}

/// Which chunks of a document.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListChunks {
    /// Chunks on a page.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub(crate) limit: u32,
    /// The index of the first of them.
    #[serde(default)]
    #[param(minimum = 0, maximum = 4294967295_u32, default = 0)]
    pub(crate) from: u32,
}

/// A piece of a document's text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Chunk)]
pub(crate) struct ChunkView {
    #[schema(value_type = Uuid)]
    document_id: DocumentId,
    /// Which of the document's chunks it is: 0, 1, 2 ...
    index: u32,
    /// Where it begins in the document's text, in characters from 0.
    start: u32,
    /// Where it ends: the character behind its last one.
    end: u32,
    text: String,
}

impl From<Chunk> for ChunkView {
    fn from(chunk: Chunk) -> Self {
        Self {
            document_id: chunk.document,
            index: chunk.index,
            start: chunk.start,
            end: chunk.end,
            text: chunk.text,
        }
    }
}

/// Some chunks of a document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChunkList {
    /// In their order.
    items: Vec<ChunkView>,
    /// Hand it back as `from` for those after them; null at the end.
    next_from: Option<u32>,
}

impl ChunkList {
    /// These chunks of a document that has so many.
    pub(crate) fn new(chunks: Vec<Chunk>, of: u32) -> Self {
        let next = chunks.last().map(|last| last.index.saturating_add(1));
        Self {
            next_from: next.filter(|next| *next < of),
            items: chunks.into_iter().map(ChunkView::from).collect(),
        }
    }
}

/// What to look for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchDocuments {
    /// Words, in any order, and phrases between quotation marks; a chunk is found that has at least one of them.
    #[param(min_length = 1, max_length = 1000, pattern = "^[^\\u0000]+$", example = "lease \"dead worker\"")]
    pub(crate) q: String,
    /// At most so many passages.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub(crate) limit: u32,
}

/// A chunk that a search found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Passage)]
pub(crate) struct PassageView {
    /// What its document is called.
    title: String,
    /// How much of what was looked for it has; it compares passages of one search only.
    score: f64,
    chunk: ChunkView,
}

/// What a search found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PassageList {
    /// The best first.
    items: Vec<PassageView>,
}

impl From<Vec<Passage>> for PassageList {
    fn from(passages: Vec<Passage>) -> Self {
        let view = |passage: Passage| PassageView {
            title: passage.title,
            score: passage.score,
            chunk: passage.chunk.into(),
        };
        Self { items: passages.into_iter().map(view).collect() }
    }
}
