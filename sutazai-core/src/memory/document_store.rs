//! [`DocumentStore`] over std collections: one lock, no durability.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::listing::newest_first;
use crate::documents::tokenizer::{score, terms_to_find, weight, words};
use crate::domain::{
    Chunk, Document, DocumentId, DocumentQuota, Page, PageRequest, Passage, PassageQuery, UserId, quota,
};
use crate::error::{Error, Result};
use crate::ports::DocumentStore;

/// Documents in memory, lost when the process ends. For tests, examples, and embedders that need no durability. A
/// search scans all chunks of its owner.
#[derive(Debug, Default)]
pub struct MemoryDocumentStore {
    kept: Mutex<BTreeMap<DocumentId, Kept>>,
}

#[derive(Debug)]
struct Kept {
    document: Document,
    chunks: BTreeMap<u32, Chunk>,
}

impl MemoryDocumentStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DocumentId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DocumentStore for MemoryDocumentStore {
    async fn add_within(
        &self,
        document: &Document,
        chunks: Vec<Chunk>,
        quota: Option<DocumentQuota>,
    ) -> Result<Document> {
        let indices: BTreeSet<u32> = chunks.iter().map(|chunk| chunk.index).collect();
        let mut kept = self.lock();
        let key = |document: &Document| Some((document.owner, document.upload_key.clone()?.key));
        let wanted = key(document);
        let known = kept.values().find(|other| wanted.is_some() && key(&other.document) == wanted);
        if let Some(known) = known {
            return known.document.clone().asked_for_again(document);
        }
        if kept.contains_key(&document.id) || indices.len() < chunks.len() {
            return Err(Error::conflict(format!(
                "document {} or one of its chunks already exists",
                document.id
            )));
        }
        if let Some(quota) = quota.filter(|_| document.owner.is_some()) {
            let owned = || kept.values().filter(|other| other.document.owner == document.owner);
            let bytes: u64 = owned().map(|other| other.document.size_bytes).sum();
            if owned().count() >= quota.documents as usize {
                return Err(quota::too_many("documents", quota.documents));
            }
            if bytes + document.size_bytes > quota.bytes {
                return Err(quota::too_large(&quota));
            }
        }
        let chunks = chunks.into_iter().map(|chunk| (chunk.index, chunk)).collect();
        kept.insert(document.id, Kept { document: document.clone(), chunks });
        Ok(document.clone())
    }

    async fn get(&self, id: DocumentId) -> Result<Option<Document>> {
        Ok(self.lock().get(&id).map(|kept| kept.document.clone()))
    }

    async fn list(
        &self,
        owner: Option<UserId>,
        page: PageRequest<DocumentId>,
    ) -> Result<Page<Document, DocumentId>> {
        let all = self.lock();
        let owned = |document: &Document| owner.is_none() || document.owner == owner;
        Ok(newest_first(&all, page, owned, |kept| &kept.document, |document| document.title.len()))
    }

    async fn rename(&self, id: DocumentId, title: &str) -> Result<()> {
        let mut all = self.lock();
        let missing = || Error::not_found(format!("document {id}"));
        all.get_mut(&id).ok_or_else(missing)?.document.title = title.to_owned();
        Ok(())
    }

    async fn chunks(&self, document: DocumentId, from: u32, limit: u32) -> Result<Vec<Chunk>> {
        let kept = self.lock();
        let chunks = kept.get(&document).into_iter().flat_map(|kept| kept.chunks.range(from..));
        Ok(chunks.take(limit as usize).map(|(_, chunk)| chunk.clone()).collect())
    }

    async fn search(&self, query: &PassageQuery) -> Result<Vec<Passage>> {
        let wanted = terms_to_find(&query.text);
        let kept = self.lock();
        let theirs = kept.values().filter(|kept| kept.document.owner == query.owner);
        let counted: Vec<(&Kept, &Chunk, Vec<usize>)> = theirs
            .flat_map(|kept| kept.chunks.values().map(move |chunk| (kept, chunk)))
            .map(|(kept, chunk)| (kept, chunk, times(&wanted, &chunk.text)))
            .collect();
        let weights: Vec<i64> = (0..wanted.len())
            .map(|word| counted.iter().filter(|(.., times)| times[word] > 0).count())
            .map(|with| weight(counted.len() as u64, with as u64))
            .collect();
        let mut found: Vec<_> = counted
            .iter()
            .map(|(kept, chunk, times)| {
                let has = weights.iter().zip(times).filter(|(_, times)| **times > 0);
                let worth: i64 = has.map(|(weight, _)| weight).sum();
                (worth, times.iter().sum::<usize>(), *kept, *chunk)
            })
            .filter(|(worth, ..)| *worth > 0)
            .collect();
        found.sort_by_key(|(worth, times, kept, chunk)| {
            Reverse((*worth, *times, kept.document.id, Reverse(chunk.index)))
        });
        found.truncate(query.limit as usize);
        Ok(found
            .into_iter()
            .map(|(worth, _, kept, chunk)| Passage {
                chunk: chunk.clone(),
                title: kept.document.title.clone(),
                score: score(worth),
            })
            .collect())
    }

    async fn delete(&self, id: DocumentId) -> Result<()> {
        let gone = self.lock().remove(&id);
        gone.map(|_| ()).ok_or_else(|| Error::not_found(format!("document {id}")))
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        let mut all = self.lock();
        let before = all.len();
        all.retain(|_, kept| kept.document.owner != Some(owner));
        Ok((before - all.len()) as u64)
    }
}

/// Counts the occurrences of each term in a text.
fn times(wanted: &[Vec<String>], text: &str) -> Vec<usize> {
    let words: Vec<String> = words(text).collect();
    let count = |term: &Vec<String>| words.windows(term.len()).filter(|window| window == term).count();
    wanted.iter().map(count).collect()
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::UserId;

    #[tokio::test]
    async fn conforms() {
        let make = || async { (Arc::new(MemoryDocumentStore::new()), UserId::new(), UserId::new()) };
        crate::testing::document_store::run_all(make).await;
    }
}
