//! Operations of callers on their documents.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::file::decode;
use super::html::text_of;
use super::keyed_semaphores::KeyedSemaphores;
use super::split::split;
use super::tokenizer::{places, terms_to_find};
use crate::domain::{
    Caller, Chunk, Document, DocumentId, DocumentQuota, MediaType, NewDocument, Page, PageLimit, PageRequest,
    Passage, PassageQuery, UploadKey, UserId,
};
use crate::error::{Error, Result};
use crate::ports::{Clock, DocumentStore};
use crate::validation::length;

/// Maximum length of a title in characters, the longest file name of common file systems.
const TITLE: usize = 255;
/// Maximum size of a file in bytes.
const FILE: usize = 10 * 1_000 * 1_000;
/// Maximum length of an idempotency key in characters.
const KEY: usize = 200;
/// Maximum length of a search text in characters.
const SEARCH: usize = 1_000;
/// Maximum number of concurrent searches of one owner. Further ones of the same owner wait, those of other owners do
/// not.
const SEARCHES_OF_OWNER: usize = 2;
/// Maximum number of files read concurrently: each occupies a processor and holds its text several times. Others wait.
const READ_AT_ONCE: usize = 2;

/// Documents of users. Cheap to clone; all clones share their state.
///
/// # Cancel safety
/// A method that only reads can be dropped at any time; one that changes a document has its whole effect or none,
/// possibly after the future is dropped.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use sutazai_core::documents::Documents;
/// use sutazai_core::domain::{Caller, MediaType, NewDocument, PageLimit};
/// use sutazai_core::memory::MemoryDocumentStore;
/// use sutazai_core::ports::SystemClock;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sutazai_core::Result<()> {
/// let documents = Documents::new(Arc::new(MemoryDocumentStore::new()), Arc::new(SystemClock));
/// let file = b"The disk /data is full.".to_vec();
/// let new = NewDocument { title: "note".into(), media_type: MediaType::Plain, file };
/// documents.upload(&Caller::System, new).await?;
/// let found = documents.search(&Caller::System, "full disk", PageLimit::default()).await?;
/// assert_eq!(found.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Documents {
    store: Arc<dyn DocumentStore>,
    clock: Arc<dyn Clock>,
    quota: Option<DocumentQuota>,
    reading: Arc<Semaphore>,
    searching: Arc<KeyedSemaphores<Option<UserId>>>,
}

