//! Conformance suite of the port [`DocumentStore`].

use std::future::Future;
use std::sync::Arc;

use chrono::{DateTime, TimeZone, Utc};
use futures::future::join_all;

use crate::documents::tokenizer::{score, weight};
use crate::domain::{
    Chunk, Document, DocumentId, DocumentQuota, MediaType, PageLimit, PageRequest, Passage, PassageQuery,
    UploadKey, UserId,
};
use crate::error::ErrorKind;
use crate::ports::DocumentStore;

/// Runs every check of the contract, each against an empty store of its own and two users known to the store.
pub async fn run_all<S, F>(make: impl Fn() -> F)
where
    S: DocumentStore + ?Sized,
    F: Future<Output = (Arc<S>, UserId, UserId)>,
{
    let (store, ada, _) = make().await;
    added_document_is_found_by_id(&*store, ada).await;
    let (store, ada, _) = make().await;
    add_adds_a_document_with_all_its_chunks_or_not_at_all(&*store, ada).await;
    let (store, ada, eve) = make().await;
    list_gives_documents_page_by_page(&*store, ada, eve).await;
    let (store, ada, _) = make().await;
    rename_sets_the_title(&*store, ada).await;
    let (store, ada, _) = make().await;
    chunks_gives_the_chunks_of_one_document_in_their_order(&*store, ada).await;
    let (store, ada, _) = make().await;
    search_finds_chunks_that_have_one_of_the_words(&*store, ada).await;
    let (store, ada, _) = make().await;
    search_finds_a_word_however_it_is_written(&*store, ada).await;
    let (store, ada, _) = make().await;
    search_finds_phrases(&*store, ada).await;
    let (store, ada, _) = make().await;
    search_puts_the_best_first(&*store, ada).await;
    let (store, ada, _) = make().await;
    search_takes_every_text_for_plain_words(&*store, ada).await;
    let (store, ada, eve) = make().await;
    search_finds_and_counts_what_is_one_owners(&*store, ada, eve).await;
    let (store, ada, _) = make().await;
    delete_removes_a_document_and_its_chunks(&*store, ada).await;
    let (store, ada, eve) = make().await;
    quota_holds_under_concurrent_additions(&*store, ada, eve).await;
    let (store, ada, eve) = make().await;
    upload_key_identifies_one_document(&*store, ada, eve).await;
    let (store, ada, eve) = make().await;
    delete_all_removes_what_is_one_owners(&*store, ada, eve).await;
}

/// An added document is found by its id with all its fields and chunks; an unknown id finds none.
pub async fn added_document_is_found_by_id<S: DocumentStore + ?Sized>(store: &S, ada: UserId) {
    let plain = document(Some(ada), 1);
    let odd = Document {
        title: "ä 🦀 \"it's\" \0 \u{10ffff}".into(),
        media_type: MediaType::Html,
        size_bytes: 10_000_000,
        owner: None,
        created_at: at(20),
        upload_key: Some(UploadKey { key: "\0 ключ".into(), digest: "d1".into() }),
        ..document(None, 2)
    };
    let empty = document(Some(ada), 0);
    let odd_chunks = vec![
        Chunk { start: 7, end: 4_000_000_000, ..chunk(&odd, 0, "'); DROP TABLE chunks; --\0\n\t🦀") },
        chunk(&odd, 1, ""),
    ];
    for (document, chunks) in
        [(&plain, vec![chunk(&plain, 0, "one")]), (&odd, odd_chunks), (&empty, Vec::new())]
    {
        store.add(document, chunks.clone()).await.unwrap();
        assert_eq!(store.get(document.id).await.unwrap().as_ref(), Some(document));
        assert_eq!(store.chunks(document.id, 0, 10).await.unwrap(), chunks);
    }
    for kind in MediaType::ALL {
        let document = Document { media_type: kind, ..document(Some(ada), 0) };
        store.add(&document, Vec::new()).await.unwrap();
        assert_eq!(store.get(document.id).await.unwrap(), Some(document));
    }
    assert_eq!(store.get(DocumentId::new()).await.unwrap(), None);
}

