//! Documents from the upload of a file to the search in its text.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use sutazai_core::domain::{Caller, UserRole};

use crate::support::{PASSWORD, Server, User, failure, names, success};

const PATH: &str = "/api/v1/documents";
const BOUNDARY: &str = "a-boundary-of-ours";

/// Part of a multipart form.
pub(crate) struct Part {
    head: String,
    bytes: Vec<u8>,
}

impl Part {
    pub(crate) fn file(name: &str, media_type: &str, bytes: &[u8]) -> Self {
        let head = format!("name=\"file\"; filename=\"{name}\"\r\ncontent-type: {media_type}");
        Self { head, bytes: bytes.into() }
    }

    fn field(name: &str, text: impl AsRef<[u8]>) -> Self {
        Self { head: format!("name=\"{name}\""), bytes: text.as_ref().into() }
    }
}

fn form(parts: &[Part]) -> Vec<u8> {
    let mut form = Vec::new();
    for Part { head, bytes } in parts {
        let head = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; {head}\r\n\r\n");
        form.extend_from_slice(head.as_bytes());
        form.extend_from_slice(bytes);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    form
}

pub(crate) async fn upload(user: &User<'_>, parts: &[Part]) -> Response {
    send(user, &format!("multipart/form-data; boundary={BOUNDARY}"), form(parts)).await
}

async fn upload_once(user: &User<'_>, key: &str, parts: &[Part]) -> Response {
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = user.request(Method::POST, PATH).header("content-type", content_type);
    request.header("idempotency-key", key).body(form(parts)).send().await.unwrap()
}

async fn send(user: &User<'_>, content_type: &str, body: Vec<u8>) -> Response {
    user.request(Method::POST, PATH).header("content-type", content_type).body(body).send().await.unwrap()
}

async fn uploaded(user: &User<'_>, name: &str, text: &str) -> Value {
    success(upload(user, &[Part::file(name, "text/plain", text.as_bytes())]).await, 201).await
}

async fn found(user: &User<'_>, query: &str) -> Vec<String> {
    let found = success(user.get(&format!("{PATH}/search?{query}")).await, 200).await;
    let text = |passage: &Value| passage["chunk"]["text"].as_str().unwrap().to_owned();
    found["items"].as_array().unwrap().iter().map(text).collect()
}

#[tokio::test]
async fn uploaded_file_is_split_into_chunks() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let page = "<h1>Käse</h1><p>The <b>moon</b> is made of it.</p><script>moon()</script>";
    let parts = [
        Part::field("title", "The moon"),
        Part::file("moon.html", "text/html; charset=utf-8", page.as_bytes()),
    ];
    let document = success(upload(&ada, &parts).await, 201).await;
    assert_eq!(
        (&document["title"], &document["media_type"], &document["chunks"]),
        (&json!("The moon"), &json!("text/html"), &json!(1))
    );
    assert_eq!(
        (&document["size_bytes"], &document["owner"]),
        (&json!(page.len()), &ada.signed_in["user"]["id"])
    );
    let path = format!("{PATH}/{}", document["id"].as_str().unwrap());
    assert_eq!(success(ada.get(&path).await, 200).await, document);
    let chunks = success(ada.get(&format!("{path}/chunks")).await, 200).await;
    let text = "Käse\n\nThe moon is made of it.";
    let chunk = json!({ "document_id": document["id"], "index": 0, "start": 0, "end": 29, "text": text });
    assert_eq!(chunks, json!({ "items": [chunk], "next_from": null }));
    let passages = success(ada.get(&format!("{PATH}/search?q=MOON")).await, 200).await;
    let matches = [json!({ "start": 10, "end": 14 })];
    let passage = json!({ "title": "The moon", "score": 0.288, "chunk": chunk, "matches": matches });
    assert_eq!(passages, json!({ "items": [passage] }));

    // Without a content type, the extension of the name determines the format; without a title, the name is the
    // title.
    let file =
        Part::file("C:\\notes\\plan.MD", "application/octet-stream", b"\xef\xbb\xbf# Plan\n\nGo there.");
    let document = success(upload(&ada, &[file]).await, 201).await;
    assert_eq!((&document["title"], &document["media_type"]), (&json!("plan.MD"), &json!("text/markdown")));
    assert_eq!(found(&ada, "q=plan").await, ["# Plan\n\nGo there."]);
}