impl Documents {
    /// Creates the operations over this store; `clock` gives the time of an upload.
    pub fn new(store: Arc<dyn DocumentStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            quota: None,
            reading: Arc::new(Semaphore::new(READ_AT_ONCE)),
            searching: Arc::new(KeyedSemaphores::new(SEARCHES_OF_OWNER)),
        }
    }

    /// Limits the number and total size of each user's documents; default: unlimited.
    #[must_use]
    pub fn quota_per_user(self, quota: DocumentQuota) -> Self {
        Self { quota: Some(quota), ..self }
    }

    /// Stores a file as a document: extracts its text, splits it into chunks, and stores both completely or not at all.
    ///
    /// # Errors
    /// `InvalidInput` naming `title` or `file`; `Conflict` if the user's quota is exceeded.
    ///
    /// # Panics
    /// Outside of a Tokio runtime, on whose blocking threads the file is read.
    ///
    /// # Cancel safety
    /// A dropped future may store the document all the same. To upload again without a second document, use
    /// [`upload_once`](Self::upload_once).
    pub async fn upload(&self, caller: &Caller, new: NewDocument) -> Result<Document> {
        self.upload_once(caller, new, None).await
    }

    /// Stores a file like [`upload`](Self::upload), but once per idempotency key of a caller: the same file with the
    /// same title and key returns the existing document.
    ///
    /// # Errors
    /// Those of [`upload`](Self::upload); naming `idempotency_key`, `InvalidInput` if it does not have 1 to 200
    /// characters, and `Conflict` if it was used for another upload.
    ///
    /// # Panics
    /// Those of [`upload`](Self::upload).
    ///
    /// # Cancel safety
    /// A dropped future may store the document all the same; a repetition with the key returns it.
    pub async fn upload_once(
        &self,
        caller: &Caller,
        new: NewDocument,
        key: Option<String>,
    ) -> Result<Document> {
        length("title", &new.title, 0, TITLE)?;
        if let Some(key) = &key {
            length("idempotency_key", key, 1, KEY)?;
        }
        let NewDocument { title, media_type, file } = new;
        if !(1..=FILE).contains(&file.len()) {
            return Err(Error::invalid("file", format!("expected 1 to {FILE} bytes, got {}", file.len())));
        }
        let (id, size_bytes) = (DocumentId::new(), file.len() as u64);
        let upload_key = key.map(|key| UploadKey { key, digest: digest(&title, media_type, &file) });
        let chunks = self.read(id, media_type, file).await?;
        let document = Document {
            id,
            owner: caller.owner(),
            title,
            media_type,
            size_bytes,
            chunks: chunks.len() as u32, // of 10 MB there are some ten thousand
            created_at: self.clock.now(),
            upload_key,
        };
        self.store.add_within(&document, chunks, self.quota).await
    }

    /// Returns one page of the documents of `owner`, or of all, newest first; users see only their own.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list(
        &self,
        caller: &Caller,
        owner: Option<UserId>,
        page: PageRequest<DocumentId>,
    ) -> Result<Page<Document, DocumentId>> {
        let owner = if caller.may_touch(owner) { owner } else { caller.owner() };
        self.store.list(owner, page).await
    }

    /// Returns the document with this id.
    ///
    /// # Errors
    /// `NotFound`, also for one that the caller may not see.
    pub async fn document(&self, caller: &Caller, id: DocumentId) -> Result<Document> {
        let found = self.store.get(id).await?.filter(|found| caller.may_touch(found.owner));
        found.ok_or_else(|| Error::not_found(format!("document {id}")))
    }

    /// Sets the title of a document and returns it.
    ///
    /// # Errors
    /// `InvalidInput` naming `title` if it has more than 255 characters; `NotFound`, also for a document that the caller
    /// may not see.
    pub async fn rename(&self, caller: &Caller, id: DocumentId, title: String) -> Result<Document> {
        length("title", &title, 0, TITLE)?;
        let document = self.document(caller, id).await?;
        self.store.rename(id, &title).await?;
        Ok(Document { title, ..document })
    }

    /// Returns the places of the words and phrases of a search in this text, in ascending order, without overlaps: the
    /// offsets of the first character and behind the last one, in Unicode scalar values.
    pub fn places(q: &str, text: &str) -> Vec<(usize, usize)> {
        places(&terms_to_find(q), text)
    }

    /// Returns at most `limit` chunks of a document in their order, beginning with index `from`.
    ///
    /// # Errors
    /// `NotFound`, also for one that the caller may not see.
    pub async fn chunks(
        &self,
        caller: &Caller,
        id: DocumentId,
        from: u32,
        limit: PageLimit,
    ) -> Result<Vec<Chunk>> {
        self.document(caller, id).await?;
        self.store.chunks(id, from, limit.get()).await
    }

    /// Returns the most relevant passages for these words, best first. Only the caller's own documents are searched,
    /// even for admins: the documents of other users are no answer to their search.
    ///
    /// # Errors
    /// `InvalidInput` naming `q` if it does not have 1 to 1,000 characters.
    pub async fn search(&self, caller: &Caller, q: &str, limit: PageLimit) -> Result<Vec<Passage>> {
        length("q", q, 1, SEARCH)?;
        let query = PassageQuery { owner: caller.owner(), text: q.to_owned(), limit: limit.get() };
        let _turn = self.searching.take(query.owner).await?;
        self.store.search(&query).await
    }

    /// Removes a document, its chunks and their search index.
    ///
    /// # Errors
    /// `NotFound`, also for one that the caller may not see.
    pub async fn delete(&self, caller: &Caller, id: DocumentId) -> Result<()> {
        self.document(caller, id).await?;
        self.store.delete(id).await
    }

    /// Reads a file on a blocking thread, so that it does not stall the runtime.
    async fn read(&self, id: DocumentId, media_type: MediaType, file: Vec<u8>) -> Result<Vec<Chunk>> {
        let closed = |e| Error::internal("the reader of files was closed").with_source(e);
        let turn = self.reading.clone().acquire_owned().await.map_err(closed)?;
        let reading = tokio::task::spawn_blocking(move || {
            // The permit is held here and not by the caller, which may be cancelled while the thread goes on.
            let _turn = turn;
            chunks_of(id, media_type, &file)
        });
        reading.await.map_err(|e| Error::internal("reading a file failed").with_source(e))?
    }
}

