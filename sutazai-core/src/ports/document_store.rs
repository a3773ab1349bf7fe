//! Where documents and their chunks live.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::{
    Chunk, Document, DocumentId, DocumentPage, DocumentQuery, DocumentQuota, Passage, PassageQuery, UserId,
};
use crate::error::Result;

/// The document store.
///
/// # Contract
/// - An added document is found by its id, whole, and so are its chunks; an unknown id finds none.
/// - `add` adds a document with all its chunks or not at all: where its id is taken, or two chunks have one index, it is
///   `Conflict`.
/// - `add_within` gives the document that was added. Where an owner's document has the same upload key, it adds nothing and gives that
///   one if the digest is the same too, and is `Conflict` naming `idempotency_key` otherwise, however many are added at once and
///   whatever the quota. The same key of another owner, and of a deleted document, is free.
/// - With a quota a document that would be one too many of its owner's, or too large for the space that they have left, is
///   `Conflict` and is not added, however many are added at once. Nobody's documents have no quota.
/// - `list` gives one owner's documents, or everybody's, newest first, page by page.
/// - `chunks` gives the chunks of one document in their order, from an index on.
/// - `search` finds the chunks that have at least one of the words or phrases, as whole words, by the rules of
///   [`words`](crate::documents::words::words); a phrase is found where its words follow one another.
/// - `search` puts first what has more of the words or rarer ones, then what has them more often, then the newer
///   document, then the earlier chunk, and gives no more than `limit`.
/// - `search` takes every text for words and phrases: other signs and operators mean nothing, and no words find nothing.
/// - `search` finds and counts what is one owner's, or what is nobody's, and nothing else.
/// - `delete` removes a document, its chunks and what the search knew of them, and nothing else; one that is not there is
///   `NotFound`.
/// - `delete_all` does so with all of one owner's, and tells how many those were.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait DocumentStore: Debug + Send + Sync + 'static {
    /// Adds a document and its chunks.
    async fn add(&self, document: &Document, chunks: Vec<Chunk>) -> Result<()> {
        self.add_within(document, chunks, None).await.map(|_| ())
    }

    /// Adds a document and its chunks, if its owner has space for it; gives it, or the one that was uploaded with its key.
    async fn add_within(
        &self,
        document: &Document,
        chunks: Vec<Chunk>,
        quota: Option<DocumentQuota>,
    ) -> Result<Document>;

    /// The document, if there is one.
    async fn get(&self, id: DocumentId) -> Result<Option<Document>>;

    /// A page of documents.
    async fn list(&self, query: &DocumentQuery) -> Result<DocumentPage>;

    /// At most `limit` chunks of a document, from the one with the index `from` on.
    async fn chunks(&self, document: DocumentId, from: u32, limit: u32) -> Result<Vec<Chunk>>;

    /// The best passages for these words.
    async fn search(&self, query: &PassageQuery) -> Result<Vec<Passage>>;

    /// Removes a document and its chunks.
    async fn delete(&self, id: DocumentId) -> Result<()>;

    /// Removes all documents of an owner.
    async fn delete_all(&self, owner: UserId) -> Result<u64>;
}