/// `add` adds a document with all its chunks or not at all: a taken id, or two chunks with one index, is `Conflict`.
pub async fn add_adds_a_document_with_all_its_chunks_or_not_at_all<S: DocumentStore + ?Sized>(
    store: &S,
    ada: UserId,
) {
    let first = add(store, Some(ada), &["apple"]).await;
    let again = Document { title: "again".into(), ..first.clone() };
    let e = store.add(&again, vec![chunk(&again, 1, "pear")]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Conflict, "{e}");
    assert_eq!(store.get(first.id).await.unwrap(), Some(first.clone()));
    let twice = document(Some(ada), 2);
    let chunks = vec![chunk(&twice, 0, "plum"), chunk(&twice, 0, "cherry")];
    assert_eq!(store.add(&twice, chunks).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.get(twice.id).await.unwrap(), None);
    assert_eq!(store.chunks(twice.id, 0, 10).await.unwrap(), []);
    assert_eq!(texts(store, Some(ada), "apple pear plum cherry").await, ["apple"]);
    // More chunks than one database statement inserts.
    let many: Vec<String> = (0..1_500).map(|n| format!("chunk {n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = add(store, Some(ada), &many).await;
    let last = store.chunks(long.id, 1_498, 10).await.unwrap();
    assert_eq!(
        last.iter().map(|chunk| chunk.text.as_str()).collect::<Vec<_>>(),
        ["chunk 1498", "chunk 1499"]
    );
    assert_eq!(texts(store, Some(ada), "777").await, ["chunk 777"]);
}

/// `list` returns the documents of one owner, or of all, newest first, page by page.
pub async fn list_gives_documents_page_by_page<S: DocumentStore + ?Sized>(
    store: &S,
    ada: UserId,
    eve: UserId,
) {
    let mut all = Vec::new();
    for owner in [Some(ada), Some(eve), Some(ada), None, Some(ada)] {
        all.push(add(store, owner, &["x"]).await);
    }
    let [old, theirs, middle, nobodys, new] = all.try_into().unwrap();
    let page = |cursor, limit| PageRequest::new(cursor, limit).unwrap();
    let first = store.list(Some(ada), page(None, 2)).await.unwrap();
    assert_eq!(first.items, [new.clone(), middle.clone()]);
    // A document added between two pages does not shift them.
    add(store, Some(ada), &["x"]).await;
    let second = store.list(Some(ada), page(first.next, 2)).await.unwrap();
    assert_eq!((second.items, second.next), (vec![old.clone()], None));
    let everybodys = store.list(None, page(Some(new.id), 100)).await.unwrap();
    assert_eq!((everybodys.items, everybodys.next), (vec![nobodys, middle, theirs, old], None));
    let exact = store.list(Some(eve), page(None, 1)).await.unwrap();
    assert_eq!((exact.items.len(), exact.next), (1, None));
    assert_eq!(store.list(Some(UserId::new()), page(None, 10)).await.unwrap().items, []);
}

/// `rename` sets the title of a document, also as passages show it, and nothing else; an unknown one is `NotFound`.
pub async fn rename_sets_the_title<S: DocumentStore + ?Sized>(store: &S, ada: UserId) {
    let one = add(store, Some(ada), &["apple"]).await;
    let other = add(store, Some(ada), &["pear"]).await;
    for title in ["ä 🦀 \"it's\"", ""] {
        store.rename(one.id, title).await.unwrap();
        assert_eq!(store.get(one.id).await.unwrap(), Some(Document { title: title.into(), ..one.clone() }));
        let query = PassageQuery { owner: Some(ada), text: "apple".into(), limit: 10 };
        let found = store.search(&query).await.unwrap();
        assert_eq!(found.iter().map(|passage| passage.title.as_str()).collect::<Vec<_>>(), [title]);
    }
    assert_eq!(store.get(other.id).await.unwrap(), Some(other));
    assert_eq!(store.rename(DocumentId::new(), "x").await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// `chunks` returns the chunks of one document in their order, from a given index.
pub async fn chunks_gives_the_chunks_of_one_document_in_their_order<S: DocumentStore + ?Sized>(
    store: &S,
    ada: UserId,
) {
    let one = add(store, Some(ada), &["a", "b", "c", "d", "e"]).await;
    add(store, Some(ada), &["other"]).await;
    let given = async |from, limit| -> Vec<String> {
        let chunks = store.chunks(one.id, from, limit).await.unwrap();
        assert!(
            chunks.iter().zip(from..).all(|(chunk, index)| (chunk.document, chunk.index) == (one.id, index))
        );
        chunks.into_iter().map(|chunk| chunk.text).collect()
    };
    assert_eq!(given(0, 100).await, ["a", "b", "c", "d", "e"]);
    assert_eq!(given(0, 2).await, ["a", "b"]);
    assert_eq!(given(3, 2).await, ["d", "e"]);
    assert_eq!(given(5, 2).await, [""; 0]);
    assert_eq!(given(u32::MAX, 2).await, [""; 0]);
    assert_eq!(store.chunks(DocumentId::new(), 0, 2).await.unwrap(), []);
}

/// `search` finds the chunks with at least one of the words or phrases, as whole words by the rules of
/// [`words`](crate::adapter::tokenizer::words); the words of a phrase must be adjacent.
pub async fn search_finds_chunks_that_have_one_of_the_words<S: DocumentStore + ?Sized>(
    store: &S,
    ada: UserId,
) {
    let one = add(store, Some(ada), &["The Lease of a claim", "Größe, ÜBER ada@example.org"]).await;
    let long = "x".repeat(900);
    let two = add(store, Some(ada), &["leasehold /etc/lease.toml", "cafe\u{301} JWT_SECRET", &long]).await;
    for (text, found) in [
        ("lease", vec![chunk(&two, 0, "leasehold /etc/lease.toml"), chunk(&one, 0, "The Lease of a claim")]),
        ("CLAIM nothing", vec![chunk(&one, 0, "The Lease of a claim")]),
        ("größe", vec![chunk(&one, 1, "Größe, ÜBER ada@example.org")]),
        ("über", vec![chunk(&one, 1, "Größe, ÜBER ada@example.org")]),
        ("example", vec![chunk(&one, 1, "Größe, ÜBER ada@example.org")]),
        ("toml", vec![chunk(&two, 0, "leasehold /etc/lease.toml")]),
        ("secret", vec![chunk(&two, 1, "cafe\u{301} JWT_SECRET")]),
        ("CAFE\u{301}", vec![chunk(&two, 1, "cafe\u{301} JWT_SECRET")]),
        ("caf\u{e9}", vec![chunk(&two, 1, "cafe\u{301} JWT_SECRET")]),
        (&long, vec![chunk(&two, 2, &long)]),
        ("leas", vec![]),
    ] {
        let passages = search(store, Some(ada), text, 10).await;
        assert_eq!(passages.iter().map(|passage| passage.chunk.clone()).collect::<Vec<_>>(), found, "{text}");
    }
    let title = &search(store, Some(ada), "claim", 1).await[0].title;
    assert_eq!(*title, one.title);
}

/// The tokenizer's rules hold for texts that the databases' own tokenizers would split differently.
pub async fn search_finds_a_word_however_it_is_written<S: DocumentStore + ?Sized>(store: &S, ada: UserId) {
    let long = |last: char| format!("{}{last}", "ü".repeat(500));
    let (one, other) = (long('a'), long('b'));
    let texts_of = [
        "İstanbul",
        "ΟΔΟΣ Οδυσσεύς",
        "Straße",
        "caf\u{e9}",
        "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}\u{110b}\u{1165}",
        "Donau\u{ad}dampf\u{200b}schiff",
        "की",
        "को",
        "क्षेत्र",
        "ꭰꮃ 𞤀𞤣𞤤𞤢𞤥 𐐀𐐁 ǅ",
        "ⵜⴰⵎⴰⵣⵉⵖⵜ ቃል ກະລຸນາ",
        "rock\u{b4}n\u{b4}roll ™Foo® x² ﬁne",
        "𝒳 🦀tail",
        &one,
        &other,
    ];
    add(store, Some(ada), &texts_of).await;
    for (text, found) in [
        ("İstanbul", "İstanbul"),
        ("i\u{307}STANBUL", "İstanbul"),
        ("οδος", "ΟΔΟΣ Οδυσσεύς"),
        ("ΟΔΥΣΣΕΎΣ", "ΟΔΟΣ Οδυσσεύς"),
        ("STRASSE", "Straße"),
        ("CAFE\u{301}", "caf\u{e9}"),
        ("한국어", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}\u{110b}\u{1165}"),
        ("Donaudampfschiff", "Donau\u{ad}dampf\u{200b}schiff"),
        ("donau\u{200d}dampfschiff", "Donau\u{ad}dampf\u{200b}schiff"),
        ("की", "की"),
        ("को", "को"),
        ("क्षेत्र", "क्षेत्र"),
        ("ᎠᎳ", "ꭰꮃ 𞤀𞤣𞤤𞤢𞤥 𐐀𐐁 ǅ"),
        ("𞤢𞤣𞤤𞤢𞤥", "ꭰꮃ 𞤀𞤣𞤤𞤢𞤥 𐐀𐐁 ǅ"),
        ("𐐨𐐩", "ꭰꮃ 𞤀𞤣𞤤𞤢𞤥 𐐀𐐁 ǅ"),
        ("ǆ", "ꭰꮃ 𞤀𞤣𞤤𞤢𞤥 𐐀𐐁 ǅ"),
        ("ⵜⴰⵎⴰⵣⵉⵖⵜ", "ⵜⴰⵎⴰⵣⵉⵖⵜ ቃል ກະລຸນາ"),
        ("ກະລຸນາ", "ⵜⴰⵎⴰⵣⵉⵖⵜ ቃል ກະລຸນາ"),
        ("roll", "rock\u{b4}n\u{b4}roll ™Foo® x² ﬁne"),
        ("foo", "rock\u{b4}n\u{b4}roll ™Foo® x² ﬁne"),
        ("X2", "rock\u{b4}n\u{b4}roll ™Foo® x² ﬁne"),
        ("Fine", "rock\u{b4}n\u{b4}roll ™Foo® x² ﬁne"),
        ("tail", "𝒳 🦀tail"),
        (&one, &one),
        (&other.to_uppercase(), &other),
    ] {
        assert_eq!(texts(store, Some(ada), text).await, [found], "{text}");
    }
    for nothing in ["cafe", "istanbul", "क", "कषतर", "dampf", "ü", &"ü".repeat(500), "donau"] {
        assert_eq!(texts(store, Some(ada), nothing).await, [""; 0], "{nothing}");
    }
}

/// A phrase in quotation marks matches where its words are adjacent; it counts like one word.
pub async fn search_finds_phrases<S: DocumentStore + ?Sized>(store: &S, ada: UserId) {
    let texts_of = [
        "the red fox ran",
        "the fox is red",
        "a RED, fox! and Größe über alles",
        "red is a fox red",
        "the red-fox red fox",
    ];
    add(store, Some(ada), &texts_of).await;
    let red_fox = ["the red-fox red fox", "the red fox ran", "a RED, fox! and Größe über alles"];
    assert_eq!(texts(store, Some(ada), "\"red fox\"").await, red_fox);
    assert_eq!(texts(store, Some(ada), "„Red — Fox“").await, red_fox);
    assert_eq!(texts(store, Some(ada), "\"GRÖSSE ÜBER alles\"").await, [texts_of[2]]);
    assert_eq!(texts(store, Some(ada), "\"fox red\"").await, [texts_of[3], texts_of[4]]);
    for nothing in ["\"fox the\"", "\"the red ran\"", "\"ran the red\"", "\"re fox\""] {
        assert_eq!(texts(store, Some(ada), nothing).await, [""; 0], "{nothing}");
    }
    // A phrase is a term of its own, and matches fewer chunks than its words.
    let passages = search(store, Some(ada), "\"the red\" is", 10).await;
    let found: Vec<_> = passages.iter().map(|passage| (passage.chunk.text.as_str(), passage.score)).collect();
    let (phrase, word) = (score(weight(5, 2)), score(weight(5, 2)));
    assert_eq!(
        found,
        [(texts_of[0], phrase), (texts_of[1], word), (texts_of[3], word), (texts_of[4], phrase)]
    );
    assert_eq!(texts(store, Some(ada), "\"red fox").await.len(), 5, "nothing closes it");
    assert_eq!(texts(store, Some(ada), "\"ran\" \"\"").await, [texts_of[0]]);
}

/// `search` sorts by more or rarer matching words, then by their frequency, then by newer document, then by earlier
/// chunk, and returns at most `limit`.
pub async fn search_puts_the_best_first<S: DocumentStore + ?Sized>(store: &S, ada: UserId) {
    add(
        store,
        Some(ada),
        &["the disk is full", "the fan is loud", "the fan the fan", "full disk of the fan"],
    )
    .await;
    add(store, Some(ada), &["the fan is slow", "the cpu is hot", "the fan is fast"]).await;
    let expected = [
        "full disk of the fan", // three words
        "the disk is full",     // two rare ones
        "the fan the fan",      // a common one, twice
        "the fan is slow",      // in the newer document
        "the fan is fast",      // behind it there
        "the fan is loud",
    ];
    assert_eq!(texts(store, Some(ada), "Full disk? FAN!").await, expected);
    let three = search(store, Some(ada), "full disk fan", 3).await;
    assert_eq!(three.iter().map(|passage| passage.chunk.text.as_str()).collect::<Vec<_>>(), expected[..3]);
    let (rare, common) = (weight(7, 2), weight(7, 5));
    let scores: Vec<f64> = three.iter().map(|passage| passage.score).collect();
    assert_eq!(scores, [score(2 * rare + common), score(2 * rare), score(common)]);
    // A word in every chunk does not change their order.
    assert_eq!(texts(store, Some(ada), "the cpu").await[0], "the cpu is hot");
}

/// `search` accepts every text as words and phrases: other signs and operators have no meaning, and no words find
/// nothing.
pub async fn search_takes_every_text_for_plain_words<S: DocumentStore + ?Sized>(store: &S, ada: UserId) {
    add(store, Some(ada), &["cats and dogs", "not this"]).await;
    for text in [
        "\"cats",
        "cats*",
        "cats AND",
        "cats OR birds",
        "-cats",
        "(cats",
        "text:cats",
        "'cats'",
        "cats & !cats | <->",
        "\\cats\0",
    ] {
        assert_eq!(
            texts(store, Some(ada), text).await.first().map(String::as_str),
            Some("cats and dogs"),
            "{text}"
        );
    }
    assert_eq!(texts(store, Some(ada), "NOT").await, ["not this"]);
    for text in ["", " ", "\"", "\"\"", "*", "()", "'", "-", ":*", "\\", "\0", "%_", "🦀"] {
        assert_eq!(texts(store, Some(ada), text).await, [""; 0], "{text:?}");
    }
    let many: String = (0..1_000).map(|n| format!("w{n} ")).collect();
    assert_eq!(texts(store, Some(ada), &format!("cats {many}")).await, ["cats and dogs"]);
}

/// `search` finds and counts only documents of the given owner, or only those without an owner.
pub async fn search_finds_and_counts_what_is_one_owners<S: DocumentStore + ?Sized>(
    store: &S,
    ada: UserId,
    eve: UserId,
) {
    add(store, Some(ada), &["apples of ada", "nothing"]).await;
    let alone = search(store, Some(ada), "apples", 10).await;
    for _ in 0..3 {
        add(store, Some(eve), &["apples of eve", "apples"]).await;
        add(store, None, &["apples of nobody"]).await;
    }
    assert_eq!(search(store, Some(ada), "apples", 10).await, alone, "what others have changes nothing");
    assert_eq!(texts(store, Some(ada), "apples eve nobody").await, ["apples of ada"]);
    assert_eq!(texts(store, Some(eve), "apples").await.len(), 6);
    assert_eq!(texts(store, None, "apples").await, ["apples of nobody"; 3]);
    assert_eq!(texts(store, Some(UserId::new()), "apples").await, [""; 0]);
    // The owner of a document is not searchable text.
    for owner in [ada.0.to_string(), ada.0.simple().to_string()] {
        assert_eq!(texts(store, Some(ada), &owner).await, [""; 0]);
    }
}

/// `delete` removes a document, its chunks and their search index, and nothing else; an unknown one is `NotFound`.
pub async fn delete_removes_a_document_and_its_chunks<S: DocumentStore + ?Sized>(store: &S, ada: UserId) {
    let one = add(store, Some(ada), &["apples here", "more apples"]).await;
    let other = add(store, Some(ada), &["apples there"]).await;
    store.delete(one.id).await.unwrap();
    assert_eq!(store.get(one.id).await.unwrap(), None);
    assert_eq!(store.chunks(one.id, 0, 10).await.unwrap(), []);
    let left = search(store, Some(ada), "apples here", 10).await;
    assert_eq!(left.iter().map(|passage| passage.chunk.document).collect::<Vec<_>>(), [other.id]);
    assert_eq!(left[0].score, score(weight(1, 1)));
    assert_eq!(store.delete(one.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.get(other.id).await.unwrap(), Some(other));
    // A deleted document can be added again.
    store.add(&one, vec![chunk(&one, 0, "apples again")]).await.unwrap();
    assert_eq!(texts(store, Some(ada), "again").await, ["apples again"]);
}

async fn search<S: DocumentStore + ?Sized>(
    store: &S,
    owner: Option<UserId>,
    text: &str,
    limit: u32,
) -> Vec<Passage> {
    store.search(&PassageQuery { owner, text: text.into(), limit }).await.unwrap()
}

/// Returns the texts of the passages found for these words.
async fn texts<S: DocumentStore + ?Sized>(store: &S, owner: Option<UserId>, text: &str) -> Vec<String> {
    search(store, owner, text, 100).await.into_iter().map(|passage| passage.chunk.text).collect()
}

/// Adds a document with these chunks.
async fn add<S: DocumentStore + ?Sized>(store: &S, owner: Option<UserId>, texts: &[&str]) -> Document {
    let document = document(owner, texts.len() as u32);
    let chunks = texts.iter().zip(0..).map(|(text, index)| chunk(&document, index, text)).collect();
    store.add(&document, chunks).await.unwrap();
    document
}

/// With a quota, a document that exceeds the owner's number or space is `Conflict` and is not added, also under
/// concurrent uploads. Documents without an owner have no quota.
pub async fn quota_holds_under_concurrent_additions<S: DocumentStore + ?Sized>(
    store: &S,
    ada: UserId,
    eve: UserId,
) {
    // Each document has 12 bytes.
    for (quota, fit) in
        [(DocumentQuota { documents: 4, bytes: 1_000 }, 4), (DocumentQuota { documents: 100, bytes: 75 }, 2)]
    {
        let many: Vec<Document> = (0..10).map(|_| document(Some(ada), 0)).collect();
        let adding = many.iter().map(|new| store.add_within(new, Vec::new(), Some(quota)));
        let outcomes = join_all(adding).await;
        let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
        assert_eq!((outcomes.len() - refused.len(), refused.len()), (fit, 10 - fit), "{outcomes:?}");
        assert!(refused.iter().all(|e| e.kind() == ErrorKind::Conflict), "{refused:?}");
    }
    assert_eq!(
        store.list(Some(ada), PageLimit::MAX.into()).await.unwrap().items.len(),
        6,
        "of 12 bytes each"
    );
    let one = Some(DocumentQuota { documents: 1, bytes: 12 });
    store.add_within(&document(Some(eve), 0), Vec::new(), one).await.unwrap();
    for _ in 0..3 {
        store.add_within(&document(None, 0), Vec::new(), one).await.unwrap();
    }
    store.add(&document(Some(ada), 0), Vec::new()).await.unwrap();
}

/// `add_within` returns the added document. If a document of the owner has the same upload key, it adds nothing and
/// returns that one for an equal digest, else `Conflict` naming `idempotency_key`, also under concurrent uploads and
/// whatever the quota. The key of another owner, or of a deleted document, is free.
pub async fn upload_key_identifies_one_document<S: DocumentStore + ?Sized>(
    store: &S,
    ada: UserId,
    eve: UserId,
) {
    let with = |owner, key: &str, digest: &str| Document {
        upload_key: Some(UploadKey { key: key.into(), digest: digest.into() }),
        ..document(owner, 1)
    };
    let one = Some(DocumentQuota { documents: 1, bytes: 12 });
    let add = |new: &Document| {
        let (new, chunks) = (new.clone(), vec![chunk(new, 0, "heron")]);
        async move { store.add_within(&new, chunks, one).await }
    };
    for owner in [Some(ada), Some(eve), None] {
        let many: Vec<Document> = (0..8).map(|_| with(owner, "key \0 ä", "digest")).collect();
        let added = join_all(many.iter().map(add)).await;
        let ids: Vec<_> = added.into_iter().map(|added| added.unwrap().id).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{owner:?}: {ids:?}");
        assert_eq!(texts(store, owner, "heron").await, ["heron"]);
        let kept = store.get(ids[0]).await.unwrap().unwrap();
        assert_eq!(Some(&kept), many.iter().find(|new| new.id == ids[0]));
        let e = add(&with(owner, "key \0 ä", "another digest")).await.unwrap_err();
        assert_eq!((e.kind(), e.field()), (ErrorKind::Conflict, Some("idempotency_key")));
        if owner.is_some() {
            let e = add(&with(owner, "another key", "digest")).await.unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Conflict, "one too many: {e}");
            assert_ne!(e.field(), Some("idempotency_key"));
        }
        store.delete(kept.id).await.unwrap();
        let again = with(owner, "key \0 ä", "another digest");
        assert_eq!(add(&again).await.unwrap(), again);
    }
}

/// `delete_all` removes all documents of one owner with their chunks and returns their number.
pub async fn delete_all_removes_what_is_one_owners<S: DocumentStore + ?Sized>(
    store: &S,
    ada: UserId,
    eve: UserId,
) {
    for _ in 0..25 {
        add(store, Some(ada), &["heron"]).await;
    }
    let kept = [add(store, Some(eve), &["heron"]).await, add(store, None, &["heron"]).await];
    assert_eq!(store.delete_all(ada).await.unwrap(), 25);
    assert_eq!(store.list(Some(ada), PageLimit::MAX.into()).await.unwrap().items, []);
    assert_eq!(texts(store, Some(ada), "heron").await, Vec::<String>::new());
    for document in kept {
        assert_eq!(texts(store, document.owner, "heron").await, ["heron"]);
    }
    assert_eq!(store.delete_all(ada).await.unwrap(), 0);
}

fn document(owner: Option<UserId>, chunks: u32) -> Document {
    let id = DocumentId::new();
    Document {
        id,
        owner,
        title: format!("The document {id}"),
        media_type: MediaType::Plain,
        size_bytes: 12,
        chunks,
        created_at: at(0),
        upload_key: None,
    }
}

fn chunk(document: &Document, index: u32, text: &str) -> Chunk {
    let start = index * 1_000;
    Chunk { document: document.id, index, start, end: start + text.chars().count() as u32, text: text.into() }
}

/// Returns a whole second of 2026, which every store can keep.
fn at(second: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600 + second, 0).unwrap()
}
