//! OpenAI-compatible API over scripted models.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sutazai_core::admission_control::AdmissionControlConfig;
use sutazai_core::domain::ModelPermission;
use sutazai_core::engine::Engine;
use sutazai_core::ports::AgentContext;
use sutazai_core::testing::{ScriptedAnswer, ScriptedModelBackend};
use sutazai_core::typed_agent::agent;
use sutazai_core::{Error, ErrorKind};
use sutazai_http::App;

use crate::endless::Endless;
use crate::support::{Server, User, names, success};

const PATH: &str = "/v1/chat/completions";

pub(crate) async fn scripted<A: Into<ScriptedAnswer>>(
    answers: impl IntoIterator<Item = A>,
) -> (Server, Arc<ScriptedModelBackend>) {
    let model = Arc::new(ScriptedModelBackend::new(answers));
    (Server::start_with_model(model.clone(), AdmissionControlConfig::default()).await, model)
}

pub(crate) fn ask(more: Value) -> Value {
    let mut body =
        json!({ "model": "scripted-model", "messages": [{ "role": "user", "content": "The sea?" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn schema() -> Value {
    let schema = json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } });
    json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "n", "schema": schema } } })
}

/// Asserts that an error has OpenAI's form and nothing else, and returns it.
pub(crate) async fn refused(answer: Response, status: u16, kind: &str, code: &str) -> Value {
    assert_eq!(answer.headers()["content-type"], "application/json");
    let (found, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
    assert_eq!(
        (found, &body["error"]["type"], &body["error"]["code"]),
        (status, &json!(kind), &json!(code)),
        "{body}"
    );
    assert_eq!((body.as_object().unwrap().len(), body["error"].as_object().unwrap().len()), (1, 4), "{body}");
    assert!(!body["error"]["message"].as_str().unwrap().is_empty());
    body["error"].clone()
}

/// Returns the data of each server-sent event.
pub(crate) async fn sent(answer: Response) -> Vec<String> {
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let text = answer.text().await.unwrap();
    text.split("\n\n").filter_map(|block| block.strip_prefix("data: ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn complete_answer() {
    let (server, model) = scripted(["The sea is salty."]).await;
    let ada = server.user("ada").await;
    let more =
        json!({ "max_tokens": 3, "seed": 7, "user": "somebody", "store": true, "n": 1, "logprobs": false });
    let answer = ada.post(PATH, &ask(more)).await;
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "scripted-model");
    assert_eq!(
        body["choices"][0]["message"],
        json!({ "role": "assistant", "content": "The sea is ", "refusal": null })
    );
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    assert_eq!(body["usage"], json!({ "prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5 }));
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(body.get("degraded").is_none());
    assert_eq!(model.requests()[0].seed, Some(7));
}

#[tokio::test]
async fn streamed_answer() {
    let (server, _) = scripted(["The sea", "The sea"]).await;
    let ada = server.user("ada").await;
    let sent_plain = sent(ada.post(PATH, &ask(json!({ "stream": true }))).await).await;
    let chunks: Vec<Value> =
        sent_plain[..4].iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
    let deltas: Vec<&Value> = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]).collect();
    let expected = [
        json!({ "role": "assistant", "content": "" }),
        json!({ "content": "The " }),
        json!({ "content": "sea" }),
        json!({}),
    ];
    assert_eq!(deltas, expected.iter().collect::<Vec<_>>());
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"] && chunk.get("usage").is_none()));
    assert_eq!(
        (&chunks[3]["choices"][0]["finish_reason"], sent_plain[4].as_str()),
        (&json!("stop"), "[DONE]")
    );
    let with_usage = ask(json!({ "stream": true, "stream_options": { "include_usage": true } }));
    let sent = sent(ada.post(PATH, &with_usage).await).await;
    let count: Value = serde_json::from_str(&sent[4]).unwrap();
    assert_eq!((&count["choices"], &count["usage"]["total_tokens"]), (&json!([]), &json!(4)));
    assert!(sent[..4].iter().all(|chunk| chunk.contains("\"usage\":null")), "{sent:?}");
}

#[tokio::test]
async fn interrupted_stream_reports_an_error_without_done() {
    let broken = ScriptedAnswer::Broken("The ".into(), Error::unavailable("the server fell over"));
    let (server, _) = scripted([broken]).await;
    let sent = sent(server.user("ada").await.post(PATH, &ask(json!({ "stream": true }))).await).await;
    let last: Value = serde_json::from_str(sent.last().unwrap()).unwrap();
    assert_eq!((sent.len(), &last["error"]["type"]), (3, &json!("server_error")), "{sent:?}");
    assert!(last["error"]["message"].as_str().unwrap().contains("fell over"));
}

#[tokio::test]
async fn mismatching_answer_is_retried_once_and_never_published() {
    for stream in [false, true] {
        let (server, model) = scripted(["no JSON", "{\"n\": 1}", "{\"n\": \"x\"}", "[]", "{\"n\": 2}"]).await;
        let ada = server.user("ada").await;
        let mut body = ask(schema());
        body["stream"] = json!(stream);
        body["seed"] = json!(5);
        let good = ada.post(PATH, &body).await;
        assert_eq!(good.status(), 200);
        assert!(good.text().await.unwrap().contains(r#"{\"n\": 1}"#));
        let seeds: Vec<_> = model.requests().iter().map(|request| request.seed).collect();
        assert_eq!(seeds, [Some(5), None], "the same seed would give the same misfit");
        let e = refused(ada.post(PATH, &body).await, 502, "server_error", "misfit").await;
        assert!(e["message"].as_str().unwrap().contains("does not fit"), "{e}");
        assert_eq!(model.requests().len(), 4);
    }
}

/// Schemas that would use all memory, occupy a thread for days, or abort the process.
#[tokio::test]
async fn expensive_schemas_are_rejected_and_block_nobody() {
    let (server, model) = scripted(["{}"]).await;
    let ada = server.user("ada").await;
    let doubling: serde_json::Map<_, _> = (0..40)
        .map(|level| {
            let next = json!({ "$ref": format!("#/$defs/d{}", level + 1) });
            (format!("d{level}"), json!({ "anyOf": [next, next] }))
        })
        .chain([("d40".to_owned(), json!({ "type": "null" }))])
        .collect();
    let optional: serde_json::Map<_, _> = (0..6_000).map(|n| (format!("a{n}"), json!({}))).collect();
    let patterns: Vec<_> = (0..200).map(|n| json!({ "pattern": format!("^\\p{{L}}{{100}}x{n}$") })).collect();
    for schema in [
        json!({ "$defs": doubling, "$ref": "#/$defs/d0" }),
        json!({ "type": "object", "properties": optional }),
        json!({ "type": "object", "properties": { "_".repeat(200_000): {} } }),
        json!({ "allOf": patterns }),
        json!({ "anyOf": [{ "items": { "$ref": "#" } }, { "items": { "$ref": "#" } }] }),
        json!({ "$ref": "#" }),
    ] {
        let format = json!({ "type": "json_schema", "json_schema": { "name": "s", "schema": schema } });
        let body = ask(json!({ "response_format": format }));
        let asked = ada.post(PATH, &body);
        let (answer, health) = tokio::join!(asked, ada.get("/health"));
        assert_eq!(health.status(), 200);
        let e = refused(answer, 400, "invalid_request_error", "invalid_input").await;
        assert_eq!(e["param"], "response_format", "{e}");
        assert!(e["message"].as_str().unwrap().len() < 300, "{e}");
    }
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test]
async fn json_that_did_not_end_is_no_answer() {
    // The answer ended at the token limit, so it does not count as a mismatch.
    let (server, _) = scripted(["{\"n\": 1, \"m\": 2}"]).await;
    let mut body = ask(schema());
    body["max_tokens"] = json!(2);
    let answer = server.user("ada").await.post(PATH, &body).await;
    let e = refused(answer, 400, "invalid_request_error", "invalid_input").await;
    assert_eq!(e["param"], "max_tokens");
}

#[tokio::test]
async fn longer_answer_than_the_server_gives_is_refused_by_the_parameter_that_asked() {
    let (server, model) = scripted(["yes"]).await;
    let ada = server.user("ada").await;
    for parameter in ["max_tokens", "max_completion_tokens"] {
        for stream in [false, true] {
            let mut body = ask(json!({ "stream": stream }));
            body[parameter] = json!(4_097);
            let refused = refused(ada.post(PATH, &body).await, 400, "invalid_request_error", "invalid_input");
            let e = refused.await;
            assert_eq!(e["param"], parameter);
            assert!(e["message"].as_str().unwrap().contains("at most 4096 tokens"), "{e}");
        }
    }
    assert!(model.requests().is_empty());
    assert_eq!(ada.post(PATH, &ask(json!({ "max_tokens": 4_096 }))).await.status(), 200);
    let id = success(ada.post("/api/v1/conversations", &json!({})).await, 201).await["id"].clone();
    let path = format!("/api/v1/conversations/{}/messages", id.as_str().unwrap());
    let said = ada.post(&path, &json!({ "content": "x", "max_tokens": 4_097 })).await;
    names(said, 422, "invalid_input", "max_tokens").await;
}

#[tokio::test]
async fn schema_that_no_backend_enforces_is_rejected() {
    let model = Arc::new(ScriptedModelBackend::new(["{}"]).supporting(false, false));
    let server = Server::start_with_model(model.clone(), AdmissionControlConfig::default()).await;
    let ada = server.user("ada").await;
    for format in [json!({ "type": "json_object" }), schema()["response_format"].clone()] {
        let answer = ada.post(PATH, &ask(json!({ "response_format": format }))).await;
        let e = refused(answer, 400, "invalid_request_error", "unsupported").await;
        assert_eq!(e["param"], "response_format");
    }
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test]
async fn unsupported_parameter_that_changes_the_answer_is_rejected() {
    let (server, model) = scripted(Vec::<String>::new()).await;
    let ada = server.user("ada").await;
    for (name, value) in [
        ("n", json!(2)),
        ("tools", json!([{ "type": "function", "function": { "name": "f" } }])),
        ("tool_choice", json!("auto")),
        ("logprobs", json!(true)),
        ("presence_penalty", json!(0.5)),
        ("logit_bias", json!({ "50256": -100 })),
        ("temperature", json!(3)),
        ("max_tokens", json!(-1)),
        ("messages", json!([])),
        ("no_such_parameter", json!(1)),
    ] {
        let answer = ada.post(PATH, &ask(json!({ name: value }))).await;
        let e = refused(answer, 400, "invalid_request_error", "invalid_input").await;
        assert_eq!(e["param"], name);
    }
    let bad_schema =
        json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": { "type": "nonsense" } } });
    for (more, param) in [
        (json!({ "messages": [{ "role": "tool", "content": "x" }] }), "messages[0].role"),
        (
            json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url" }] }] }),
            "messages[0].content",
        ),
        (json!({ "response_format": bad_schema }), "response_format"),
    ] {
        let e =
            refused(ada.post(PATH, &ask(more)).await, 400, "invalid_request_error", "invalid_input").await;
        assert_eq!(e["param"], param);
    }
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test]
async fn errors_of_every_kind_have_the_protocols_form() {
    let (server, _) = scripted([Error::new(ErrorKind::Internal, "the secret plan")]).await;
    let ada = server.user("ada").await;
    let anonymous = server.request(Method::POST, PATH).json(&ask(json!({}))).send().await.unwrap();
    refused(anonymous, 401, "invalid_request_error", "invalid_api_key").await;
    let unknown = ada.post(PATH, &ask(json!({ "model": "gpt-4" }))).await;
    refused(unknown, 404, "invalid_request_error", "model_not_found").await;
    let e = refused(ada.post(PATH, &ask(json!({}))).await, 500, "server_error", "internal").await;
    assert!(!e.to_string().contains("secret"));
    let no_json = ada.request(Method::POST, PATH).header("content-type", "application/json").body("{").send();
    refused(no_json.await.unwrap(), 400, "invalid_request_error", "malformed").await;
    let text = ada.request(Method::POST, PATH).body("hello").send().await.unwrap();
    refused(text, 415, "invalid_request_error", "unsupported_media_type").await;
    let without = Server::start().await;
    let answer = without.user("ada").await.post(PATH, &ask(json!({}))).await;
    refused(answer, 503, "server_error", "unavailable").await;
}

async fn key<'a>(user: &User<'a>, scopes: Value) -> String {
    let body = json!({ "name": "a program", "scopes": scopes });
    let created = success(user.post("/api/v1/auth/api-keys", &body).await, 201).await;
    created["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn api_key_needs_the_scope_and_obeys_both_rate_limits() {
    let model = Arc::new(ScriptedModelBackend::replying(|_| "yes"));
    let limits = AdmissionControlConfig { per_minute: 4, ..AdmissionControlConfig::default() };
    let server = Server::start_with_model(model, limits).await;
    let ada = server.user("ada").await;
    let ask_with = async |key: &str| {
        server.request(Method::POST, PATH).bearer_auth(key).json(&ask(json!({}))).send().await.unwrap()
    };
    let other = key(&ada, json!(["tasks:read"])).await;
    refused(ask_with(&other).await, 403, "permission_error", "forbidden").await;
    let [one, two] = [key(&ada, json!(["models:use"])).await, key(&ada, json!(["models:use"])).await];
    let body = json!({ "name": "slow", "scopes": ["models:use"], "requests_per_minute": 1 });
    let slow = success(ada.post("/api/v1/auth/api-keys", &body).await, 201).await;
    let slow = slow["key"].as_str().unwrap().to_owned();
    for (key, most, wait) in [(&slow, 1, "60"), (&one, 3, "15"), (&two, 0, "15"), (&ada.token, 0, "15")] {
        for _ in 0..most {
            assert_eq!(ask_with(key).await.status(), 200);
        }
        let refusal = ask_with(key).await;
        assert_eq!(refusal.headers()["retry-after"], wait);
        refused(refusal, 429, "rate_limit_error", "rate_limit_exceeded").await;
    }
    assert_eq!(server.user("eve").await.post(PATH, &ask(json!({}))).await.status(), 200);
}

#[tokio::test]
async fn disconnect_stops_the_model_and_releases_the_slot() {
    let model = Arc::new(Endless::default());
    let gate = AdmissionControlConfig { slots: Some(1), queue: 0, ..AdmissionControlConfig::default() };
    let server = Server::start_with_model(model.clone(), gate).await;
    let ada = server.user("ada").await;
    for stream in [true, false] {
        let body = ask(json!({ "model": "endless", "stream": stream }));
        if stream {
            let answer = ada.post(PATH, &body).await;
            let mut pieces = answer.bytes_stream();
            pieces.next().await.unwrap().unwrap();
            model.until_writing(1).await;
            let busy = ada.post(PATH, &body).await;
            assert!(busy.headers().contains_key("retry-after"));
            refused(busy, 503, "server_error", "busy").await;
        } else {
            let whole = ada.post(PATH, &body);
            tokio::select! {
                answer = whole => panic!("{answer:?}"),
                () = model.until_writing(1) => {}
            }
        }
        model.until_writing(0).await;
    }
}

#[tokio::test]
async fn unread_answer_releases_the_slot() {
    let model =
        Arc::new(ScriptedModelBackend::replying(|_| format!("{} ", "w".repeat(10_000)).repeat(3_000)));
    let gate = AdmissionControlConfig {
        slots: Some(1),
        queue: 0,
        per_minute: 1_000_000,
        ..AdmissionControlConfig::default()
    };
    let server = Server::start_with_model(model, gate).await;
    let ada = server.user("ada").await;
    // 30 MB: more than the buffers of the connection.
    let long = ask(json!({ "stream": true, "max_tokens": 3_000 }));
    let unread = ada.post(PATH, &long).await;
    let short = ask(json!({ "max_tokens": 1 }));
    let in_time = async { while ada.post(PATH, &short).await.status() != 200 {} };
    tokio::time::timeout(Duration::from_secs(30), in_time).await.unwrap();
    drop(unread);
}

#[tokio::test]
async fn embeddings_as_numbers_and_as_base64() {
    let server =
        Server::start_with_model(Arc::new(Endless::default()), AdmissionControlConfig::default()).await;
    let ada = server.user("ada").await;
    let embed = async |body: Value| ada.post("/v1/embeddings", &body).await;
    let many = embed(json!({ "model": "endless", "input": ["abc", "four"], "user": "x" })).await;
    let body: Value = many.json().await.unwrap();
    assert_eq!(body["data"][0], json!({ "object": "embedding", "index": 0, "embedding": [3.0, 1.5] }));
    assert_eq!(body["data"][1]["embedding"], json!([4.0, 2.0]));
    assert_eq!(body["usage"], json!({ "prompt_tokens": 7, "total_tokens": 7 }));
    let untold: Value = embed(json!({ "model": "endless", "input": "untold" })).await.json().await.unwrap();
    assert_eq!(untold["usage"], json!({ "prompt_tokens": 0, "total_tokens": 0 }));
    let one = embed(json!({ "model": "endless", "input": "abc", "encoding_format": "base64" })).await;
    assert_eq!(one.json::<Value>().await.unwrap()["data"][0]["embedding"], "AABAQAAAwD8=");
    for (body, param) in [
        (json!({ "model": "endless", "input": [] }), "input"),
        (json!({ "model": "endless", "input": [1, 2] }), "input"),
        (json!({ "model": "endless", "input": ["a", ""] }), "input"),
        (json!({ "model": "endless", "input": "a", "dimensions": 3 }), "dimensions"),
        (json!({ "model": "endless", "input": "a", "encoding_format": "hex" }), "encoding_format"),
    ] {
        let e = refused(embed(body).await, 400, "invalid_request_error", "invalid_input").await;
        assert_eq!(e["param"], param);
    }
    let (scripted, _) = scripted(["x"]).await;
    let none = scripted
        .user("ada")
        .await
        .post("/v1/embeddings", &json!({ "model": "scripted-model", "input": "a" }))
        .await;
    refused(none, 400, "invalid_request_error", "unsupported").await;
}

#[tokio::test]
async fn models_in_both_forms() {
    let (server, _) = scripted(["x"]).await;
    let ada = server.user("ada").await;
    let expected = json!({ "id": "scripted-model", "object": "model", "created": 0, "owned_by": "scripted" });
    let list: Value = ada.get("/v1/models").await.json().await.unwrap();
    assert_eq!(list, json!({ "object": "list", "data": [expected] }));
    let one: Value = ada.get("/v1/models/scripted-model").await.json().await.unwrap();
    assert_eq!(one, expected);
    refused(ada.get("/v1/models/gpt-4").await, 404, "invalid_request_error", "model_not_found").await;
    let ours = success(ada.get("/api/v1/models").await, 200).await;
    assert_eq!(
        (&ours["items"][0]["name"], &ours["items"][0]["backend"]),
        (&json!("scripted-model"), &json!("scripted"))
    );
}

#[tokio::test]
async fn models_say_what_they_are_for() {
    let model = ScriptedModelBackend::new(["x"]).with_models(["first", "second"]);
    let model = Arc::new(model.granting([ModelPermission::Choose, ModelPermission::Word]));
    let limits = AdmissionControlConfig { slots: Some(3), ..AdmissionControlConfig::default() };
    let server = Server::start_with_model(model, limits).await;
    let ada = server.user("ada").await;
    let listed = success(ada.get("/api/v1/models").await, 200).await;
    assert_eq!(listed["queue"], json!({ "slots": 3, "running": 0, "waiting": 0 }));
    assert_eq!(listed["fetching"], json!([]));
    for (index, default) in [(0, true), (1, false)] {
        let model = &listed["items"][index];
        assert_eq!((&model["default"], &model["purpose"]), (&json!(default), &Value::Null), "{model}");
        assert_eq!(model["permissions"], json!(["choose", "word"]));
    }
}

#[tokio::test]
async fn models_that_are_being_fetched_are_named() {
    let puller = agent("model-puller", async |_: BTreeMap<String, String>, _: AgentContext| Ok("done"));
    let model = Arc::new(ScriptedModelBackend::new(["x"]));
    let engine = Engine::builder().agent(puller).model(model).workers(0).start().await.unwrap();
    let server = Server::of_app(App::new(engine)).await;
    for model in ["tinyllama", "smollm2", "tinyllama"] {
        let pull = server.request(Method::POST, "/api/v1/models/pull").json(&json!({ "model": model }));
        success(pull.send().await.unwrap(), 202).await;
    }
    let listed = server.request(Method::GET, "/api/v1/models").send().await.unwrap();
    assert_eq!(success(listed, 200).await["fetching"], json!(["smollm2", "tinyllama"]));
}

#[tokio::test]
async fn only_admins_may_have_models_fetched() {
    let (server, _) = scripted(["x"]).await;
    let ada = server.user("ada").await;
    crate::support::failure(
        ada.post("/api/v1/models/pull", &json!({ "model": "x" })).await,
        403,
        "forbidden",
    )
    .await;
    let without = Server::start_with(vec![], false, |router| router).await;
    let pull = async |body: Value| {
        without.request(Method::POST, "/api/v1/models/pull").json(&body).send().await.unwrap()
    };
    crate::support::failure(pull(json!({ "model": "x" })).await, 404, "not_found").await;
    names(pull(json!({ "models": "x" })).await, 422, "invalid_input", "models").await;
}
