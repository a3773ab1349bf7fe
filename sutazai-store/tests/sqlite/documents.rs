//! Word index: words belong to their owners and are deleted with their document, however that is deleted.

use sqlx::{Connection, Row, SqliteConnection};
use sutazai_core::domain::{Chunk, Document, DocumentId, MediaType, PassageQuery, UserId};
use sutazai_core::ports::{Clock, SystemClock};
use sutazai_core::testing::identity_store::user_named;
use sutazai_store::migrations::{down, up};

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
        upload_key: None,
    };
    (document, vec![Chunk { document: id, index: 0, start: 0, end: 1, text: text.into() }])
}

/// Returns the words in the index, sorted; fails if the index is inconsistent with the chunks.
async fn words(place: &Place) -> Vec<String> {
    let mut connection = connect(place).await;
    let check = "INSERT INTO chunk_words (chunk_words) VALUES ('integrity-check');
        CREATE VIRTUAL TABLE temp.terms USING fts5vocab (main, chunk_words, row);";
    sqlx::raw_sql(check).execute(&mut connection).await.unwrap();
    let rows = sqlx::query("SELECT term FROM terms ORDER BY term").fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn words_are_deleted_with_their_document_and_user() {
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
    let nobody = "0".repeat(32);
    let of_nobody = [format!("{nobody}astays"), format!("{nobody}awalrus")];
    let of_ada = ["stays", "zebra"].map(|word| format!("{}a{word}", ada.id.0.simple()));
    // Each owner has words of its own, even if others have the same, so a search reads no words of others.
    assert_eq!(words(&place).await, [&of_nobody[..], &of_ada[..]].concat());
    let mut connection = connect(&place).await;
    let delete = sqlx::query("DELETE FROM users WHERE id = ?").bind(ada.id.0);
    assert_eq!(delete.execute(&mut connection).await.unwrap().rows_affected(), 1);
    assert_eq!(words(&place).await, of_nobody);
}

#[tokio::test]
async fn earlier_documents_are_indexed_again() {
    let place = Place::new();
    let stores = place.open().await;
    let text = "İstanbul ΟΔΟΣ Donau\u{ad}dampf zebra";
    // More chunks than are indexed in one statement.
    for n in 0..3 {
        let (mut document, _) = document(None, "");
        let text = |index| format!("{text} n{n}i{index}");
        document.chunks = 400;
        let chunks = (0..400)
            .map(|index| Chunk { document: document.id, index, start: 0, end: 1, text: text(index) })
            .collect();
        stores.documents.add(&document, chunks).await.unwrap();
    }
    drop(stores);
    let now = words(&place).await;
    while down(&place.url(), 1).await.unwrap()[0].name != "words" {}
    let before = words(&place).await;
    assert!(before.contains(&format!("{}zebra", "0".repeat(32))), "{before:?}");
    up(&place.url()).await.unwrap();
    assert_eq!(words(&place).await, now);
    let stores = place.open().await;
    for (text, found) in [
        ("i\u{307}stanbul", 100),
        ("οδος", 100),
        ("donaudampf", 100),
        ("donau", 0),
        ("n2i399", 1),
        ("n0i0", 1),
    ] {
        let query = PassageQuery { owner: None, text: text.into(), limit: 100 };
        assert_eq!(stores.documents.search(&query).await.unwrap().len(), found, "{text}");
    }
}

#[tokio::test]
async fn earlier_words_belong_to_their_owners_after_the_migration() {
    let place = Place::new();
    let stores = place.open().await;
    let (ada, eve) = (user_named("ada"), user_named("eve"));
    for user in [&ada, &eve] {
        stores.identity.create_user(user).await.unwrap();
    }
    for (owner, text) in [(Some(ada.id), "Zebra and zebra"), (None, "Quagga and café"), (Some(eve.id), "!")]
    {
        let (document, chunks) = document(owner, text);
        stores.documents.add(&document, chunks).await.unwrap();
    }
    drop(stores);
    let before = words(&place).await;
    while down(&place.url(), 1).await.unwrap()[0].name != "owned_words" {}
    assert_eq!(words(&place).await, ["and", "café", "quagga", "zebra"]);
    up(&place.url()).await.unwrap();
    assert_eq!(words(&place).await, before);
    let stores = place.open().await;
    for (owner, text, found) in [
        (Some(ada.id), "ZEBRA", 1),
        (Some(ada.id), "quagga", 0),
        (Some(eve.id), "zebra and", 0),
        (None, "café zebra", 1),
        (None, "CAFE\u{301}", 1),
    ] {
        let query = PassageQuery { owner, text: text.into(), limit: 10 };
        assert_eq!(stores.documents.search(&query).await.unwrap().len(), found, "{owner:?}: {text}");
    }
}

/// Builds a document with as many chunks as one of ten megabytes.
fn large_document(owner: Option<UserId>) -> (Document, Vec<Chunk>) {
    let (mut document, _) = document(owner, "");
    document.chunks = 10_000;
    let chunk = |index| Chunk {
        document: document.id,
        index,
        start: index * 1_000,
        end: index * 1_000 + 1_000,
        text: format!("word{index} ").repeat(100),
    };
    let chunks = (0..document.chunks).map(chunk).collect();
    (document, chunks)
}

#[tokio::test]
async fn other_writes_run_between_the_parts_of_a_large_document() {
    let place = Place::new();
    let stores = place.open().await;
    let (document, chunks) = large_document(None);
    let adding = stores.documents.add(&document, chunks);
    tokio::pin!(adding);
    for name in ["ada", "eve", "tom"] {
        let user = user_named(name);
        tokio::select! {
            biased;
            created = stores.identity.create_user(&user) => created.unwrap(),
            added = &mut adding => panic!("{name} must not wait for the whole document: {added:?}"),
        }
        assert_eq!(
            stores.documents.get(document.id).await.unwrap(),
            None,
            "an incomplete document must be hidden"
        );
    }
    adding.await.unwrap();
    assert!(stores.documents.get(document.id).await.unwrap().is_some());
    let removing = stores.documents.delete(document.id);
    tokio::pin!(removing);
    let user = user_named("sue");
    tokio::select! {
        biased;
        created = stores.identity.create_user(&user) => created.unwrap(),
        removed = &mut removing => panic!("must not wait for the whole document: {removed:?}"),
    }
    removing.await.unwrap();
    assert_eq!(words(&place).await, Vec::<String>::new());
}

#[tokio::test]
async fn interrupted_upload_is_removed_at_the_next_start() {
    let place = Place::new();
    let stores = place.open().await;
    let [(kept, kept_chunks), (cut, cut_chunks), (new, new_chunks)] =
        ["kept", "cut", "new"].map(|text| document(None, text));
    for (document, chunks) in [(&kept, kept_chunks), (&cut, cut_chunks), (&new, new_chunks)] {
        stores.documents.add(document, chunks).await.unwrap();
    }
    drop(stores);
    // Simulates unfinished uploads: one of yesterday, and one that another process is still writing.
    let mut connection = connect(&place).await;
    let day = 86_400_000_000_000_i64;
    for (id, age) in [(cut.id, day), (new.id, 0)] {
        let unfinished = "UPDATE documents SET complete = 0, begun_at = begun_at - ? WHERE id = ?";
        sqlx::query(unfinished).bind(age).bind(id.0).execute(&mut connection).await.unwrap();
    }
    let stores = place.open().await;
    for (id, shown) in [(kept.id, true), (cut.id, false), (new.id, false)] {
        assert_eq!(stores.documents.get(id).await.unwrap().is_some(), shown);
    }
    let nobody = "0".repeat(32);
    assert_eq!(words(&place).await, [format!("{nobody}akept"), format!("{nobody}anew")]);
    let query = PassageQuery { owner: None, text: "kept cut new".into(), limit: 10 };
    let found = stores.documents.search(&query).await.unwrap();
    assert_eq!(found.iter().map(|passage| passage.chunk.document).collect::<Vec<_>>(), [kept.id]);
}
