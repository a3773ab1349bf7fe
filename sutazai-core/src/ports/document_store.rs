//! Store of documents and their chunks.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::{
    Chunk, Document, DocumentId, DocumentQuota, Page, PageRequest, Passage, PassageQuery, UserId,
};
use crate::error::Result;

/// Store of documents and their chunks, with full-text search.
///
/// # Contract
/// - An added document is found by its id with all its fields and chunks; an unknown id finds none.
/// - `add` adds a document with all its chunks or not at all: a taken id, or two chunks with one index, is `Conflict`.
/// - `add_within` returns the added document. If a document of the owner has the same upload key, it adds nothing and
///   returns that one for an equal digest, else `Conflict` naming `idempotency_key`, also under concurrent uploads and
///   whatever the quota. The key of another owner, or of a deleted document, is free.
/// - With a quota, a document that exceeds the owner's number or space is `Conflict` and is not added, also under
///   concurrent uploads. Documents without an owner have no quota.
/// - `list` returns the documents of one owner, or of all, newest first, page by page.
/// - `rename` sets the title of a document, also as passages show it, and nothing else; an unknown one is `NotFound`.
/// - `chunks` returns the chunks of one document in their order, from a given index.
/// - `search` finds the chunks with at least one of the words or phrases, as whole words by the rules of
///   [`words`](crate::adapter::tokenizer::words); the words of a phrase must be adjacent.
/// - `search` sorts by more or rarer matching words, then by their frequency, then by newer document, then by earlier
///   chunk, and returns at most `limit`.
/// - `search` accepts every text as words and phrases: other signs and operators have no meaning, and no words find
///   nothing.
/// - `search` finds and counts only documents of the given owner, or only those without an owner.
/// - `delete` removes a document, its chunks and their search index, and nothing else; an unknown one is `NotFound`.
/// - `delete_all` removes all documents of one owner with their chunks and returns their number.
///
/// # Errors
/// Those of every [store](crate::ports#stores), and those that the methods name.
///
/// # Cancel safety
/// A call whose future is dropped has its whole effect or none, possibly after the drop; a read has no effect.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use sutazai_core::documents::Documents;
/// use sutazai_core::domain::{Caller, MediaType, NewDocument};
/// use sutazai_core::memory::MemoryDocumentStore;
/// use sutazai_core::ports::{DocumentStore, SystemClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sutazai_core::Result<()> {
/// let store = Arc::new(MemoryDocumentStore::new());
/// let documents = Documents::new(store.clone(), Arc::new(SystemClock));
/// let file = b"The disk /data is full.".to_vec();
/// let new = NewDocument { title: "note".into(), media_type: MediaType::Plain, file };
/// let document = documents.upload(&Caller::System, new).await?;
/// let chunks = store.chunks(document.id, 0, 10).await?;
/// assert_eq!(chunks[0].text, "The disk /data is full.");
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait DocumentStore: Debug + Send + Sync + 'static {
    /// Stores a document and its chunks without a quota.
    ///
    /// # Errors
    /// `Conflict` for a known id, or for two chunks with one index.
    async fn add(&self, document: &Document, chunks: Vec<Chunk>) -> Result<()> {
        self.add_within(document, chunks, None).await.map(|_| ())
    }

    /// Stores a document and its chunks within the quota; returns it, or the one uploaded with the same key.
    ///
    /// # Errors
    /// Those of [`add`](Self::add); `Conflict` if the quota would be exceeded, or, naming `idempotency_key`, if the
    /// key belongs to another upload.
    async fn add_within(
        &self,
        document: &Document,
        chunks: Vec<Chunk>,
        quota: Option<DocumentQuota>,
    ) -> Result<Document>;

    /// Returns the document, if there is one.
    async fn get(&self, id: DocumentId) -> Result<Option<Document>>;

    /// Returns one page of the documents of `owner`, or of all.
    async fn list(
        &self,
        owner: Option<UserId>,
        page: PageRequest<DocumentId>,
    ) -> Result<Page<Document, DocumentId>>;

    /// Sets the title of a document.
    ///
    /// # Errors
    /// `NotFound` if there is no such document.
    async fn rename(&self, id: DocumentId, title: &str) -> Result<()>;

    /// Returns at most `limit` chunks of a document, beginning with index `from`.
    async fn chunks(&self, document: DocumentId, from: u32, limit: u32) -> Result<Vec<Chunk>>;

    /// Returns the best passages for these words.
    async fn search(&self, query: &PassageQuery) -> Result<Vec<Passage>>;

    /// Removes a document and its chunks.
    ///
    /// # Errors
    /// `NotFound` if there is no such document.
    async fn delete(&self, id: DocumentId) -> Result<()>;

    /// Removes all documents of an owner and returns their number.
    ///
    /// # Errors
    /// Those of every store; documents that were removed by then stay removed.
    async fn delete_all(&self, owner: UserId) -> Result<u64>;
}
