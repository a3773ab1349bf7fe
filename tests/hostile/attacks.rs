//! Attacks: each runs in a loop, as often and as concurrently as the server permits.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt};
use reqwest::Method;
use serde_json::{Value, json};
use sutazai_core::ports::{Clock, SystemClock};
use tokio::io::AsyncWriteExt;
use tokio::runtime::{Builder, Runtime};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::attacker::{Attacker, SECOND_ADDRESS};

/// Names of all attacks.
pub(crate) const ALL: [&str; 16] = [
    "analyses",
    "chats",
    "connections",
    "embeddings",
    "lists",
    "messages",
    "pages",
    "payloads",
    "schemas",
    "searches",
    "sign-ins",
    "slow reads",
    "sockets",
    "stalled bodies",
    "streams",
    "uploads",
];

const JSON: &str = "application/json";
const MODEL: &str = "SmolLM2-135M-Instruct.Q4_1";
/// Delay before a rejected attack is repeated; without it the test would measure how fast requests can be
/// rejected.
const REQUEST_PAUSE: Duration = Duration::from_millis(20);
/// Size of the text of one document in bytes, close to the limit of 10 MB.
const DOCUMENT_BYTES: usize = 9_900_000;

/// All running attacks, on a thread with the lowest priority: a real attacker uses another machine, and here
/// must not take processor time from the server and the neighbor.
pub(crate) struct Attack(Runtime);

impl Attack {
    pub(crate) fn end(self) {
        self.0.shutdown_background();
    }
}

/// Starts every attack, most of them several times.
pub(crate) fn start(attacker: &Arc<Attacker>) -> Attack {
    let last = || {
        let _ = rustix::process::nice(19);
    };
    let running =
        Builder::new_multi_thread().worker_threads(1).on_thread_start(last).enable_all().build().unwrap();
    let repeat = |times: usize, attack: fn(Arc<Attacker>, usize) -> BoxFuture<'static, ()>| {
        for number in 0..times {
            let attacker = attacker.clone();
            running.spawn(async move {
                loop {
                    attack(attacker.clone(), number).await;
                    SystemClock.sleep(REQUEST_PAUSE).await;
                }
            });
        }
    };
    // Together below the connection limit of one address, so that later connections succeed.
    repeat(34, |a, _| socket(a).boxed());
    repeat(34, |a, _| stream(a).boxed());
    repeat(48, |a, _| slow_read(a).boxed());
    repeat(24, |a, _| stalled_body(a).boxed());
    repeat(300, |a, _| trickle(a).boxed());
    repeat(4, |a, _| upload(a).boxed());
    repeat(8, |a, _| search(a).boxed());
    repeat(6, |a, n| schema(a, n).boxed());
    repeat(4, |a, _| long_chat(a).boxed());
    repeat(2, |a, _| embeddings(a).boxed());
    repeat(4, |a, _| message(a).boxed());
    repeat(8, |a, n| payload(a, n).boxed());
    repeat(32, |a, n| sign_in(a, n).boxed());
    repeat(4, |a, _| analysis(a).boxed());
    repeat(8, |a, _| async move { a.get("lists", "/api/v1/tasks?limit=100").await }.boxed());
    repeat(4, |a, n| page(a, n).boxed());
    Attack(running)
}

/// Opens a WebSocket with the maximum of subscriptions and never reads from it.
async fn socket(attacker: Arc<Attacker>) {
    let mut request = format!("ws://{}/api/v1/ws", attacker.address).into_client_request().unwrap();
    let bearer = format!("Bearer {}", attacker.token).parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    let Ok(connection) = attacker.connect().await else { return attacker.count("sockets", "cut".into()) };
    let Ok((mut socket, answer)) = tokio_tungstenite::client_async(request, connection).await else {
        return attacker.count("sockets", "refused".into());
    };
    attacker.count("sockets", answer.status().as_u16().to_string());
    loop {
        for kind in ["subscribe", "unsubscribe", "ping"] {
            if socket.send(Message::text(json!({ "type": kind }).to_string())).await.is_err() {
                return;
            }
        }
        SystemClock.sleep(10 * REQUEST_PAUSE).await;
    }
}

