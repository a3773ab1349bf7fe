//! OpenAI backend, against a real `llama-server`, and against a server that fails in ways which that one does not.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::{StreamExt, stream};
use serde_json::json;
use sutazai_agent::models::{OllamaModelBackend, OpenAiModelBackend};
use sutazai_core::domain::{ChatMessage, Constraint, FinishReason, GenerateRequest, TraceContext};
use sutazai_core::ports::{ModelBackend, ModelBackendExt, SilentTracer};
use sutazai_core::testing::model_backend;
use sutazai_core::{ErrorKind, trace};
use tokio::net::TcpListener;
use tracing::Span;

use crate::fault::{self, Ending};
use crate::llama_server::LlamaServer;
use crate::model::embedding_model_path;
use crate::{ask, failure, nowhere};

const KEY: &str = "sk-very-secret-0123456789";

#[tokio::test]
async fn conforms_with_llama_server() {
    let mut server = LlamaServer::start(&[]);
    let begun = Instant::now();
    let refused = server.ready(None).await;
    println!("llama-server answered after {:?} and {refused:?}", begun.elapsed());
    assert!(
        refused.iter().all(|kind| [ErrorKind::Unavailable, ErrorKind::Busy].contains(kind)),
        "{refused:?}"
    );
    model_backend::run_all(|| async { Arc::new(server.backend(None)) }).await;
    println!("the suite passed after {:?}", begun.elapsed());

    let listed = server.backend(None).models().await.unwrap();
    assert_eq!((listed.len(), listed[0].name.as_str(), listed[0].backend.as_str()), (1, "smollm2", "openai"));
    assert!(listed[0].parameters.unwrap() > 100_000_000 && listed[0].size_bytes.unwrap() > 50_000_000);
    // With `--parallel 2`, each conversation has half of `--ctx-size 2048`, unless both share the whole context.
    assert!([Some(1_024), Some(2_048)].contains(&listed[0].context_length), "{listed:?}");

    schema_is_enforced(&server.backend(None)).await;
    keys_keep_their_order(&server.backend(None)).await;
    unenforceable_schema_is_rejected(&server.backend(None)).await;
    stop_text_ends_the_answer(&server.backend(None)).await;
    seed_makes_answers_repeatable(&server.backend(None)).await;
    refusals_state_the_reason(&server.backend(None)).await;
}

#[tokio::test]
async fn embeddings_with_llama_server() {
    let mut server = LlamaServer::start_with(&embedding_model_path(), "minilm", &["--embeddings"]);
    server.embeds().await;
    model_backend::run_embeddings(|| async { Arc::new(server.backend(None)) }).await;
    let made = server.backend(None).embed(None, &["The cat sleeps.".into()]).await.unwrap();
    let length: f64 = made.vectors[0].iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    assert!((length - 1.0).abs() < 1e-3, "{length}");
    // The end markers count, as with llama.cpp in the process.
    assert_eq!((made.model.as_str(), made.vectors[0].len(), made.prompt_tokens), ("minilm", 384, Some(6)));
}

/// The model has no choice: an answer with enough tokens ends by itself and fits.
async fn schema_is_enforced(backend: &OpenAiModelBackend) {
    let constraint = Constraint::JsonSchema(json!({
        "type": "object",
        "properties": { "verdict": { "enum": ["healthy", "ill"] }, "degrees": { "type": "boolean" } },
        "required": ["verdict", "degrees"],
        "additionalProperties": false,
    }));
    let messages = vec![ChatMessage::user("How is the patient?")];
    let request =
        GenerateRequest { max_tokens: 64, constraint: Some(constraint), ..GenerateRequest::new(messages) };
    let (text, usage) = backend.complete(request).await.unwrap();
    assert_eq!(usage.finish_reason, FinishReason::Stop);
    assert!(text.contains("healthy") || text.contains("ill"), "{text}");
}

