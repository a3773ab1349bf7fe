//! Ollama backend: the port's conformance suite, the requests it sends, and every way in which a server can fail.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use serde_json::json;
use sutazai_agent::models::OllamaModelBackend;
use sutazai_core::ErrorKind;
use sutazai_core::domain::{ChatMessage, Constraint, FinishReason, GenerateRequest};
use sutazai_core::ports::{ModelBackend, ModelBackendExt};
use sutazai_core::testing::model_backend;

use crate::fault::Fault;
use crate::ollama_server::OllamaServer;
use crate::{HANG_LIMIT, ask, failure, nowhere, private};

const MODELS: [&str; 2] = ["tinyllama:latest", "smollm2:135m"];

#[tokio::test]
async fn conforms() {
    let server = OllamaServer::start(&MODELS).await;
    model_backend::run_all(|| async { Arc::new(server.backend()) }).await;
    let away = OllamaModelBackend::new(&nowhere()).unwrap();
    model_backend::unreachable_backend_is_unavailable(&away).await;
}

#[tokio::test]
async fn request_parameters_are_sent() {
    let server = OllamaServer::start(&MODELS).await;
    let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    let request = GenerateRequest {
        model: Some("smollm2:135m".into()),
        messages: vec![ChatMessage::system("Be short."), ChatMessage::user("Who?")],
        max_tokens: 7,
        temperature: Some(0.5),
        top_p: Some(0.5),
        repeat_penalty: Some(1.5),
        seed: Some(42),
        stop: vec!["END".into()],
        constraint: Some(Constraint::JsonSchema(schema.clone())),
        timeout: None,
        prefix_owner: None,
    };
    let (text, _) = server.backend().complete(request).await.unwrap();
    assert_eq!(text, r#"{"name":"x"}"#);
    let expected = json!({
        "model": "smollm2:135m",
        "messages": [{ "role": "system", "content": "Be short." }, { "role": "user", "content": "Who?" }],
        "options": { "num_predict": 7, "temperature": 0.5, "top_p": 0.5, "repeat_penalty": 1.5, "seed": 42, "stop": ["END"] },
        "format": schema,
        "stream": true,
    });
    assert_eq!(server.posted("/api/chat"), [expected]);
}

#[tokio::test]
async fn models_and_usage_are_reported() {
    let server = OllamaServer::start(&MODELS).await;
    let listed = server.backend().models().await.unwrap();
    assert_eq!(listed.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), MODELS);
    assert_eq!((listed[0].size_bytes, listed[0].parameters), (Some(637_699_456), Some(1_100_000_000)));
    assert_eq!(listed[0].context_length, Some(16_384), "what a request can use");

    let request = GenerateRequest { max_tokens: 100, stop: vec!["island".into()], ..ask() };
    let (text, usage) = server.backend().complete(request).await.unwrap();
    assert_eq!(text, "Once the ship Überfahrt 船 sailed out 🚢 with a naïve crew and came to an ");
    assert_eq!((usage.backend.as_str(), usage.model.as_str()), ("ollama", MODELS[0]));
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (6, 16));
    assert_eq!((usage.finish_reason, usage.degraded), (FinishReason::Stop, None));

    let e = OllamaServer::start(&[]).await.backend().complete(ask()).await.unwrap_err();
    assert_eq!((e.kind(), e.message()), (ErrorKind::NotFound, "ollama has no model"));
}

#[tokio::test]
async fn characters_cut_in_the_middle_are_complete() {
    let server = OllamaServer::start(&MODELS).await;
    let request = GenerateRequest { max_tokens: 20, ..ask() };
    let (whole, _) = server.backend().complete(request.clone()).await.unwrap();
    assert!(whole.contains('船') && whole.contains('🚢'));
    for size in [1, 3, 1_000] {
        server.fail(Fault::Shred(size));
        assert_eq!(server.backend().complete(request.clone()).await.unwrap().0, whole);
    }
}