#[tokio::test]
async fn file_is_decoded_by_its_declared_charset() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let utf_16 = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{feff}{text}").encode_utf16().flat_map(bytes).collect()
    };
    for (name, media_type, bytes, text) in [
        ("a.txt", "text/plain; charset=utf8", "Größe eins".as_bytes().to_vec(), "Größe eins"),
        ("b.txt", "text/plain; charset=ANSI_X3.4-1968", b"plain two".to_vec(), "plain two"),
        ("c", "text/x-markdown", b"# Three".to_vec(), "# Three"),
        ("d.txt", "text/plain; charset=utf-16", utf_16("Größe vier 🦀", u16::to_le_bytes), "Größe vier 🦀"),
        ("e.html", "text/html", utf_16("<p>Größe <b hidden>X</b>fünf", u16::to_be_bytes), "Größe fünf"),
    ] {
        let document = success(upload(&ada, &[Part::file(name, media_type, &bytes)]).await, 201).await;
        assert_eq!(document["size_bytes"], bytes.len());
        let path = format!("{PATH}/{}/chunks", document["id"].as_str().unwrap());
        let chunks = success(ada.get(&path).await, 200).await;
        assert_eq!(chunks["items"][0]["text"], text, "{media_type}");
        assert_eq!(chunks["items"][0]["end"], text.chars().count(), "{media_type}");
    }
    let markdown = success(ada.get(PATH).await, 200).await["items"][2]["media_type"].clone();
    assert_eq!(markdown, "text/markdown");
    let broken = Part::file("a.txt", "text/plain; charset=utf-16", b"\xff\xfea\0b");
    names(upload(&ada, &[broken]).await, 422, "invalid_input", "file").await;
}

#[tokio::test]
async fn empty_title_defaults_to_the_file_name() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for (title, kept) in [("", "a.txt"), (" \t", "a.txt"), (" x", " x")] {
        let parts = [Part::field("title", title), Part::file("a.txt", "text/plain", b"a")];
        assert_eq!(success(upload(&ada, &parts).await, 201).await["title"], kept, "{title:?}");
    }
}

#[tokio::test]
async fn repeated_upload_returns_the_same_document() {
    let server = Server::start().await;
    let [ada, eve] = [server.user("ada").await, server.user("eve").await];
    let parts = |title: &str, text: &str| {
        [Part::field("title", title), Part::file("a.txt", "text/plain", text.as_bytes())]
    };
    let first = success(upload_once(&ada, "key-1", &parts("One", "some words")).await, 201).await;
    let again = success(upload_once(&ada, "key-1", &parts("One", "some words")).await, 201).await;
    assert_eq!(again, first);
    for other in [parts("One", "other words"), parts("Two", "some words")] {
        names(upload_once(&ada, "key-1", &other).await, 409, "conflict", "idempotency_key").await;
    }
    let markdown = [Part::field("title", "One"), Part::file("a.txt", "text/markdown", b"some words")];
    names(upload_once(&ada, "key-1", &markdown).await, 409, "conflict", "idempotency_key").await;
    for other in [
        success(upload_once(&ada, "key-2", &parts("One", "some words")).await, 201).await,
        success(upload_once(&eve, "key-1", &parts("One", "some words")).await, 201).await,
        success(upload(&ada, &parts("One", "some words")).await, 201).await,
    ] {
        assert_ne!(other["id"], first["id"]);
    }
    assert_eq!(found(&ada, "q=words").await.len(), 3);
    for bad in ["", &"x".repeat(201)] {
        let refused = upload_once(&ada, bad, &parts("One", "some words")).await;
        names(refused, 422, "invalid_input", "idempotency_key").await;
    }
    let path = format!("{PATH}/{}", first["id"].as_str().unwrap());
    success(ada.request(Method::DELETE, &path).send().await.unwrap(), 200).await;
    let anew = success(upload_once(&ada, "key-1", &parts("Two", "more words")).await, 201).await;
    assert_ne!(anew["id"], first["id"]);
}