async fn keys_keep_their_order(backend: &OpenAiModelBackend) {
    let schema = r#"{"type":"object","properties":{"zebra":{"type":"object","properties":{"b":{"enum":["x"]},"a":{"enum":["x"]}},"required":["a","b"]},"apple":{"enum":["x"]}},"required":["apple","zebra"],"additionalProperties":false}"#;
    let constraint = Some(Constraint::JsonSchema(serde_json::from_str(schema).unwrap()));
    let (text, _) = backend.complete(GenerateRequest { max_tokens: 64, constraint, ..ask() }).await.unwrap();
    let keys: Vec<_> = text.split('"').filter(|word| ["zebra", "apple", "b", "a"].contains(word)).collect();
    assert_eq!(keys, ["zebra", "b", "a", "apple"], "{text}");
}

async fn unenforceable_schema_is_rejected(backend: &OpenAiModelBackend) {
    backend.models().await.unwrap();
    for (schema, keyword) in [
        (json!({ "type": "number", "minimum": 0, "maximum": 1 }), "`minimum`"),
        (json!({ "type": "string", "pattern": "[0-9]+" }), "`pattern`"),
    ] {
        let constraint = Some(Constraint::JsonSchema(schema));
        let (pieces, e) = failure(backend, GenerateRequest { constraint, ..ask() }).await;
        assert_eq!((pieces, e.kind(), e.field()), (0, ErrorKind::Unsupported, Some("constraint")), "{e}");
        assert!(e.message().contains(keyword), "{e}");
    }
}

async fn stop_text_ends_the_answer(backend: &OpenAiModelBackend) {
    let messages =
        vec![ChatMessage::user("Count: one, two, three, four, five, six, seven, eight, nine, ten.")];
    let whole = GenerateRequest { max_tokens: 24, temperature: Some(0.0), ..GenerateRequest::new(messages) };
    let (text, _) = backend.complete(whole.clone()).await.unwrap();
    let stop = text.split_whitespace().nth(4).unwrap().to_owned();
    let (cut, usage) = backend.complete(GenerateRequest { stop: vec![stop.clone()], ..whole }).await.unwrap();
    assert_eq!(usage.finish_reason, FinishReason::Stop);
    assert_eq!(cut, text[..text.find(&stop).unwrap()]);
}

async fn seed_makes_answers_repeatable(backend: &OpenAiModelBackend) {
    let mut texts = Vec::new();
    for seed in [7, 7, 8] {
        let request = GenerateRequest { seed: Some(seed), temperature: Some(1.5), max_tokens: 16, ..ask() };
        texts.push(backend.complete(request).await.unwrap().0);
    }
    assert!(texts[0] == texts[1] && texts[0] != texts[2], "{texts:?}");
}