/// Opens an event stream from the oldest event and never reads from it.
async fn stream(attacker: Arc<Attacker>) {
    unread(&attacker, "streams", "/api/v1/events?after=0").await;
}

/// Requests the largest page and never reads it.
async fn slow_read(attacker: Arc<Attacker>) {
    unread(&attacker, "slow reads", "/api/v1/tasks?limit=100").await;
}

/// Sends a request, and receives as little of the response as the kernel allows.
async fn unread(attacker: &Attacker, attack: &'static str, path: &str) {
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", attacker.token);
    let Ok(mut connection) = attacker.connect().await else { return attacker.count(attack, "cut".into()) };
    let sent = connection.write_all(head.as_bytes()).await;
    attacker.count(attack, if sent.is_ok() { "sent" } else { "cut" }.into());
    // Waits until the server closes the connection: this peer would notice an error only by reading.
    SystemClock.sleep(Duration::from_secs(10)).await;
}

/// Sends nearly two megabytes of a body that never ends.
async fn stalled_body(attacker: Arc<Attacker>) {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 2000000\r\n\r\n",
        attacker.token
    );
    let Ok(mut connection) = attacker.connect().await else {
        return attacker.count("stalled bodies", "cut".into());
    };
    let sent = async {
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(&vec![b' '; 1_900_000]).await
    };
    attacker.count("stalled bodies", if sent.await.is_ok() { "sent" } else { "cut" }.into());
    SystemClock.sleep(Duration::from_secs(10)).await;
}

/// Sends a request head that never ends, over all connections that one address may have.
async fn trickle(attacker: Arc<Attacker>) {
    let Ok(mut connection) = attacker.connect_from(SECOND_ADDRESS).await else {
        return attacker.count("connections", "cut".into());
    };
    attacker.count("connections", "open".into());
    let mut part = &b"GET / HTTP/1.1\r\nx-a: "[..];
    while connection.write_all(part).await.is_ok() {
        part = b"a";
        SystemClock.sleep(Duration::from_secs(1)).await;
    }
}

/// Uploads a document of nearly ten megabytes without repeated words.
async fn upload(attacker: Arc<Attacker>) {
    static FORM: LazyLock<Bytes> = LazyLock::new(|| {
        let head = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\ncontent-type: text/plain\r\n\r\n";
        let mut form = head.to_owned();
        let mut number = 0;
        while form.len() < DOCUMENT_BYTES {
            form.push_str(&format!("disk{number:x} memory full {} ", number % 97));
            number += 1;
        }
        form.push_str("\r\n--b--\r\n");
        form.into()
    });
    let kind = "multipart/form-data; boundary=b";
    attacker.send("uploads", Method::POST, "/api/v1/documents", kind, FORM.clone()).await;
}

/// Searches for words that are in every chunk.
async fn search(attacker: Arc<Attacker>) {
    let words: Vec<String> = (0..30).map(|n| n.to_string()).collect();
    let path = format!("/api/v1/documents/search?limit=50&q=disk+memory+full+{}", words.join("+"));
    attacker.get("searches", &path).await;
}

/// Sends schemas that expand, nest deeply, match slowly, or have the maximum size.
async fn schema(attacker: Arc<Attacker>, number: usize) {
    let doubling: serde_json::Map<String, Value> = (0..40)
        .map(|n| {
            let next = json!({ "$ref": format!("#/$defs/d{}", n + 1) });
            (format!("d{n}"), json!({ "type": "array", "prefixItems": [next, next] }))
        })
        .collect();
    let mut nested = json!({ "type": "string" });
    for _ in 0..40 {
        nested = json!({ "type": "object", "properties": { "a": nested }, "required": ["a"] });
    }
    let texts: Vec<String> = (0..90).map(|n| format!("{n}{}", "x".repeat(100))).collect();
    let schema = [
        json!({ "$defs": doubling, "$ref": "#/$defs/d0" }),
        json!({ "type": "string", "pattern": "^(a{1,200}){1,200}(b{1,200}){1,200}$" }),
        json!({ "type": "string", "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$", "minLength": 4000 }),
        nested,
        json!({ "type": "array", "minItems": 100, "items": { "enum": texts } }),
        json!({ "not": {} }),
    ][number % 6]
        .clone();
    let body = json!({
        "model": MODEL,
        "messages": [{ "role": "user", "content": "Answer." }],
        "max_tokens": 64,
        "response_format": { "type": "json_schema", "json_schema": { "name": "answer", "schema": schema } },
    });
    attacker.json("schemas", "/v1/chat/completions", &body).await;
}

