//! Compatibility with OpenAI's clients: their requests are accepted, and responses have the form that they parse.

use std::sync::Arc;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sutazai_core::admission_control::AdmissionControlConfig;
use sutazai_core::domain::{ChatMessage, Constraint};
use sutazai_core::testing::{ScriptedAnswer, ScriptedModelBackend};
use sutazai_core::{Error, ErrorKind};

use crate::endless::Endless;
use crate::openai_api::{ask, refused, scripted, sent};
use crate::support::{Server, User};

const PATH: &str = "/v1/chat/completions";

/// Sends a request that must be rejected with 400, and returns its error.
async fn refusal(user: &User<'_>, more: Value) -> Value {
    let answer = user.post(PATH, &ask(more.clone())).await;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, 400, "{more}: {body}");
    body["error"].clone()
}

async fn raw(user: &User<'_>, body: &str) -> Response {
    let request = user.request(Method::POST, PATH).header(CONTENT_TYPE, "application/json");
    request.body(body.to_owned()).send().await.unwrap()
}

#[tokio::test]
async fn json_schema_reaches_the_model_unchanged() {
    let (server, model) = scripted(["{}"]).await;
    let ada = server.user("ada").await;
    let schema = r#"{"type":"object","properties":{"zebra":{"items":{"properties":{"b":{},"a":{}}}},"apple":{"anyOf":[{"minLength":1,"maxLength":9}]}},"$defs":{"z":{},"a":{}}}"#;
    let format =
        format!(r#"{{"json_schema":{{"schema":{schema},"strict":true,"name":"n"}},"type":"json_schema"}}"#);
    let body = format!(
        r#"{{"response_format":{format},"messages":[{{"content":"x","role":"user"}}],"model":"scripted-model"}}"#
    );
    assert_eq!(raw(&ada, &body).await.status(), 200);
    let Some(Constraint::JsonSchema(seen)) = model.requests()[0].constraint.clone() else { panic!() };
    assert_eq!(seen.to_string(), schema);
}

#[tokio::test]
async fn unknown_keys_are_rejected_by_name_at_every_level() {
    let (server, model) = scripted(Vec::<String>::new()).await;
    let ada = server.user("ada").await;
    let message = |more: Value| {
        let mut message = json!({ "role": "assistant", "content": "x" });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "messages": [{ "role": "user", "content": "y" }, message] })
    };
    for (more, param) in [
        (json!({ "response_format": { "type": "json_object", "strict": true } }), "response_format.strict"),
        (json!({ "response_format": { "type": "text", "schema": {} } }), "response_format.schema"),
        (
            json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "n", "schemas": {} } } }),
            "response_format.json_schema.schemas",
        ),
        (message(json!({ "name": "bob" })), "messages[1].name"),
        (message(json!({ "tool_calls": [{ "id": "1" }] })), "messages[1].tool_calls"),
        (message(json!({ "function_call": { "name": "f" } })), "messages[1].function_call"),
        (message(json!({ "annotations": [{}] })), "messages[1].annotations"),
        (message(json!({ "reasoning_content": "hm" })), "messages[1].reasoning_content"),
        (json!({ "messages": [{ "role": "user", "content": null }] }), "messages[0].content"),
        (json!({ "messages": [{ "role": "system" }] }), "messages[0].content"),
        (
            json!({ "stream": true, "stream_options": { "include_obfuscation": true } }),
            "stream_options.include_obfuscation",
        ),
        (json!({ "max_tokens": 9, "max_completion_tokens": 8 }), "max_tokens"),
    ] {
        let e = refusal(&ada, more.clone()).await;
        assert_eq!(e["param"], param, "{more}: {e}");
    }
    let twice = r#"{"model":"scripted-model","messages":[{"role":"user","content":"x"}],"max_tokens":9,"max_tokens":8}"#;
    let e: Value = raw(&ada, twice).await.json().await.unwrap();
    assert_eq!(e["error"]["param"], "max_tokens", "{e}");
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test]
async fn parameters_without_effect_and_fields_of_answers_are_accepted() {
    let (server, model) = scripted(["one", "two"]).await;
    let ada = server.user("ada").await;
    let answer: Value = ada.post(PATH, &ask(json!({}))).await.json().await.unwrap();
    let mut given_back = answer["choices"][0]["message"].clone();
    given_back.as_object_mut().unwrap().extend(
        json!({ "annotations": [], "audio": null, "function_call": null, "tool_calls": [] })
            .as_object()
            .unwrap()
            .clone(),
    );
    let neutral = json!({
        "messages": [
            { "role": "user", "content": "x", "name": null },
            given_back,
            { "role": "user", "content": "y" },
            { "role": "assistant", "content": null, "refusal": "No." },
            { "role": "user", "content": [{ "type": "text", "text": "z" }] },
        ],
        "stream": true, "stream_options": { "include_obfuscation": false, "include_usage": null },
        "max_tokens": 9, "max_completion_tokens": 9, "stop": [], "n": 1.0, "tools": [], "logit_bias": {},
        "presence_penalty": 0.0, "reasoning_effort": null, "seed": null, "metadata": { "a": "b" },
    });
    assert_eq!(ada.post(PATH, &ask(neutral)).await.status(), 200);
    let asked = model.requests().pop().unwrap();
    let expected = [
        ChatMessage::user("x"),
        ChatMessage::assistant("one"),
        ChatMessage::user("y"),
        ChatMessage::assistant("No."),
        ChatMessage::user("z"),
    ];
    assert_eq!(asked.messages, expected);
    assert_eq!((asked.max_tokens, asked.temperature, asked.repeat_penalty), (9, None, None));
}