async fn refusals_state_the_reason(backend: &OpenAiModelBackend) {
    let long = GenerateRequest { messages: vec![ChatMessage::user("word ".repeat(5_000))], ..ask() };
    let (_, e) = failure(backend, long).await;
    assert_eq!((e.kind(), e.field()), (ErrorKind::ContextLength, Some("messages")), "{e}");
    assert!(e.to_string().contains("context size"), "{e}");

    let e = backend.embed(None, &["a text".into()]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
    assert!(e.to_string().contains("--embeddings"), "{e}");

    let unknown = GenerateRequest { model: Some("gpt-4".into()), ..ask() };
    let (_, e) = failure(backend, unknown).await;
    assert_eq!((e.kind(), e.message()), (ErrorKind::NotFound, "no model gpt-4: openai has smollm2"));
}

#[tokio::test]
async fn llama_server_accepts_the_key_and_makes_embeddings() {
    // Pooled by the last token: with the mean, this server's results differ when it processes two texts at once.
    let mut server = LlamaServer::start(&["--api-key", KEY, "--embeddings", "--pooling", "last"]);
    server.ready(Some(KEY)).await;
    let texts = ["the disk is full".to_owned(), "a cat".to_owned(), "the disk is full".to_owned()];
    let embeddings = server.backend(Some(KEY)).embed(None, &texts).await.unwrap().vectors;
    assert!(embeddings.len() == 3 && embeddings.iter().all(|embedding| embedding.len() == 576));
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    let (same, other) = (apart(&embeddings[0], &embeddings[2]), apart(&embeddings[0], &embeddings[1]));
    assert!(same < 0.01 && other > 0.1, "the same text: {same}, another: {other}");

    for key in [None, Some("sk-another-secret")] {
        let (_, e) = failure(&server.backend(key), ask()).await;
        assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
        assert!(e.message().contains("rejects the key"), "{e}");
        assert!(!format!("{e} {e:?}").contains("secret"), "{e:?}");
    }
}

#[tokio::test]
async fn unreachable_server_is_unavailable() {
    let backend = OpenAiModelBackend::new(&format!("{}/v1", nowhere()), Some(KEY)).unwrap();
    model_backend::unreachable_backend_is_unavailable(&backend).await;
    let (_, e) = failure(&backend, ask()).await;
    assert!(e.message().contains("cannot be reached") && !format!("{e} {e:?}").contains(KEY), "{e:?}");
}

#[tokio::test]
async fn rejected_key_is_not_retried() {
    let complaint =
        json!({ "error": { "message": format!("Incorrect API key provided: {KEY}") } }).to_string();
    let headers = Arc::new(Mutex::new(Vec::new()));
    let seen = headers.clone();
    let refuse = move |headers: HeaderMap| {
        seen.lock().unwrap().push(headers);
        let answer = (StatusCode::UNAUTHORIZED, complaint);
        async move { answer }
    };
    let url = serve(Router::new().route("/v1/models", get(refuse))).await;
    let backend = OpenAiModelBackend::new(&url, Some(KEY)).unwrap();
    let (_, e) = failure(&backend, ask()).await;
    assert_eq!(e.kind(), ErrorKind::Unavailable);
    assert!(e.message().contains("rejects the key") && e.message().contains("401"), "{e}");
    assert!(!format!("{e} {e:?} {backend:?}").contains("secret"), "{e:?}");
    assert_eq!(headers.lock().unwrap()[0][header::AUTHORIZATION], format!("Bearer {KEY}"));
}

/// Also if no traces are recorded, so that the ids connect the logs of both sides.
#[tokio::test]
async fn trace_context_is_sent_to_the_server() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = told.clone();
    let refuse = move |headers: HeaderMap| {
        seen.lock().unwrap().push(headers.get("traceparent").map(|value| value.to_str().unwrap().to_owned()));
        async { StatusCode::SERVICE_UNAVAILABLE }
    };
    let url = serve(Router::new().fallback(refuse)).await;
    let openai = OpenAiModelBackend::new(&url, None).unwrap();
    let ollama = OllamaModelBackend::new(url.strip_suffix("/v1").unwrap()).unwrap();
    let above = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for backend in [&openai as &dyn ModelBackend, &ollama] {
        let place = TraceContext::from_traceparent(above).unwrap();
        let work = async { backend.models().await.unwrap_err() };
        trace::run(Arc::new(SilentTracer), Span::none(), place, work).await;
        let own = TraceContext::of_request("order-17").unwrap();
        let trace_id = own.trace_id();
        let work = trace::within(Span::none(), async { backend.models().await.unwrap_err() });
        trace::run(Arc::new(SilentTracer), Span::none(), own, work).await;
        backend.models().await.unwrap_err();
        let said: Vec<_> = told.lock().unwrap().drain(..).collect();
        assert_eq!((said.len(), said[0].as_deref(), &said[2]), (3, Some(above), &None));
        let begun = TraceContext::from_traceparent(said[1].as_ref().unwrap()).unwrap();
        assert_eq!(begun.trace_id(), trace_id);
    }
}