#[tokio::test]
async fn search_matches_words_and_quoted_phrases() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let page =
        "<p>Donau&shy;dampf&#8203;schiff <i style='display:none'>geheim</i></p><template>geheim</template>";
    success(upload(&ada, &[Part::file("a.html", "text/html", page.as_bytes())]).await, 201).await;
    uploaded(&ada, "b.txt", "Η ΟΔΟΣ του ΟΔΥΣΣΕΑ").await;
    uploaded(&ada, "c.txt", "the red fox").await;
    uploaded(&ada, "d.txt", "the fox is red").await;
    for (q, passages) in [
        ("donaudampfschiff", &["Donau\u{ad}dampf\u{200b}schiff"][..]),
        ("geheim", &[]),
        ("%CE%BF%CE%B4%CE%BF%CF%82", &["Η ΟΔΟΣ του ΟΔΥΣΣΕΑ"]),
        ("%22red+fox%22", &["the red fox"]),
        ("red+fox", &["the fox is red", "the red fox"]),
    ] {
        assert_eq!(found(&ada, &format!("q={q}")).await, passages, "{q}");
    }
}

#[tokio::test]
async fn chunks_of_a_long_document_are_paged() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let text: String = (0..1_000).map(|n| format!("Sentence number {n} stands here. ")).collect();
    let document = uploaded(&ada, "long.txt", &text).await;
    let count = document["chunks"].as_u64().unwrap();
    assert!(count > 30, "{count}");
    let path = format!("{PATH}/{}/chunks", document["id"].as_str().unwrap());
    let (mut from, mut covered) = (json!(0), 0);
    let characters: Vec<char> = text.chars().collect();
    let mut seen = 0;
    while !from.is_null() {
        let page = success(ada.get(&format!("{path}?limit=7&from={from}")).await, 200).await;
        for chunk in page["items"].as_array().unwrap() {
            let [index, start, end] =
                ["index", "start", "end"].map(|field| chunk[field].as_u64().unwrap() as usize);
            assert_eq!(index, seen);
            assert!(start <= covered + 1 && end > covered);
            assert_eq!(chunk["text"], characters[start..end].iter().collect::<String>());
            (seen, covered) = (seen + 1, end);
        }
        from = page["next_from"].clone();
    }
    assert_eq!((seen as u64, covered), (count, characters.len() - 1));
    let past = success(ada.get(&format!("{path}?from={count}")).await, 200).await;
    assert_eq!(past, json!({ "items": [], "next_from": null }));
    let found = found(&ada, "q=777&limit=5").await;
    assert!(!found.is_empty() && found.iter().all(|text| text.contains("number 777 ")), "{found:?}");
}

#[tokio::test]
async fn documents_are_paged_and_deleted() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let mut ids = Vec::new();
    for name in ["one.txt", "two.txt", "three.txt"] {
        ids.push(uploaded(&ada, name, "The same words").await["id"].as_str().unwrap().to_owned());
    }
    let first = success(ada.get(&format!("{PATH}?limit=2")).await, 200).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let titles = (&first["items"][0]["title"], &first["items"][1]["title"]);
    assert_eq!(titles, (&json!("three.txt"), &json!("two.txt")));
    let second = success(ada.get(&format!("{PATH}?limit=2&cursor={cursor}")).await, 200).await;
    assert_eq!((&second["items"][0]["title"], &second["next_cursor"]), (&json!("one.txt"), &Value::Null));
    assert_eq!(found(&ada, "q=words&limit=2").await.len(), 2);
    let path = format!("{PATH}/{}", ids[0]);
    let gone = success(ada.request(Method::DELETE, &path).send().await.unwrap(), 200).await;
    assert_eq!(gone["id"], ids[0].as_str());
    failure(ada.get(&path).await, 404, "not_found").await;
    failure(ada.get(&format!("{path}/chunks")).await, 404, "not_found").await;
    failure(ada.request(Method::DELETE, &path).send().await.unwrap(), 404, "not_found").await;
    assert_eq!(found(&ada, "q=words").await.len(), 2);
}

#[tokio::test]
async fn search_ranks_best_first_and_accepts_any_text() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for (name, text) in [
        ("lease.txt", "A lease lasts ten seconds, the worker prolongs it."),
        ("worker.txt", "A worker runs one task at a time."),
        ("ocean.txt", "The ocean is deep."),
    ] {
        uploaded(&ada, name, text).await;
    }
    let both = found(&ada, "q=worker+lease").await;
    assert_eq!(both.len(), 2);
    assert!(both[0].starts_with("A lease lasts"));
    for q in ["%22worker+OR+lease*", "worker%20AND%20lease", "(worker:lease", "%27worker%27%20%26%20!lease"] {
        assert_eq!(found(&ada, &format!("q={q}")).await, both, "{q}");
    }
    for q in ["%22", "*", "%F0%9F%A6%80", "%20", "submarine"] {
        assert_eq!(found(&ada, &format!("q={q}")).await, [""; 0], "{q}");
    }
}

