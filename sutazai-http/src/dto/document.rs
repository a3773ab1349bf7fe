//! Documents of users, their chunks, and the passages that a search finds. The OpenAPI description is in
//! `crate::document`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_bodies::page::{PageView, read_limit};
use sutazai_bodies::vocabulary::MediaTypeWord;
use sutazai_core::documents::Documents;
use sutazai_core::domain::{Chunk, Document, DocumentId, MediaType, PageLimit, Passage, UserId};
use utoipa::{IntoParams, ToSchema};

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
pub(crate) type DocumentList = PageView<DocumentView>;

/// Query parameters of a list of chunks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListChunks {
    /// Maximum number of chunks on a page.
    #[serde(default, deserialize_with = "read_limit")]
    #[param(value_type = u32, minimum = 1, maximum = 100, default = 20)]
    pub(crate) limit: PageLimit,
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
    #[serde(default, deserialize_with = "read_limit")]
    #[param(value_type = u32, minimum = 1, maximum = 100, default = 20)]
    pub(crate) limit: PageLimit,
}

/// Request to rename a document.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenameDocument {
    #[schema(max_length = 255, pattern = "^[^\\u0000]*$", example = "Handbook")]
    pub(crate) title: String,
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
    /// Places of the words and phrases in the text of the chunk, in their order, without overlaps.
    matches: Vec<MatchView>,
}

/// Place of a word or a phrase in the text of a chunk.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Match)]
struct MatchView {
    /// Position of its first character in the text of the chunk, from 0.
    start: usize,
    /// Position after its last character.
    end: usize,
}

/// Result of a search.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PassageList {
    /// Passages of documents, best first.
    items: Vec<PassageView>,
}

impl PassageList {
    /// Creates the list of the passages that a search for `q` found.
    pub(crate) fn new(passages: Vec<Passage>, q: &str) -> Self {
        let matches = |text: &str| {
            let places = Documents::places(q, text).into_iter();
            places.map(|(start, end)| MatchView { start, end }).collect()
        };
        let view = |passage: Passage| PassageView {
            matches: matches(&passage.chunk.text),
            title: passage.title,
            score: passage.score,
            chunk: passage.chunk.into(),
        };
        Self { items: passages.into_iter().map(view).collect() }
    }
}