#[tokio::test]
async fn refusals_map_to_error_kinds_with_a_reason() {
    let server = OllamaServer::start(&MODELS).await;
    let backend = server.backend();
    for (status, body, kind, says) in [
        (400, r#"{"error":"invalid options"}"#, ErrorKind::InvalidInput, "invalid options"),
        (429, r#"{"error":"slow down"}"#, ErrorKind::RateLimited, "slow down"),
        (
            500,
            r#"{"error":"model requires more system memory"}"#,
            ErrorKind::Unavailable,
            "more system memory",
        ),
        (502, "<html>bad gateway</html>", ErrorKind::Unavailable, "502 Bad Gateway"),
        (504, "", ErrorKind::Timeout, "504 Gateway Timeout"),
        (302, "", ErrorKind::Unavailable, "302 Found"),
    ] {
        server.fail(Fault::Refuse(status, body, None));
        let (_, e) = failure(&backend, ask()).await;
        assert_eq!(e.kind(), kind, "{e}");
        assert!(e.message().starts_with("ollama") && e.to_string().contains(says), "{e}");
    }
    server.fail(Fault::Refuse(503, "{}", Some("7")));
    let (_, e) = failure(&backend, ask()).await;
    assert_eq!((e.kind(), e.retry_after()), (ErrorKind::Busy, Some(Duration::from_secs(7))));
    server.fail(Fault::Refuse(503, "{}", Some("9223372036854775")));
    let (_, e) = failure(&backend, ask()).await;
    assert_eq!(e.retry_after(), Some(Duration::from_secs(3_600)), "no more than an hour is believed");

    let (_, e) = failure(&backend, GenerateRequest { model: Some("llama3".into()), ..ask() }).await;
    assert_eq!(
        (e.kind(), e.message()),
        (ErrorKind::NotFound, "no model llama3: ollama has tinyllama:latest, smollm2:135m")
    );
    let (_, e) = failure(&backend, GenerateRequest { repeat_penalty: Some(-1.0), ..ask() }).await;
    assert_eq!(
        (e.kind(), e.message()),
        (ErrorKind::InvalidInput, "ollama answered 400 Bad Request: invalid option")
    );
}

#[tokio::test]
async fn full_queue_is_busy_with_a_retry_delay() {
    let server = OllamaServer::with_queue(&MODELS, 1, 1).await;
    let backend = server.backend();
    server.fail(Fault::Stall(1));
    let mut writing = backend.generate(ask()).await.unwrap();
    writing.next().await.unwrap().unwrap();
    let mut waiting = Box::pin(backend.complete(ask()));
    let mut refused = Box::pin(backend.complete(ask()));
    // Either of the two may come first, but one of them finds the queue full.
    let (e, waiting) = tokio::select! {
        first = &mut waiting => (first.unwrap_err(), refused),
        second = &mut refused => (second.unwrap_err(), waiting),
    };
    assert_eq!(e.kind(), ErrorKind::Busy, "{e}");
    assert!(e.retry_after().is_some() && e.to_string().contains("maximum pending requests exceeded"), "{e}");
    drop(writing);
    waiting.await.unwrap();
}

#[tokio::test]
async fn broken_answer_states_the_reason() {
    let server = OllamaServer::start(&MODELS).await;
    let backend = server.backend();
    for (fault, says) in [
        (Fault::ErrorLine(3, "llama runner process has terminated"), "runner process has terminated"),
        (Fault::Garbage(3, "<html>\n"), "violates its protocol"),
        (Fault::Garbage(3, "{\"message\":\"my-private-words\"}\n"), "violates its protocol"),
        (Fault::Garbage(3, "{\"done\":true,\"done_reason\":\"unload\"}\n"), "for the reason \"unload\""),
        (Fault::Half(3), "in the middle of a line"),
        (Fault::Cut(3), "broke off"),
        (Fault::Garbage(3, ""), "before its answer ended"),
    ] {
        server.fail(fault.clone());
        let (pieces, e) = failure(&backend, ask()).await;
        assert_eq!((pieces, e.kind()), (3, ErrorKind::Unavailable), "{fault:?}: {e}");
        assert!(e.to_string().contains(says), "{fault:?}: {e}");
    }
    // The next answer is complete again.
    backend.complete(ask()).await.unwrap();
}

#[tokio::test]
async fn answer_that_violates_the_schema_is_an_error() {
    let server = OllamaServer::start(&MODELS).await;
    let schema = json!({ "type": "object", "properties": { "name": {} }, "required": ["name"] });
    let constraint = Some(Constraint::JsonSchema(schema));
    for text in ["Sure! {}", "{}", r#"{"name":"#] {
        server.fail(Fault::Says(text));
        let (_, e) =
            failure(&server.backend(), GenerateRequest { constraint: constraint.clone(), ..ask() }).await;
        assert_eq!(e.kind(), ErrorKind::Misfit, "{text}: {e}");
        assert!(e.message().starts_with("the model's answer"), "{e}");
    }
}

#[tokio::test]
async fn stalled_connection_ends_by_the_idle_timeout() {
    let server = OllamaServer::start(&MODELS).await;
    let backend = server.backend().idle_timeout(Duration::from_millis(300));
    for (fault, pieces) in [(Fault::Silence, 0), (Fault::Stall(0), 0), (Fault::Stall(4), 4)] {
        server.fail(fault);
        let begun = Instant::now();
        let (got, e) = failure(&backend, ask()).await;
        assert_eq!(
            (got, e.kind(), e.message()),
            (pieces, ErrorKind::Timeout, "ollama sent no data for 300ms")
        );
        assert!(begun.elapsed() < HANG_LIMIT);
    }
}

#[tokio::test]
async fn stalled_connection_ends_by_the_request_time_limit() {
    let server = OllamaServer::start(&MODELS).await;
    let request = GenerateRequest { timeout: Some(Duration::from_millis(300)), ..ask() };
    for (fault, pieces) in [(Fault::Silence, 0), (Fault::Stall(4), 4)] {
        server.fail(fault);
        let begun = Instant::now();
        let (got, e) = failure(&server.backend(), request.clone()).await;
        assert_eq!((got, e.kind(), e.message()), (pieces, ErrorKind::Timeout, "no answer within 300ms"));
        assert!(begun.elapsed() < HANG_LIMIT);
    }
    // Silence is not the only reason: a model that never stops exceeds the limit as well.
    let begun = Instant::now();
    let (pieces, e) = failure(&server.backend(), GenerateRequest { max_tokens: 3_000, ..request }).await;
    assert_eq!(e.kind(), ErrorKind::Timeout, "{e}");
    assert!(pieces > 0 && begun.elapsed() < HANG_LIMIT, "{pieces} pieces");
}

#[tokio::test]
async fn dropped_answer_closes_the_connection() {
    let server = OllamaServer::start(&MODELS).await;
    let backend = server.backend();
    server.fail(Fault::Stall(2));
    let request = GenerateRequest { max_tokens: 3_000, ..ask() };
    for _ in 0..2 {
        let mut stream = backend.generate(request.clone()).await.unwrap();
        stream.next().await.unwrap().unwrap();
        server.until_writing(1).await;
        drop(stream);
        server.until_writing(0).await;
    }
    // Also for a caller that disconnects before the first word.
    server.fail(Fault::Stall(0));
    let waiting = async {
        let mut stream = backend.generate(request).await.unwrap();
        stream.next().await
    };
    tokio::select! {
        event = waiting => panic!("{event:?}"),
        () = server.until_writing(1) => {}
    }
    server.until_writing(0).await;
}

#[tokio::test]
async fn fifty_concurrent_answers_are_not_mixed_up() {
    let server = OllamaServer::with_queue(&MODELS, 8, 64).await;
    let backend = server.backend();
    let answers = (1..=50).map(|max_tokens| backend.complete(GenerateRequest { max_tokens, ..ask() }));
    let (longest, _) = backend.complete(GenerateRequest { max_tokens: 50, ..ask() }).await.unwrap();
    for (answer, tokens) in join_all(answers).await.into_iter().zip(1..) {
        let (text, usage) = answer.unwrap();
        assert_eq!(usage.completion_tokens, tokens);
        assert!(longest.starts_with(&text), "{text}");
    }
}

#[tokio::test]
async fn model_is_loaded_by_a_request_without_a_prompt() {
    let server = OllamaServer::start(&MODELS).await;
    server.backend().load(Some(MODELS[1].into())).await.unwrap();
    server.backend().load(None).await.unwrap();
    let request = |model: &str| json!({ "model": model, "stream": false });
    assert_eq!(server.posted("/api/generate"), [request(MODELS[1]), request(MODELS[0])]);

    let refusal = "model requires more system memory (9.8 GiB) than is available (5.5 GiB)";
    server.fail(Fault::Refuse(500, refusal, None));
    let e = server.backend().load(None).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unavailable);
    assert!(e.to_string().contains(refusal), "{e}");
}

#[tokio::test]
async fn each_text_gets_one_embedding() {
    let server = OllamaServer::start(&MODELS).await;
    model_backend::run_embeddings(|| async { Arc::new(server.backend()) }).await;
    let server = OllamaServer::start(&MODELS).await;
    let backend = server.backend();
    let made = backend.embed(None, &["one".into(), "two".into(), "one".into()]).await.unwrap();
    assert_eq!((made.model.as_str(), made.prompt_tokens), (MODELS[0], Some(9)));
    assert_eq!(
        server.posted("/api/embed"),
        [json!({ "model": MODELS[0], "input": ["one", "two", "one"], "truncate": false })]
    );
    let e = backend.embed(Some("nomic".into()), &["one".into()]).await.unwrap_err();
    assert_eq!(
        (e.kind(), e.message()),
        (ErrorKind::NotFound, "no model nomic: ollama has tinyllama:latest, smollm2:135m")
    );
}

#[tokio::test]
async fn pull_reports_progress_and_ends() {
    let server = OllamaServer::start(&[]).await;
    let backend = server.backend();
    let steps: Vec<_> = backend.pull("tinyllama").await.unwrap().map(Result::unwrap).collect().await;
    assert_eq!((steps[0].status.as_str(), steps[0].total_bytes), ("pulling manifest", None));
    let bytes: Vec<_> = steps.iter().filter_map(|step| step.completed_bytes).collect();
    assert_eq!(bytes, [159_424_864, 318_849_728, 478_274_592, 637_699_456]);
    let loading = steps.iter().filter(|step| step.status == "pulling 2af3b81862c6");
    assert!(loading.clone().all(|step| step.total_bytes == Some(637_699_456)) && loading.count() == 5);
    assert_eq!(steps.last().unwrap().status, "success");
    assert_eq!(backend.complete(ask()).await.unwrap().1.model, "tinyllama:latest");
}

#[tokio::test]
async fn failed_pull_states_the_reason() {
    let server = OllamaServer::start(&[]).await;
    let backend = server.backend();
    for (fault, model, kind, says) in [
        (
            None,
            "no-such-model",
            ErrorKind::NotFound,
            "cannot pull no-such-model: pull model manifest: file does not exist",
        ),
        (None, "", ErrorKind::InvalidInput, "400 Bad Request"),
        (
            Some(Fault::ErrorLine(2, "write blob: no space left on device")),
            "m",
            ErrorKind::Unavailable,
            "no space left",
        ),
        (Some(Fault::Half(3)), "m", ErrorKind::Unavailable, "in the middle of a line"),
        (Some(Fault::Cut(3)), "m", ErrorKind::Unavailable, "broke off"),
        (Some(Fault::Garbage(4, "")), "m", ErrorKind::Unavailable, "before the pull was done"),
        (Some(Fault::Stall(2)), "m", ErrorKind::Timeout, "sent no data"),
    ] {
        let backend = server.backend().idle_timeout(Duration::from_millis(300));
        fault.into_iter().for_each(|fault| server.fail(fault));
        let e = match backend.pull(model).await {
            Err(e) => e,
            Ok(steps) => {
                let mut steps: Vec<_> = steps.collect().await;
                steps.pop().unwrap().unwrap_err()
            }
        };
        assert_eq!(private(e.clone()).kind(), kind, "{e}");
        assert!(e.to_string().contains(says), "{e}");
    }
    assert!(backend.models().await.unwrap().is_empty());
    // Dropping the stream cancels the pull.
    server.fail(Fault::Stall(2));
    let mut steps = backend.pull("m").await.unwrap();
    steps.next().await.unwrap().unwrap();
    drop(steps);
    server.until_writing(0).await;
}

#[tokio::test]
async fn address_of_another_server_is_named() {
    let server = OllamaServer::start(&MODELS).await;
    let backend = OllamaModelBackend::new(&format!("{}/v1", server.url())).unwrap();
    let e = backend.models().await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
    assert!(e.to_string().contains("/v1/api/tags"), "{e}");
    assert_eq!(e.message(), "there is no ollama server");
}

#[tokio::test]
async fn text_of_every_line_is_returned() {
    let server = OllamaServer::start(&MODELS).await;
    for (body, expected) in [
        ("{\"message\":{\"content\":\"hel\"}}\n{\"message\":{\"content\":\"lo\"},\"done\":true}", "hello"),
        ("\u{feff}{\"message\":{\"content\":\"hi\"},\"done\":true,\"eval_count\":null}\n", "hi"),
        (
            "{\"message\":{\"content\":null}}\n\n{\"message\":{\"content\":\"x\"},\"done\":true}\r\n{\"late\"",
            "x",
        ),
    ] {
        server.fail(Fault::Garbage(0, body));
        let (text, usage) = server.backend().complete(ask()).await.unwrap();
        assert_eq!((text.as_str(), usage.finish_reason), (expected, FinishReason::Stop));
    }
}

#[tokio::test]
async fn only_set_parameters_are_sent_and_seeds_are_exact() {
    let server = OllamaServer::start(&MODELS).await;
    let bare = GenerateRequest { temperature: None, repeat_penalty: None, ..ask() };
    server.backend().complete(bare.clone()).await.unwrap();
    server.backend().complete(GenerateRequest { seed: Some(-4_294_967_301), ..bare }).await.unwrap();
    let options: Vec<_> = server.posted("/api/chat").iter().map(|body| body["options"].clone()).collect();
    assert_eq!(
        options,
        [json!({ "num_predict": 6 }), json!({ "num_predict": 6, "seed": -4_294_967_301_i64 })]
    );
}

#[tokio::test]
async fn texts_are_never_truncated_silently() {
    let server = OllamaServer::start(&MODELS).await;
    let backend = server.backend();
    let say = |words: usize, max_tokens| GenerateRequest {
        max_tokens,
        ..GenerateRequest::new(vec![ChatMessage::user("y ".repeat(words))])
    };
    // A token of this server is a word, here of two bytes: the upper bound of the estimate for letters.
    for (words, max_tokens, num_ctx) in
        [(1_000, 500, None), (3_000, 500, Some(4_096)), (9_000, 500, Some(16_384))]
    {
        let (_, usage) = backend.complete(say(words, max_tokens)).await.unwrap();
        assert_eq!(usage.prompt_tokens as usize, words, "it was cut");
        let sent = server.posted("/api/chat").pop().unwrap();
        assert_eq!(sent["options"]["num_ctx"].as_u64(), num_ctx, "{words}");
    }
    // The answer gets the rest of the context.
    let (_, usage) = backend.complete(say(15_000, 3_000)).await.unwrap();
    assert_eq!((usage.prompt_tokens, usage.finish_reason), (15_000, FinishReason::Length));
    assert!(usage.completion_tokens < 1_384, "{usage:?}");
    let (_, e) = failure(&backend, say(17_000, 1)).await;
    assert_eq!((e.kind(), e.field()), (ErrorKind::ContextLength, Some("messages")), "{e}");
    assert_eq!(server.posted("/api/chat").len(), 4, "nothing was sent");
    assert_eq!(server.posted("/api/show").len(), 1, "asked once");

    let texts = ["short".to_owned(), "y ".repeat(10_000)];
    assert_eq!(backend.embed(None, &texts).await.unwrap().prompt_tokens, Some(3 + 10_002));
    let e = backend.embed(None, &["y ".repeat(20_000)]).await.unwrap_err();
    assert_eq!((e.kind(), e.field()), (ErrorKind::ContextLength, Some("input")), "{e}");
    backend.embed(None, &["short".into()]).await.unwrap();
    let last = server.posted("/api/embed").pop().unwrap();
    assert_eq!((&last["truncate"], last.get("options")), (&json!(false), None));
}

#[tokio::test]
async fn unenforceable_schema_is_rejected_before_the_request() {
    let server = OllamaServer::start(&MODELS).await;
    for schema in [
        json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        json!({ "type": "object", "properties": { "code": { "type": "string", "pattern": "[0-9]+" } } }),
    ] {
        let request = GenerateRequest { constraint: Some(Constraint::JsonSchema(schema)), ..ask() };
        let (_, e) = failure(&server.backend(), request).await;
        assert_eq!((e.kind(), e.field()), (ErrorKind::Unsupported, Some("constraint")), "{e}");
    }
    assert!(server.posted("/api/chat").is_empty());
}

#[tokio::test]
async fn key_order_is_sent_to_ollama() {
    let server = OllamaServer::start(&MODELS).await;
    let text = r#"{"type":"object","properties":{"zebra":{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"string"}}},"apple":{"type":"string"}}}"#;
    let constraint = Some(Constraint::JsonSchema(serde_json::from_str(text).unwrap()));
    let (answer, _) = server.backend().complete(GenerateRequest { constraint, ..ask() }).await.unwrap();
    assert_eq!(server.posted("/api/chat")[0]["format"].to_string(), text);
    assert_eq!(answer, r#"{"zebra":{"b":"x","a":"x"},"apple":"x"}"#);
}
