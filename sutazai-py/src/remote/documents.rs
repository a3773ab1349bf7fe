//! Requests about documents of a server.

use serde::Deserialize;
use serde_json::Value;
use sutazai::Result;
use sutazai::domain::DocumentId;
use sutazai::external::uuid::Uuid;

use super::http::Http;
use super::request::{Form, Request};
use super::{Id, PageBody, items, page, passed};
use crate::verbs::{Answer, id, nothing};

#[derive(Debug, Deserialize)]
pub(super) struct Add {
    title: String,
    /// Name of the file, whose extension decides if there is no media type.
    name: Option<String>,
    media_type: Option<String>,
}

pub(super) async fn add(http: &Http, body: Add, file: &[u8]) -> Answer {
    let form =
        Form { title: &body.title, name: body.name.as_deref(), media_type: body.media_type.as_deref(), file };
    // With a key of its own the request may be repeated, and stores the document once.
    let key = Uuid::now_v7().to_string();
    passed(http, &Request::post("api/v1/documents").form(form).once(key)).await
}

pub(super) async fn list(http: &Http, body: PageBody) -> Answer {
    page(http, &body.of(Request::get("api/v1/documents")), |document: Value| document).await
}

fn path(body: &Id) -> Result<String> {
    Ok(format!("api/v1/documents/{}", id::<DocumentId>("document", &body.id)?))
}

pub(super) async fn get(http: &Http, body: Id) -> Answer {
    passed(http, &Request::get(path(&body)?)).await
}

#[derive(Debug, Deserialize)]
pub(super) struct Chunks {
    #[serde(flatten)]
    id: Id,
    first: u32,
    limit: u32,
}

pub(super) async fn chunks(http: &Http, body: Chunks) -> Answer {
    let request = Request::get(format!("{}/chunks", path(&body.id)?));
    items(http, &request.query("from", body.first).query("limit", body.limit)).await
}

#[derive(Debug, Deserialize)]
pub(super) struct Search {
    text: String,
    limit: u32,
}

pub(super) async fn search(http: &Http, body: Search) -> Answer {
    let request = Request::get("api/v1/documents/search").query("q", body.text);
    items(http, &request.query("limit", body.limit)).await
}

pub(super) async fn delete(http: &Http, body: Id) -> Answer {
    http.bytes(&Request::delete(path(&body)?)).await?;
    nothing()
}