#[tokio::test]
async fn broken_answer_states_the_reason() {
    let text = r#"data: {"choices":[{"index":0,"delta":{"content":"half"},"finish_reason":null}]}"#;
    let error = r#"data: {"error":{"code":500,"message":"out of memory","type":"server_error"}}"#;
    for (body, ending, says) in [
        (format!("{text}\n\n{error}\n\n"), Ending::Close, "out of memory"),
        (format!("{text}\n\ndata: {{\"choices\":[\n\n"), Ending::Close, "violates its protocol"),
        (format!("{text}\n\ndata: [DONE]\n\n"), Ending::Close, "without a reason"),
        (
            format!("{text}\n\ndata: {{\"choices\":[{{\"finish_reason\":\"abort\"}}]}}\n\n"),
            Ending::Close,
            "for the reason \"abort\"",
        ),
        (format!("{text}\n\n"), Ending::Close, "before its answer ended"),
        (format!("{text}\n\n: alive\n\n{}", &text[..30]), Ending::Cut, "broke off"),
        (format!("{text}\n\n"), Ending::Silence, "sent no data for 300ms"),
    ] {
        let backend = OpenAiModelBackend::new(&streaming(body, ending).await, None).unwrap();
        let (pieces, e) = failure(&backend.idle_timeout(Duration::from_millis(300)), ask()).await;
        let kind = if ending == Ending::Silence { ErrorKind::Timeout } else { ErrorKind::Unavailable };
        assert_eq!((pieces, e.kind()), (1, kind), "{says}: {e}");
        assert!(e.to_string().contains(says), "{says}: {e}");
    }
}