#[tokio::test]
async fn seed_must_be_an_integer() {
    let (server, model) = scripted(["a", "b"]).await;
    let ada = server.user("ada").await;
    for seed in [4_294_967_301_i64, -1] {
        assert_eq!(ada.post(PATH, &ask(json!({ "seed": seed }))).await.status(), 200);
        assert_eq!(model.requests().pop().unwrap().seed, Some(seed));
    }
    let e = refusal(&ada, json!({ "seed": 18_446_744_073_709_551_615_u64 })).await;
    assert_eq!(e["param"], "seed");
}

#[tokio::test]
async fn refusals_and_content_filters_are_passed_on() {
    let answers = [ScriptedAnswer::Refusal("I may not.".into()), ScriptedAnswer::Filtered("The ".into())];
    let (server, _) = scripted(answers.iter().chain(&answers).cloned().collect::<Vec<_>>()).await;
    let ada = server.user("ada").await;
    let schema = json!({ "response_format": { "type": "json_object" } });
    let refused: Value = ada.post(PATH, &ask(schema)).await.json().await.unwrap();
    let choice = &refused["choices"][0];
    assert_eq!(choice["message"], json!({ "role": "assistant", "content": null, "refusal": "I may not." }));
    assert_eq!(choice["finish_reason"], "stop");
    let filtered: Value = ada.post(PATH, &ask(json!({}))).await.json().await.unwrap();
    assert_eq!(
        (&filtered["choices"][0]["finish_reason"], &filtered["choices"][0]["message"]["content"]),
        (&json!("content_filter"), &json!("The "))
    );
    let stream = sent(ada.post(PATH, &ask(json!({ "stream": true }))).await).await;
    assert!(stream.iter().any(|chunk| chunk.contains(r#""delta":{"refusal":"I may not."}"#)), "{stream:?}");
    let stream = sent(ada.post(PATH, &ask(json!({ "stream": true }))).await).await;
    assert!(stream.iter().any(|chunk| chunk.contains(r#""finish_reason":"content_filter""#)), "{stream:?}");
}

#[tokio::test]
async fn context_overflow_has_its_own_error_code() {
    let full = || Error::context_length("messages", "expected at most 7 tokens, got 9");
    let (server, _) = scripted([full(), full()]).await;
    let ada = server.user("ada").await;
    for stream in [false, true] {
        let e = refusal(&ada, json!({ "stream": stream })).await;
        assert_eq!((&e["code"], &e["param"]), (&json!("context_length_exceeded"), &json!("messages")), "{e}");
        assert_eq!(e["type"], "invalid_request_error");
    }
}

#[tokio::test]
async fn every_error_has_openai_form() {
    let (server, _) = scripted(Vec::<String>::new()).await;
    let ada = server.user("ada").await;
    for (method, path) in [
        (Method::POST, "/v1/completions"),
        (Method::GET, "/v1"),
        (Method::GET, "/v1/"),
        (Method::GET, "/v1/files/x"),
        (Method::DELETE, "/v1/responses/x"),
    ] {
        let answer = ada.request(method, path).send().await.unwrap();
        refused(answer, 404, "invalid_request_error", "unknown_url").await;
    }
    let answer = ada.request(Method::DELETE, PATH).send().await.unwrap();
    assert_eq!(answer.headers()["allow"], "POST");
    refused(answer, 405, "invalid_request_error", "method_not_supported").await;
    let answer = ada.get("/v1/models?limit=3").await;
    let e = refused(answer, 400, "invalid_request_error", "invalid_input").await;
    assert_eq!(e["param"], "limit");
    let open = Server::start_with(vec![], false, |router| router).await;
    let answer =
        open.request(Method::GET, "/v1/models").header("host", "evil.example.org").send().await.unwrap();
    refused(answer, 421, "invalid_request_error", "misdirected").await;
    let answer = ada.get("/v10").await;
    crate::support::failure(answer, 404, "not_found").await;
}

#[tokio::test]
async fn listed_model_can_be_shown_by_every_accepted_name() {
    let model = ScriptedModelBackend::replying(|_| "yes").with_models(["org/Model:7b", "hf.co/a b/c:latest"]);
    let server = Server::start_with_model(Arc::new(model), AdmissionControlConfig::default()).await;
    let ada = server.user("ada").await;
    for (path, name) in [
        ("org/Model:7b", "org/Model:7b"),
        ("org%2FModel%3A7b", "org/Model:7b"),
        ("hf.co/a%20b/c:latest", "hf.co/a b/c:latest"),
        ("hf.co/a%20b/c", "hf.co/a b/c:latest"),
    ] {
        let shown: Value = ada.get(&format!("/v1/models/{path}")).await.json().await.unwrap();
        assert_eq!(shown["id"], name, "{path}: {shown}");
    }
    assert_eq!(ada.post(PATH, &ask(json!({ "model": "hf.co/a b/c" }))).await.status(), 200);
    for path in ["org", "org/", "Model:7b", "org/Model:7b/"] {
        refused(
            ada.get(&format!("/v1/models/{path}")).await,
            404,
            "invalid_request_error",
            "model_not_found",
        )
        .await;
    }
}

#[tokio::test]
async fn model_list_contains_the_usable_context_length() {
    let server =
        Server::start_with_model(Arc::new(Endless::default()), AdmissionControlConfig::default()).await;
    let ada = server.user("ada").await;
    let list: Value = ada.get("/v1/models").await.json().await.unwrap();
    assert_eq!(list["data"][0]["context_length"], 64, "{list}");
}

#[tokio::test]
async fn token_ids_are_rejected_with_the_setting_to_change() {
    let server =
        Server::start_with_model(Arc::new(Endless::default()), AdmissionControlConfig::default()).await;
    let ada = server.user("ada").await;
    for input in [json!([1, 2, 3]), json!([[1, 2], [3]])] {
        let answer = ada.post("/v1/embeddings", &json!({ "model": "endless", "input": input })).await;
        let e = refused(answer, 400, "invalid_request_error", "invalid_input").await;
        assert_eq!(e["param"], "input");
        let message = e["message"].as_str().unwrap();
        assert!(
            message.contains("got 3 token numbers") && message.contains("check_embedding_ctx_length=False"),
            "{e}"
        );
    }
}

#[tokio::test]
async fn errors_use_terms_of_the_api() {
    let (server, _) = scripted(Vec::<String>::new()).await;
    let ada = server.user("ada").await;
    for (more, message) in [
        (json!({ "temperature": "0.5" }), "expected a number, got \"0.5\""),
        (json!({ "max_tokens": 1.5 }), "expected a whole number from 0 to 4294967295, got 1.5"),
        (json!({ "max_tokens": -1 }), "expected a whole number from 0 to 4294967295, got -1"),
        (json!({ "stream": "yes" }), "expected true or false, got \"yes\""),
        (json!({ "messages": {} }), "expected a list, got an object"),
        (json!({ "model": 7 }), "expected a string, got 7"),
        (json!({ "response_format": "json" }), "expected an object, got \"json\""),
    ] {
        let e = refusal(&ada, more.clone()).await;
        assert_eq!(e["message"], message, "{more}");
    }
    for (path, body, message) in [
        (
            "/api/v1/tasks",
            json!({ "agent": "worker", "run_at": "2027-01-01" }),
            "expected a time with its offset from UTC, such as 2027-01-01T09:00:00Z",
        ),
        (
            "/api/v1/tasks",
            json!({ "agent": "worker", "run_at": 7 }),
            "expected a time with its offset from UTC, such as 2027-01-01T09:00:00Z, got 7",
        ),
        (
            "/api/v1/auth/api-keys",
            json!({ "name": "k", "scopes": ["models:use"], "requests_per_minute": 0 }),
            "expected a whole number from 1 to 4294967295, got 0",
        ),
    ] {
        let body: Value = ada.post(path, &body).await.json().await.unwrap();
        assert_eq!(body["error"]["message"], message, "{body}");
    }
}

#[tokio::test]
async fn unknown_query_parameter_is_rejected_on_every_route() {
    let (server, _) = scripted(["x"]).await;
    let ada = server.user("ada").await;
    let id = ada.ticket().await;
    for (method, path, field) in [
        (Method::DELETE, "/api/v1/tasks/0195f3a0-0000-7000-8000-000000000000?force=true", "force"),
        (Method::POST, "/api/v1/tasks?dry_run", "dry_run"),
        (Method::POST, "/api/v1/auth/login?next=/", "next"),
        (Method::GET, "/api/v1/auth/me?limit=1", "limit"),
        (Method::GET, "/api/v1/tasks?limit=1&x=", "x"),
        (Method::HEAD, "/api/v1/auth/me?limit=1", ""),
        (Method::GET, "/api/v1/events?ticket=x&since=1", "since"),
        (Method::GET, "/api/openapi.json?v=2", "v"),
    ] {
        let answer = ada.request(method, path).send().await.unwrap();
        assert_eq!(answer.status(), 422, "{path}");
        if !field.is_empty() {
            crate::support::names(answer, 422, "invalid_input", field).await;
        }
    }
    // Known parameters, routes that are not described, and probes accept their queries.
    for path in
        [&format!("/api/v1/events?ticket={id}"), "/health?t=1", "/api/v1/tasks?", "/api/v1/tasks?limit=1"]
    {
        assert_eq!(ada.get(path).await.status(), 200, "{path}");
    }
    let nested =
        Server::start_with(vec![], true, |router| axum::Router::new().nest("/deep/api", router)).await;
    let anonymous = nested
        .request(Method::POST, "/deep/api/api/v1/auth/login?x=1")
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(anonymous.status(), 422);
    assert!(anonymous.text().await.unwrap().contains("no such parameter"));
}

#[tokio::test]
async fn error_about_an_unknown_model_names_the_protocols_parameter() {
    let (server, _) = scripted([Error::new(ErrorKind::NotFound, "no model x: b has y")]).await;
    let ada = server.user("ada").await;
    let answer = ada.post(PATH, &ask(json!({}))).await;
    let e = refused(answer, 404, "invalid_request_error", "model_not_found").await;
    assert_eq!(e["param"], "model");
}
