//! Documents of users, their chunks, and the passages that a search finds. The OpenAPI description is in
//! `crate::document`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_core::Result;
use sutazai_core::domain::{
    Chunk, Document, DocumentId, DocumentPage, DocumentQuery, MediaType, Passage, UserId,
};
use utoipa::{IntoParams, ToSchema};

use crate::dto::cursor::{DEFAULT_LIMIT, read_cursor, write_cursor};
use crate::openapi::vocabulary::MediaTypeWord;

/// Multipart form with a file to store as a document.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what `FileForm` reads")]
pub(crate) struct UploadDocument {
    /// Text file in UTF-8, or in UTF-16 with a byte order mark. Its content type or the extension of its name
    /// determines the format: `text/plain` (`.txt`), `text/markdown` (`.md`) or `text/html` (`.html`).
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Title of the document; left out or empty: the name of the file.
    #[schema(max_length = 255, nullable = false, example = "Handbook")]
    title: Option<String>,
}

/// Document as shown to its owner.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Document)]
pub(crate) struct DocumentView {
    #[schema(value_type = Uuid)]
    id: DocumentId,
    /// Owner; null when the server runs without users.
    #[schema(value_type = Option<Uuid>)]
    owner: Option<UserId>,
    title: String,
    /// Format of the uploaded file.
    #[schema(value_type = MediaTypeWord)]
    media_type: &'static str,
    /// Size of the uploaded file in bytes.
    size_bytes: u64,
    /// Number of chunks that the text was split into.
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
    /// Cursor of the next page; null on the last page.
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

/// Query parameters of a list of documents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListDocuments {
    /// Maximum number of documents on a page.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u32,
    /// `next_cursor` of the previous page.
    #[param(nullable = false, pattern = "^[0-9a-f]{32}$")]
    cursor: Option<String>,
}

fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

impl ListDocuments {
    /// Converts the parameters into a query for documents.
    ///
    /// # Errors
    /// `InvalidInput` naming `cursor`.
    pub(crate) fn query(&self) -> Result<DocumentQuery> {
        let before = self.cursor.as_deref().map(read_cursor).transpose()?.map(DocumentId);
        Ok(DocumentQuery { owner: None, before, limit: self.limit })
    }
}

/// Query parameters of a list of chunks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListChunks {
    /// Maximum number of chunks on a page.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub(crate) limit: u32,
    /// Index of the first chunk to return.
    #[serde(default)]
    #[param(minimum = 0, maximum = 4294967295_u32, default = 0)]
    pub(crate) from: u32,
}

/// Chunk of the text of a document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Chunk)]
pub(crate) struct ChunkView {
    #[schema(value_type = Uuid)]
    document_id: DocumentId,
    /// Index of the chunk within the document, from 0.
    index: u32,
    /// Position of its first character in the text of the document, from 0.
    start: u32,
    /// Position after its last character.
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

/// Consecutive chunks of a document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChunkList {
    /// Chunks in the order of the text.
    items: Vec<ChunkView>,
    /// Value of `from` for the next chunks; null at the end of the document.
    next_from: Option<u32>,
}

impl ChunkList {
    /// Creates a page from chunks of a document that has `of` chunks in total.
    pub(crate) fn new(chunks: Vec<Chunk>, of: u32) -> Self {
        let next = chunks.last().map(|last| last.index.saturating_add(1));
        Self {
            next_from: next.filter(|next| *next < of),
            items: chunks.into_iter().map(ChunkView::from).collect(),
        }
    }
}

/// Query parameters of a search.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchDocuments {
    /// Words in any order, and phrases in quotation marks. A chunk matches if it contains at least one of them.
    #[param(min_length = 1, max_length = 1000, pattern = "^[^\\u0000]+$", example = "lease \"dead worker\"")]
    pub(crate) q: String,
    /// Maximum number of passages to return.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub(crate) limit: u32,
}

/// Chunk that a search found, with its score.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Passage)]
pub(crate) struct PassageView {
    /// Title of the document.
    title: String,
    /// Relevance; comparable only within one search.
    score: f64,
    chunk: ChunkView,
}

/// Result of a search.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PassageList {
    /// Passages of documents, best first.
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
