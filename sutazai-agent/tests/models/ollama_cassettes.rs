//! Exchanges from Ollama's published API documentation, replayed to the client.
//!
//! No real Ollama was involved. Each file under `tests/fixtures/ollama` has the structure of one documented exchange:
//! which fields are present or missing, and the order of lines. Texts and figures are our own. A request that differs
//! from the file in any field is rejected.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use sutazai_agent::models::OllamaModelBackend;
use sutazai_core::ErrorKind;
use sutazai_core::domain::{ChatMessage, Constraint, FinishReason, GenerateRequest};
use sutazai_core::ports::{ModelBackend, ModelBackendExt};
use tokio::net::TcpListener;

use crate::failure;

#[derive(Debug, Deserialize)]
struct Cassette {
    exchanges: Vec<Exchange>,
}

#[derive(Debug, Deserialize)]
struct Exchange {
    method: String,
    path: String,
    request: Option<Value>,
    status: u16,
    lines: Vec<Value>,
}

/// Server that replays one file, each exchange once and in order.
struct Player {
    url: String,
    left: Arc<Mutex<Vec<Exchange>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Player {
    async fn of(name: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/ollama/{name}.json"));
        let cassette: Cassette = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let left = Arc::new(Mutex::new(cassette.exchanges));
        let router = Router::new().fallback(play).with_state(left.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, left, serving }
    }

    fn backend(&self) -> OllamaModelBackend {
        OllamaModelBackend::new(&self.url).unwrap()
    }

    /// Stops the server after checking that every exchange was requested.
    fn played(self) {
        self.serving.abort();
        let left = self.left.lock().unwrap();
        assert!(left.is_empty(), "not asked for: {left:?}");
    }
}

async fn play(
    State(left): State<Arc<Mutex<Vec<Exchange>>>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let request = (!body.is_empty()).then(|| serde_json::from_slice::<Value>(&body).unwrap());
    let mut left = left.lock().unwrap();
    let expected = left.first().map(|next| (next.method.as_str(), next.path.as_str(), &next.request));
    if expected != Some((method.as_str(), uri.path(), &request)) {
        let error = format!("expected {expected:?}, got {method} {uri} {request:?}");
        return (StatusCode::BAD_REQUEST, axum::Json(json!({ "error": error }))).into_response();
    }
    let exchange = left.remove(0);
    let body: String = exchange.lines.iter().map(|line| format!("{line}\n")).collect();
    let status = StatusCode::from_u16(exchange.status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

fn ask(messages: Vec<ChatMessage>) -> GenerateRequest {
    GenerateRequest {
        model: Some("small:1b".into()),
        max_tokens: 16,
        temperature: Some(0.0),
        repeat_penalty: Some(1.0),
        ..GenerateRequest::new(messages)
    }
}

#[tokio::test]
async fn chat_ends_without_message_and_reason() {
    let player = Player::of("chat").await;
    let request = ask(vec![ChatMessage::user("What is full?")]);
    let (text, usage) = player.backend().complete(request).await.unwrap();
    assert_eq!(text, "The disk is.");
    assert_eq!((usage.model.as_str(), usage.finish_reason), ("small:1b", FinishReason::Stop));
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (11, 3));
    player.played();
}

#[tokio::test]
async fn chat_continues_from_its_history() {
    let player = Player::of("history").await;
    let messages = vec![
        ChatMessage::system("Be short."),
        ChatMessage::user("What is full?"),
        ChatMessage::assistant("The disk is."),
        ChatMessage::user("Which?"),
    ];
    let (text, usage) = player.backend().complete(ask(messages)).await.unwrap();
    assert_eq!((text.as_str(), usage.finish_reason), ("/data", FinishReason::Length));
    player.played();
}

#[tokio::test]
async fn schema_is_sent_as_format() {
    let player = Player::of("structured").await;
    let schema = player.left.lock().unwrap()[0].request.as_ref().unwrap()["format"].clone();
    let request = GenerateRequest {
        constraint: Some(Constraint::JsonSchema(schema)),
        ..ask(vec![ChatMessage::user("What is full?")])
    };
    let (text, _) = player.backend().complete(request).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({ "percent": 97, "full": true }));
    player.played();
}

#[tokio::test]
async fn models_are_listed_with_size_and_parameters() {
    let player = Player::of("tags").await;
    let models = player.backend().models().await.unwrap();
    let listed: Vec<_> =
        models.iter().map(|model| (model.name.as_str(), model.size_bytes, model.parameters)).collect();
    let expected = [
        ("large:13b", Some(7_365_960_935), Some(13_000_000_000)),
        ("small:latest", Some(3_825_819_519), Some(7_000_000_000)),
    ];
    assert_eq!(listed, expected);
    player.played();
}

#[tokio::test]
async fn embeddings_are_read_with_or_without_counts() {
    let player = Player::of("embed").await;
    let (backend, model) = (player.backend(), Some("vectors".to_owned()));
    let two = backend.embed(model.clone(), &["one text".into(), "another text".into()]).await.unwrap();
    assert_eq!(two.vectors, [[0.25, -0.5, 0.75], [-0.125, 0.5, 0.0]]);
    assert_eq!(two.prompt_tokens, None);
    let one = backend.embed(model, &["one text".into()]).await.unwrap();
    assert_eq!(one.prompt_tokens, Some(4));
    player.played();
}

#[tokio::test]
async fn model_is_loaded_without_a_prompt() {
    let player = Player::of("load").await;
    player.backend().load(Some("small:1b".into())).await.unwrap();
    player.played();
}

#[tokio::test]
async fn pull_of_several_layers_ends_with_success() {
    let player = Player::of("pull").await;
    let steps: Vec<_> = player.backend().pull("small:1b").await.unwrap().map(Result::unwrap).collect().await;
    assert_eq!(steps.len(), 10);
    assert_eq!((steps[1].completed_bytes, steps[1].total_bytes), (None, Some(2_142_590_208)));
    assert_eq!((steps[5].completed_bytes, steps[5].total_bytes), (Some(485), Some(485)));
    let ends: Vec<_> = steps[6..].iter().map(|step| step.status.as_str()).collect();
    let expected = ["verifying sha256 digest", "writing manifest", "removing any unused layers", "success"];
    assert_eq!(ends, expected);
    player.played();
}

#[tokio::test]
async fn refusals_and_stream_errors_map_to_error_kinds() {
    let player = Player::of("errors").await;
    let (backend, request) = (player.backend(), ask(vec![ChatMessage::user("What is full?")]));
    for (pieces, kind, says) in [
        (0, ErrorKind::RateLimited, "slow down"),
        (0, ErrorKind::Unavailable, "it did not write"),
        (0, ErrorKind::Unavailable, "nobody behind it"),
        (2, ErrorKind::Unavailable, "it broke down"),
    ] {
        let (got, e) = failure(&backend, request.clone()).await;
        assert_eq!((got, e.kind()), (pieces, kind), "{e}");
        assert!(e.to_string().contains(says), "{e}");
    }
    player.played();
}

#[tokio::test]
async fn different_request_is_rejected() {
    let player = Player::of("chat").await;
    let request = GenerateRequest { max_tokens: 17, ..ask(vec![ChatMessage::user("What is full?")]) };
    let e = player.backend().complete(request).await.unwrap_err();
    assert!(e.message().contains("expected"), "{e}");
    assert_eq!(player.left.lock().unwrap().len(), 1);
}