#[tokio::test]
async fn documents_of_another_user_are_404() {
    let server = Server::start().await;
    let [ada, eve, root] = [server.user("ada").await, server.user("eve").await, server.user("root").await];
    let document = uploaded(&ada, "mine.txt", "a secret plan").await;
    let path = format!("{PATH}/{}", document["id"].as_str().unwrap());
    failure(eve.get(&path).await, 404, "not_found").await;
    failure(eve.get(&format!("{path}/chunks")).await, 404, "not_found").await;
    failure(eve.request(Method::DELETE, &path).send().await.unwrap(), 404, "not_found").await;
    assert_eq!(success(eve.get(PATH).await, 200).await["items"], json!([]));
    assert_eq!(found(&eve, "q=secret").await, [""; 0]);
    // Admins can read the documents of all users, but search only their own.
    let id = root.signed_in["user"]["id"].as_str().unwrap().parse().unwrap();
    server.identity.set_role(&Caller::System, id, UserRole::Admin).await.unwrap();
    let body = json!({ "login": "root", "password": PASSWORD });
    let signed_in = success(root.post("/api/v1/auth/login", &body).await, 200).await;
    let root = User { token: signed_in["access_token"].as_str().unwrap().into(), ..root };
    assert_eq!(success(root.get(PATH).await, 200).await["items"][0], document);
    assert_eq!(success(root.get(&path).await, 200).await, document);
    assert_eq!(found(&root, "q=secret").await, [""; 0]);
    assert_eq!(found(&ada, "q=secret").await, ["a secret plan"]);
}

#[tokio::test]
async fn api_key_needs_the_document_scope() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let mut keys = Vec::new();
    for scope in ["documents:read", "documents:write"] {
        let body = json!({ "name": scope, "scopes": [scope] });
        let key = success(ada.post("/api/v1/auth/api-keys", &body).await, 201).await;
        let token = key["key"].as_str().unwrap().to_owned();
        keys.push(User { server: &server, token, signed_in: Value::Null });
    }
    let [reads, writes] = keys.try_into().unwrap_or_else(|_| panic!("two keys"));
    let file = || [Part::file("a.txt", "text/plain", b"a text")];
    failure(upload(&reads, &file()).await, 403, "forbidden").await;
    let document = success(upload(&writes, &file()).await, 201).await;
    let path = format!("{PATH}/{}", document["id"].as_str().unwrap());
    for read in [PATH.to_owned(), path.clone(), format!("{path}/chunks"), format!("{PATH}/search?q=text")] {
        failure(writes.get(&read).await, 403, "forbidden").await;
        success(reads.get(&read).await, 200).await;
    }
    failure(reads.request(Method::DELETE, &path).send().await.unwrap(), 403, "forbidden").await;
    success(writes.request(Method::DELETE, &path).send().await.unwrap(), 200).await;
}

#[tokio::test]
async fn invalid_upload_or_search_names_the_field() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let text = |bytes| Part::file("a.txt", "text/plain", bytes);
    for (parts, field) in [
        (vec![], "file"),
        (vec![Part::field("title", "no file")], "file"),
        (vec![text(b"")], "file"),
        (vec![text(b" \n ")], "file"),
        (vec![text(b"abc\xff\xfe")], "file"),
        (vec![text(b"a\0b")], "file"),
        (vec![text(b"one"), text(b"two")], "file"),
        (vec![Part::file("a.pdf", "application/pdf", b"%PDF-1.7")], "file"),
        (vec![Part::file("a.pdf", "application/octet-stream", b"%PDF-1.7")], "file"),
        (vec![Part::file("a.txt", "text/plain; charset=iso-8859-1", b"a")], "file"),
        (vec![Part::file("a.html", "text/html", b"<script>x</script>")], "file"),
        (vec![Part::field("file", "no name and no type")], "file"),
        (vec![Part::field("title", "x".repeat(256)), text(b"a")], "title"),
        (vec![Part::field("title", "\0"), text(b"a")], "title"),
        (vec![Part::field("title", b"\xff"), text(b"a")], "title"),
        (vec![text(b"a"), Part::field("titel", "x")], "titel"),
    ] {
        names(upload(&ada, &parts).await, 422, "invalid_input", field).await;
    }
    failure(ada.post(PATH, &json!({})).await, 415, "unsupported_media_type").await;
    failure(send(&ada, "multipart/form-data", form(&[text(b"a")])).await, 400, "malformed").await;
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let whole = form(&[text(b"a")]);
    failure(send(&ada, &kind, whole[..whole.len() - 20].to_vec()).await, 400, "malformed").await;
    failure(send(&ada, &kind, b"nonsense".to_vec()).await, 400, "malformed").await;
    assert_eq!(success(ada.get(PATH).await, 200).await["items"], json!([]));

    for query in ["limit=0", "limit=101", "limit=x"] {
        names(ada.get(&format!("{PATH}?{query}")).await, 422, "invalid_input", "limit").await;
        names(ada.get(&format!("{PATH}/search?q=x&{query}")).await, 422, "invalid_input", "limit").await;
    }
    names(ada.get(&format!("{PATH}?cursor=1")).await, 422, "invalid_input", "cursor").await;
    for query in ["", "?q=", "?q=%00", &format!("?q={}", "x".repeat(1_001))] {
        names(ada.get(&format!("{PATH}/search{query}")).await, 422, "invalid_input", "q").await;
    }
    let id = uploaded(&ada, "a.txt", "a").await["id"].as_str().unwrap().to_owned();
    for (query, field) in
        [("from=-1", "from"), ("from=x", "from"), ("limit=0", "limit"), ("cursor=1", "cursor")]
    {
        names(ada.get(&format!("{PATH}/{id}/chunks?{query}")).await, 422, "invalid_input", field).await;
    }
    names(ada.get(&format!("{PATH}/1")).await, 422, "invalid_input", "document_id").await;
}

