//! What callers can do with their documents.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::file::decode;
use super::html::text_of;
use super::split::split;
use super::turns::Turns;
use crate::bounds::{length, page};
use crate::domain::{
    Caller, Chunk, Document, DocumentId, DocumentPage, DocumentQuery, DocumentQuota, MediaType, NewDocument,
    Passage, PassageQuery, UploadKey, UserId,
};
use crate::error::{Error, Result};
use crate::ports::{Clock, DocumentStore};

/// The longest title, in characters: as long as the name of a file may be.
const TITLE: usize = 255;
/// The largest file, in bytes.
const FILE: usize = 10 * 1_000 * 1_000;
/// The longest idempotency key, in characters.
const KEY: usize = 200;
/// The longest text of a search, in characters.
const SEARCH: usize = 1_000;
/// Searches of one owner that run at once. Others of the same owner wait, those of other owners do not.
const SEARCHES_OF_OWNER: usize = 2;
/// So many files are read at once: each keeps a processor busy and holds its text several times. Others wait.
const READ_AT_ONCE: usize = 2;

/// Documents of users. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Documents {
    store: Arc<dyn DocumentStore>,
    clock: Arc<dyn Clock>,
    quota: Option<DocumentQuota>,
    reading: Arc<Semaphore>,
    searching: Arc<Turns<Option<UserId>>>,
}

impl Documents {
    /// Over this store; uploaded by this clock.
    pub fn new(store: Arc<dyn DocumentStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            quota: None,
            reading: Arc::new(Semaphore::new(READ_AT_ONCE)),
            searching: Arc::new(Turns::new(SEARCHES_OF_OWNER)),
        }
    }

    /// Limits the documents of each user and their bytes; default: any number.
    pub fn quota_per_user(self, quota: DocumentQuota) -> Self {
        Self { quota: Some(quota), ..self }
    }

    /// Keeps a file as a document: reads its text, splits it into chunks, and stores both, whole or not at all. Must be called
    /// in a tokio runtime.
    ///
    /// # Errors
    /// `InvalidInput` naming `title` or `file`; `Conflict` when the user has no space left.
    pub async fn upload(&self, caller: &Caller, new: NewDocument) -> Result<Document> {
        self.upload_once(caller, new, None).await
    }

    /// Does the same, but once for each idempotency key of a caller: the same file with the same title and key gives the document
    /// that is there already.
    ///
    /// # Errors
    /// As [`upload`](Self::upload), or naming `idempotency_key`: `InvalidInput` when it has not 1 to 200 characters, `Conflict` when
    /// something else was uploaded with it.
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

    /// A page of documents, newest first; a user's own only.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit` when it is not 1 to 100.
    pub async fn list(&self, caller: &Caller, mut query: DocumentQuery) -> Result<DocumentPage> {
        page(query.limit)?;
        if !caller.may_touch(query.owner) {
            query.owner = caller.owner();
        }
        self.store.list(&query).await
    }

    /// A document.
    ///
    /// # Errors
    /// `NotFound`, also for one that is not the caller's.
    pub async fn document(&self, caller: &Caller, id: DocumentId) -> Result<Document> {
        let found = self.store.get(id).await?.filter(|found| caller.may_touch(found.owner));
        found.ok_or_else(|| Error::not_found(format!("document {id}")))
    }

    /// At most `limit` chunks of a document in their order, from the one with the index `from` on.
    ///
    /// # Errors
    /// `NotFound`, or `InvalidInput` naming `limit` when it is not 1 to 100.
    pub async fn chunks(&self, caller: &Caller, id: DocumentId, from: u32, limit: u32) -> Result<Vec<Chunk>> {
        page(limit)?;
        self.document(caller, id).await?;
        self.store.chunks(id, from, limit).await
    }

    /// The passages that have most of these words, best first. Only the caller's own documents are looked at, whoever the
    /// caller is: what an admin may see of others is no answer to what they look for.
    ///
    /// # Errors
    /// `InvalidInput` naming `q` or `limit`, when they are not 1 to 1,000 characters and 1 to 100.
    pub async fn search(&self, caller: &Caller, q: &str, limit: u32) -> Result<Vec<Passage>> {
        length("q", q, 1, SEARCH)?;
        page(limit)?;
        let query = PassageQuery { owner: caller.owner(), text: q.to_owned(), limit };
        let _turn = self.searching.take(query.owner).await?;
        self.store.search(&query).await
    }

    /// Removes a document, its chunks and what the search knew of them.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete(&self, caller: &Caller, id: DocumentId) -> Result<()> {
        self.document(caller, id).await?;
        self.store.delete(id).await
    }

    /// Reads a file on a thread where it is in nobody's way.
    async fn read(&self, id: DocumentId, media_type: MediaType, file: Vec<u8>) -> Result<Vec<Chunk>> {
        let closed = |e| Error::internal("reading files was ended").with_source(e);
        let turn = self.reading.clone().acquire_owned().await.map_err(closed)?;
        let reading = tokio::task::spawn_blocking(move || {
            // Held here, not by the caller, who may go away while the thread goes on.
            let _turn = turn;
            chunks_of(id, media_type, &file)
        });
        reading.await.map_err(|e| Error::internal("reading a file failed").with_source(e))?
    }
}

/// What was uploaded, in short.
fn digest(title: &str, media_type: MediaType, file: &[u8]) -> String {
    let mut hasher = Sha256::new();
    // No title has a zero character, so it ends where it seems to.
    for part in [title.as_bytes(), b"\0", media_type.as_str().as_bytes(), b"\0", file] {
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The chunks of a file.
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
    // Files of at most 10 MB: every count of characters fits.
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
    fn a_file_is_read_as_what_it_is() {
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
    fn what_cannot_be_read_is_named() {
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

    #[cfg(feature = "testing")]
    #[tokio::test]
    async fn what_is_too_large_is_refused_before_it_is_read() {
        // A store that is asked for anything fails the test.
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