/// Computes the digest by which a repeated upload is recognized.
fn digest(title: &str, media_type: MediaType, file: &[u8]) -> String {
    let mut hasher = Sha256::new();
    // Titles have no NUL character, so the parts cannot be shifted against each other.
    for part in [title.as_bytes(), b"\0", media_type.as_str().as_bytes(), b"\0", file] {
        hasher.update(part);
    }
    HEXLOWER.encode(&hasher.finalize())
}

/// Extracts the text of a file and splits it into chunks.
pub(super) fn chunks_of(document: DocumentId, media_type: MediaType, file: &[u8]) -> Result<Vec<Chunk>> {
    let text = decode(file)?;
    let page;
    let text: &str = match media_type {
        MediaType::Plain | MediaType::Markdown => &text,
        MediaType::Html => {
            page = text_of(&text);
            &page
        }
    };
    if text.contains('\0') {
        return Err(Error::invalid("file", "expected a text without a zero character"));
    }
    // Files have at most 10 MB, so every offset in characters fits into 32 bits.
    let chunks: Vec<Chunk> = split(text, media_type == MediaType::Markdown)
        .zip(0..)
        .map(|(piece, index)| Chunk {
            document,
            index,
            start: piece.start as u32,
            end: piece.end as u32,
            text: piece.text.to_owned(),
        })
        .collect();
    if chunks.is_empty() {
        return Err(Error::invalid("file", "expected a file with some text in it, got none but white space"));
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn read(media_type: MediaType, file: &[u8]) -> Result<Vec<Chunk>> {
        chunks_of(DocumentId::new(), media_type, file)
    }

    #[test]
    fn file_is_read_by_its_media_type() {
        let page = "\u{feff}<title>T</title><p>One &lt; two</p>".as_bytes();
        assert_eq!(read(MediaType::Html, page).unwrap()[0].text, "T\n\nOne < two");
        assert_eq!(read(MediaType::Plain, page).unwrap()[0].text, "<title>T</title><p>One &lt; two</p>");
        let page: Vec<u8> =
            "\u{feff}<p>Größe</p><p hidden>X</p>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let chunk = &read(MediaType::Html, &page).unwrap()[0];
        assert_eq!((chunk.text.as_str(), chunk.start, chunk.end), ("Größe", 0, 5));
        let text = format!("{}\n# Two\n\n{}", "one ".repeat(200), "two ".repeat(200));
        let chunks = read(MediaType::Markdown, text.as_bytes()).unwrap();
        assert!(chunks[1].text.starts_with("# Two"));
        assert_eq!(chunks.iter().map(|chunk| chunk.index).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((chunks[1].start, chunks[1].end), (801, 1_607));
    }

    #[test]
    fn unreadable_file_is_named() {
        for (file, told) in [
            (&b"abc\xff"[..], "at byte 3"),
            (b"a\0b", "zero character"),
            (b" \n\t", "white space"),
            ("\u{feff}".as_bytes(), "white space"),
        ] {
            let e = read(MediaType::Plain, file).unwrap_err();
            assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("file")));
            assert!(e.to_string().contains(told), "{e}");
        }
        assert!(read(MediaType::Html, b"<p></p><script>x</script><p hidden>y</p>").is_err());
        let zero: Vec<u8> = "\u{feff}a\0b".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert!(read(MediaType::Plain, &zero).unwrap_err().to_string().contains("zero character"));
    }

    #[cfg(feature = "test-util")]
    #[tokio::test]
    async fn oversized_file_is_rejected_before_reading() {
        // The mock store fails the test if it is called at all.
        let store = Arc::new(crate::testing::MockDocumentStore::new());
        let documents = Documents::new(store, Arc::new(crate::ports::SystemClock));
        let new = |title: &str, size| NewDocument {
            title: title.into(),
            media_type: MediaType::Plain,
            file: vec![b'a'; size],
        };
        for (new, field) in [
            (new("", FILE + 1), "file"),
            (new("", 0), "file"),
            (new(&"x".repeat(TITLE + 1), 1), "title"),
            (new("\0", 1), "title"),
        ] {
            let e = documents.upload(&Caller::System, new).await.unwrap_err();
            assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some(field)));
        }
    }
}
