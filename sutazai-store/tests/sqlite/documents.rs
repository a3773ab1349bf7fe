//! What is deleted of documents is gone from the index of the words too, however it is deleted.

use sqlx::{Connection, Row, SqliteConnection};
use sutazai_core::domain::{Chunk, Document, DocumentId, MediaType, UserId};
use sutazai_core::ports::{Clock, SystemClock};
use sutazai_core::testing::identity_store::user_named;

use crate::place::Place;

async fn connect(place: &Place) -> SqliteConnection {
    let url = format!("sqlite://{}", place.file().display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("PRAGMA foreign_keys = ON").execute(&mut connection).await.unwrap();
    connection
}

fn document(owner: Option<UserId>, text: &str) -> (Document, Vec<Chunk>) {
    let id = DocumentId::new();
    let document = Document {
        id,
        owner,
        title: String::new(),
        media_type: MediaType::Plain,
        size_bytes: 1,
        chunks: 1,
        created_at: SystemClock.now(),
    };
    (document, vec![Chunk { document: id, index: 0, start: 0, end: 1, text: text.into() }])
}

/// The words that the index holds, in their order; fails where it does not fit the chunks.
async fn words(place: &Place) -> Vec<String> {
    let mut connection = connect(place).await;
    let check = "INSERT INTO chunk_words (chunk_words, rank) VALUES ('integrity-check', 1);
        CREATE VIRTUAL TABLE temp.terms USING fts5vocab (main, chunk_words, row);";
    sqlx::raw_sql(check).execute(&mut connection).await.unwrap();
    let rows = sqlx::query("SELECT term FROM terms ORDER BY term").fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn words_go_with_a_document_and_with_a_user() {
    let place = Place::new();
    let stores = place.open().await;
    let ada = user_named("ada");
    stores.identity.create_user(&ada).await.unwrap();
    for (owner, text) in [(Some(ada.id), "Zebra stays"), (None, "Quagga stays"), (None, "Walrus stays")] {
        let (document, chunks) = document(owner, text);
        stores.documents.add(&document, chunks).await.unwrap();
        if text.starts_with("Quagga") {
            stores.documents.delete(document.id).await.unwrap();
        }
    }
    assert_eq!(words(&place).await, ["stays", "walrus", "zebra"]);
    let mut connection = connect(&place).await;
    let delete = sqlx::query("DELETE FROM users WHERE id = ?").bind(ada.id.0);
    assert_eq!(delete.execute(&mut connection).await.unwrap().rows_affected(), 1);
    assert_eq!(words(&place).await, ["stays", "walrus"]);
}