#[tokio::test]
async fn oversized_upload_is_rejected() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let large = vec![b'a'; 10_000_000];
    failure(upload(&ada, &[Part::file("a.txt", "text/plain", &large)]).await, 413, "payload_too_large").await;
    let fits = &large[..9_000_000];
    let document = success(upload(&ada, &[Part::file("a.txt", "text/plain", fits)]).await, 201).await;
    assert_eq!(document["chunks"], 9_000);
}

#[tokio::test]
async fn matches_are_places_in_characters() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let text = "🦀 Die STRASSE, die Straße\u{ad} und ein roter Fuchs; rot, Fuchs.";
    success(upload(&ada, &[Part::file("a.txt", "text/plain", text.as_bytes())]).await, 201).await;
    let chars: Vec<char> = text.chars().collect();
    for (query, expected) in [
        ("stra%C3%9Fe", &["STRASSE", "Straße"][..]),
        ("%22roter+fuchs%22", &["roter Fuchs"]),
        ("fuchs+rot", &["Fuchs", "rot", "Fuchs"]),
    ] {
        let found = success(ada.get(&format!("{PATH}/search?q={query}")).await, 200).await;
        let places = found["items"][0]["matches"].as_array().unwrap().iter();
        let at = |place: &Value, side: &str| usize::try_from(place[side].as_u64().unwrap()).unwrap();
        let words = places.map(|place| chars[at(place, "start")..at(place, "end")].iter().collect());
        assert_eq!(words.collect::<Vec<String>>(), expected, "{query}");
    }
}

#[tokio::test]
async fn document_is_renamed() {
    let server = Server::start().await;
    let [ada, eve] = [server.user("ada").await, server.user("eve").await];
    let file = Part::file("a.txt", "text/plain", b"some apples");
    let document = success(upload(&ada, &[file]).await, 201).await;
    let path = format!("{PATH}/{}", document["id"].as_str().unwrap());
    let rename = async |user: &User<'_>, body: Value| {
        user.request(Method::PUT, &format!("{path}/title")).json(&body).send().await.unwrap()
    };
    let renamed = success(rename(&ada, json!({ "title": "Äpfel" })).await, 200).await;
    let mut expected = document.clone();
    expected["title"] = json!("Äpfel");
    assert_eq!(renamed, expected);
    assert_eq!(success(ada.get(&path).await, 200).await, expected);
    let found = success(ada.get(&format!("{PATH}/search?q=apples")).await, 200).await;
    assert_eq!(found["items"][0]["title"], "Äpfel");
    for (body, field) in [
        (json!({ "title": "x".repeat(256) }), "title"),
        (json!({ "title": "a\u{0}b" }), "title"),
        (json!({}), "title"),
        (json!({ "titel": "x" }), "titel"),
    ] {
        names(rename(&ada, body).await, 422, "invalid_input", field).await;
    }
    failure(rename(&eve, json!({ "title": "mine" })).await, 404, "not_found").await;
}
