//! [`DocumentStore`] with a span around each call.

use std::sync::Arc;

use async_trait::async_trait;
use sutazai_core::Result;
use sutazai_core::domain::{
    Chunk, Document, DocumentId, DocumentPage, DocumentQuery, DocumentQuota, Passage, PassageQuery, UserId,
};
use sutazai_core::ports::DocumentStore;

use super::database::TracedDatabase;

/// Decorator that records each call as a span in the trace of its caller.
#[derive(Debug)]
pub(super) struct TracedDocumentStore {
    pub(super) database: TracedDatabase,
    pub(super) store: Arc<dyn DocumentStore>,
}

#[async_trait]
impl DocumentStore for TracedDocumentStore {
    async fn add_within(
        &self,
        document: &Document,
        chunks: Vec<Chunk>,
        quota: Option<DocumentQuota>,
    ) -> Result<Document> {
        self.database.traced("INSERT", "documents", self.store.add_within(document, chunks, quota)).await
    }

    async fn get(&self, id: DocumentId) -> Result<Option<Document>> {
        self.database.traced("SELECT", "documents", self.store.get(id)).await
    }

    async fn list(&self, query: &DocumentQuery) -> Result<DocumentPage> {
        self.database.traced("SELECT", "documents", self.store.list(query)).await
    }

    async fn chunks(&self, document: DocumentId, from: u32, limit: u32) -> Result<Vec<Chunk>> {
        self.database.traced("SELECT", "chunks", self.store.chunks(document, from, limit)).await
    }

    async fn search(&self, query: &PassageQuery) -> Result<Vec<Passage>> {
        self.database.traced("SELECT", "chunks", self.store.search(query)).await
    }

    async fn delete(&self, id: DocumentId) -> Result<()> {
        self.database.traced("DELETE", "documents", self.store.delete(id)).await
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        self.database.traced("DELETE", "documents", self.store.delete_all(owner)).await
    }
}