/// Sends two megabytes of text to a model with a context of some thousand tokens.
async fn long_chat(attacker: Arc<Attacker>) {
    static BODY: LazyLock<Bytes> = LazyLock::new(|| {
        let text = "all work and no play ".repeat(95_000);
        json!({ "model": MODEL, "messages": [{ "role": "user", "content": text }] }).to_string().into()
    });
    attacker.send("chats", Method::POST, "/v1/chat/completions", JSON, BODY.clone()).await;
}

/// Requests embeddings of the maximum number of texts, each as long as the model reads.
async fn embeddings(attacker: Arc<Attacker>) {
    static BODY: LazyLock<Bytes> = LazyLock::new(|| {
        let texts: Vec<String> = (0..1_000).map(|n| format!("{n} {}", "disk full ".repeat(180))).collect();
        json!({ "model": "all-MiniLM-L6-v2", "input": texts }).to_string().into()
    });
    attacker.send("embeddings", Method::POST, "/v1/embeddings", JSON, BODY.clone()).await;
}

/// Creates a conversation and sends a message of the maximum length to it.
async fn message(attacker: Arc<Attacker>) {
    attacker.begin("messages");
    let url = format!("http://{}/api/v1/conversations", attacker.address);
    let body = json!({ "model": MODEL });
    let made = attacker.client.post(url).bearer_auth(&attacker.token).json(&body).send().await;
    let Ok(made) = made else { return attacker.count("messages", "cut".into()) };
    let (status, made) = (made.status(), made.json::<Value>().await.unwrap_or_default());
    match made["data"]["id"].as_str() {
        Some(id) => {
            let path = format!("/api/v1/conversations/{id}/messages");
            attacker.json("messages", &path, &json!({ "content": "work ".repeat(20_000) })).await;
        }
        None => attacker.count("messages", status.as_u16().to_string()),
    }
}

/// Sends bodies of many small values to routes that accept them and to routes that do not.
async fn payload(attacker: Arc<Attacker>, number: usize) {
    static BODIES: LazyLock<[(&str, Bytes); 4]> = LazyLock::new(|| {
        let zeros = |bytes: usize| format!("[{}0]", "0,".repeat(bytes / 2));
        let task = |bytes| format!("{{\"agent\":\"hardware-optimizer\",\"payload\":{}}}", zeros(bytes));
        [
            ("/api/v1/tasks", task(35_000).into()),
            ("/api/v1/tasks", task(250_000).into()),
            ("/api/v1/auth/login", zeros(9_000_000).into()),
            ("/api/v1/schedules", format!("{{\"name\":{}}}", zeros(240_000)).into()),
        ]
    });
    let (path, body) = &BODIES[number % 4];
    attacker.send("payloads", Method::POST, path, JSON, body.clone()).await;
}

/// Signs in with wrong passwords, to the neighbor's account and to unknown ones.
async fn sign_in(attacker: Arc<Attacker>, number: usize) {
    let login = if number == 0 { "eve" } else { "nobody" };
    let body = json!({ "login": login, "password": "wrong horse battery" });
    attacker.json("sign-ins", "/api/v1/auth/login", &body).await;
}

/// Submits analyses with the highest priority.
async fn analysis(attacker: Arc<Attacker>) {
    let body = json!({ "agent": "hardware-optimizer", "payload": { "use_model": false }, "priority": 9 });
    attacker.json("analyses", "/api/v1/tasks", &body).await;
}

/// Requests public pages, with and without a token.
async fn page(attacker: Arc<Attacker>, number: usize) {
    let paths = ["/api/docs/swagger-ui-bundle.js", "/api/openapi.json", "/metrics", "/api/v1/system/metrics"];
    attacker.get("pages", paths[number % 4]).await;
}
