//! Requests about documents without an owner.

use serde::Deserialize;
use serde_json::{Value, json};
use sutazai::Result;
use sutazai::domain::{Chunk, Document, DocumentId, MediaType, NewDocument, Page, PageLimit, Passage};

use super::{Answer, Id, PageBody, answer, id, nothing, page};
use crate::local::Local;

#[derive(Debug, Deserialize)]
pub(super) struct Add {
    title: String,
    /// Name of the file, whose extension decides if there is no media type.
    name: Option<String>,
    media_type: Option<String>,
}

pub(super) async fn add(local: &Local, body: Add, file: &[u8]) -> Answer {
    let media_type = MediaType::of_file(body.media_type.as_deref(), body.name.as_deref())?;
    let new = NewDocument { title: body.title, media_type, file: file.to_vec() };
    answer(&view(&local.documents.upload(&local.caller, new).await?))
}

pub(super) async fn list(local: &Local, body: PageBody) -> Answer {
    let found = local.documents.list(&local.caller, None, body.request()?).await?;
    page(Page { items: found.items.iter().map(view).collect(), next: found.next })
}

pub(super) async fn get(local: &Local, body: Id) -> Answer {
    answer(&view(&local.documents.document(&local.caller, document_id(&body.id)?).await?))
}

#[derive(Debug, Deserialize)]
pub(super) struct Chunks {
    id: String,
    first: u32,
    limit: u32,
}

pub(super) async fn chunks(local: &Local, body: Chunks) -> Answer {
    let (id, limit) = (document_id(&body.id)?, PageLimit::new(body.limit)?);
    let found = local.documents.chunks(&local.caller, id, body.first, limit).await?;
    answer(&found.iter().map(chunk).collect::<Vec<_>>())
}

#[derive(Debug, Deserialize)]
pub(super) struct Search {
    text: String,
    limit: u32,
}

pub(super) async fn search(local: &Local, body: Search) -> Answer {
    let limit = PageLimit::new(body.limit)?;
    let found = local.documents.search(&local.caller, &body.text, limit).await?;
    let view = |passage: &Passage| json!({ "title": passage.title, "score": passage.score, "chunk": chunk(&passage.chunk) });
    answer(&found.iter().map(view).collect::<Vec<_>>())
}

pub(super) async fn delete(local: &Local, body: Id) -> Answer {
    local.documents.delete(&local.caller, document_id(&body.id)?).await?;
    nothing()
}

fn document_id(text: &str) -> Result<DocumentId> {
    id("document", text)
}

fn view(document: &Document) -> Value {
    json!({
        "id": document.id,
        "title": document.title,
        "media_type": document.media_type.as_str(),
        "size_bytes": document.size_bytes,
        "chunks": document.chunks,
        "created_at": document.created_at,
    })
}

fn chunk(chunk: &Chunk) -> Value {
    json!({
        "document_id": chunk.document,
        "index": chunk.index,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
    })
}