#[tokio::test]
async fn every_event_stream_is_decoded_and_complete_with_its_finish_reason() {
    let [one, two] =
        ["hel", "lo"].map(|text| format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#));
    let end = r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#;
    for (body, ending) in [
        (format!("\u{feff}data: {one}\n\ndata: {two}\n\ndata: {end}\n\ndata: [DONE]\n\n"), Ending::Close),
        (format!("data: {one}\r\rdata\r\r: alive\r\rdata: {two}\r\rdata:\r\rdata: {end}\r\r"), Ending::Close),
        (format!("event: x\r\ndata: {one}\r\n\r\nid: 7\r\ndata:{two}\r\n\r\ndata: {end}"), Ending::Close),
        (format!("data: {one}\n\ndata: {two}\n\ndata: {end}\n\ndata: {{\"usa"), Ending::Cut),
        (format!("data: {one}\n\ndata: {two}\n\ndata: {end}\n\n"), Ending::Silence),
    ] {
        let backend = OpenAiModelBackend::new(&streaming(body.clone(), ending).await, None).unwrap();
        let (text, usage) = backend.complete(ask()).await.unwrap();
        assert_eq!((text.as_str(), usage.finish_reason), ("hello", FinishReason::Length), "{body}");
    }
}

#[tokio::test]
async fn refusals_and_filtered_answers_need_not_fit_a_schema() {
    let chunk = |delta: &str, reason: &str| {
        format!(r#"data: {{"choices":[{{"delta":{delta},"finish_reason":{reason}}}]}}"#)
    };
    let schema = Constraint::JsonSchema(json!({ "type": "object" }));
    for (chunks, text, reason, refusal) in [
        (
            [chunk(r#"{"refusal":"I may "}"#, "null"), chunk(r#"{"refusal":"not."}"#, r#""stop""#)],
            "",
            FinishReason::Stop,
            Some("I may not."),
        ),
        (
            [chunk(r#"{"content":"{\"half"}"#, "null"), chunk("{}", r#""content_filter""#)],
            "{\"half",
            FinishReason::ContentFilter,
            None,
        ),
    ] {
        let body = format!("{}\n\ndata: [DONE]\n\n", chunks.join("\n\n"));
        let backend = OpenAiModelBackend::new(&streaming(body, Ending::Close).await, None).unwrap();
        let request = GenerateRequest { constraint: Some(schema.clone()), ..ask() };
        let (found, usage) = backend.complete(request).await.unwrap();
        assert_eq!((found.as_str(), usage.finish_reason, usage.refusal.as_deref()), (text, reason, refusal));
    }
    let reasoned =
        [chunk(r#"{"reasoning_content":"hm"}"#, "null"), chunk("{}", r#""stop""#)].join("\n\n") + "\n\n";
    let backend = OpenAiModelBackend::new(&streaming(reasoned, Ending::Close).await, None).unwrap();
    let (_, e) = failure(&backend, ask()).await;
    assert!(e.kind() == ErrorKind::Misfit && e.message().contains("reasoning"), "{e}");
}

#[tokio::test]
async fn invalid_embeddings_are_an_error() {
    for (data, good) in [
        (json!([{ "index": 1, "embedding": [2.0] }, { "index": 0, "embedding": [1.0] }]), true),
        (json!([{ "embedding": [1.0] }, { "embedding": [2.0] }]), true),
        (json!([{ "index": 0, "embedding": [] }, { "index": 1, "embedding": [] }]), false),
        (json!([{ "index": 0, "embedding": [1.0] }, { "index": 1, "embedding": [1.0, 2.0] }]), false),
        (json!([{ "index": 0, "embedding": [1.0] }, { "index": 0, "embedding": [2.0] }]), false),
        (json!([{ "index": 0, "embedding": [1.0] }]), false),
        (json!([{ "index": 0, "embedding": [null] }, { "index": 1, "embedding": [2.0] }]), false),
        (json!([{ "index": 0, "embedding": [1e39] }, { "index": 1, "embedding": [2.0] }]), false),
    ] {
        let models =
            json!({ "object": "list", "data": [{ "id": "m", "object": "model", "owned_by": "us" }] });
        let answer = json!({ "data": data, "usage": { "prompt_tokens": null } });
        let router = Router::new()
            .route("/v1/models", get(async move || axum::Json(models)))
            .route("/v1/embeddings", post(async move || axum::Json(answer)));
        let backend = OpenAiModelBackend::new(&serve(router).await, None).unwrap();
        match backend.embed(None, &["a".into(), "b".into()]).await {
            Ok(made) => {
                assert!(good && made.vectors == [[1.0], [2.0]] && made.prompt_tokens.is_none(), "{made:?}")
            }
            Err(e) => assert!(!good && e.kind() == ErrorKind::Unavailable, "{data}: {e}"),
        }
    }
}

#[tokio::test]
async fn silent_answer_ends_by_the_request_time_limit() {
    let url = streaming(": alive\n\n".into(), Ending::Silence).await;
    let request = GenerateRequest { timeout: Some(Duration::from_millis(300)), ..ask() };
    let (_, e) = failure(&OpenAiModelBackend::new(&url, None).unwrap(), request).await;
    assert_eq!((e.kind(), e.message()), (ErrorKind::Timeout, "no answer within 300ms"));
}

/// Starts a server with one model, which always answers with this body.
async fn streaming(body: String, ending: Ending) -> String {
    let models = json!({ "object": "list", "data": [{ "id": "m", "object": "model", "owned_by": "us" }] });
    let answer = move || {
        let body = body.clone();
        async move { sse(body, ending) }
    };
    let router = Router::new()
        .route("/v1/models", get(async move || axum::Json(models.clone())))
        .route("/v1/chat/completions", post(answer));
    serve(router).await
}

fn sse(body: String, ending: Ending) -> Response {
    // One byte at a time: events and characters are cut at every possible position.
    let bytes = stream::iter(body.into_bytes()).map(|byte| vec![byte]);
    ([(header::CONTENT_TYPE, "text/event-stream")], fault::ended(bytes, ending, ())).into_response()
}

/// Serves the router for the duration of the test; returns its address.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}/v1")
}
