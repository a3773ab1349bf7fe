//! The OpenAPI description covers everything that the server does, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::Value;

use crate::support::{Server, success};

/// Operation of the description.
pub(crate) struct Operation {
    pub method: Method,
    /// Path template with `{...}` for parameters.
    pub path: String,
    /// OpenAPI object of the operation.
    pub described: Value,
}

impl Operation {
    /// Method and path, as in `GET /path`.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// Fetches the description from the server.
pub(crate) async fn document(server: &Server) -> Value {
    let answer = reqwest::get(server.url("/api/openapi.json")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    answer.json().await.unwrap()
}

/// Lists the operations of the description.
pub(crate) async fn operations(server: &Server) -> Vec<Operation> {
    let document = document(server).await;
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(|(method, described)| Operation {
            method: method.to_uppercase().parse().unwrap(),
            path: path.clone(),
            described: described.clone(),
        })
    });
    all.collect()
}

/// Collects `METHOD /path` of each handler. The first line of a file with one handler must name it.
fn handlers(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            handlers(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let described = text.split("#[utoipa::path(").skip(1).map(|operation| {
            let mut lines = operation.lines().map(|line| line.trim().trim_end_matches(',')).skip(1);
            let method = lines.next().unwrap().to_uppercase();
            let path = lines.next().unwrap().strip_prefix("path = ").unwrap().trim_matches('"').to_owned();
            // The description has no wildcards.
            format!("{method} {}", path.replace("{*", "{"))
        });
        let described: Vec<String> = described.collect();
        if let [only] = &described[..] {
            let named = text.lines().next().unwrap().split('`').nth(1);
            assert_eq!(named, Some(only.as_str()), "{}", path.display());
        }
        assert_eq!(text.matches("pub(crate) async fn ").count(), described.len(), "{}", path.display());
        found.extend(described);
    }
}

#[tokio::test]
async fn handlers_and_described_operations_match() {
    let server = Server::start().await;
    let mut written = Vec::new();
    handlers(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/routes"), &mut written);
    let described: BTreeSet<String> = operations(&server).await.iter().map(Operation::name).collect();
    assert_eq!(written.into_iter().collect::<BTreeSet<_>>(), described);
}

#[tokio::test]
async fn router_serves_only_described_operations() {
    // Only `routes` of utoipa-axum registers handler and description together; these methods bypass the description.
    let router = include_str!("../../src/router.rs");
    for way_around in [".route(", ".route_service(", ".nest_service(", ".nest(", ".fallback_service("] {
        assert!(!router.contains(way_around), "{way_around}...) in router.rs");
    }
    let server = Server::start().await;
    for operation in operations(&server).await {
        let path = operation.path.replace("{id}", "0195f3a0-0000-7000-8000-000000000000");
        // No route has this method, so a served path is 405 and a missing one 404.
        let answer = server.request(Method::TRACE, &path).send().await.unwrap();
        if operation.described.get("security").is_some() {
            assert_eq!(answer.status(), 401, "{}", operation.name());
            continue;
        }
        assert_eq!(answer.status(), 405, "{}", operation.name());
        let allowed = answer.headers()["allow"].to_str().unwrap();
        assert!(allowed.split(',').any(|one| operation.method == one), "{}: {allowed}", operation.name());
    }
}

#[tokio::test]
async fn description_is_openapi_3_1_with_security_and_response_schemas() {
    let server = Server::start().await;
    let document = document(&server).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(
        (&schemes["access_token"]["scheme"], &schemes["api_key"]["name"]),
        (&"bearer".into(), &"X-API-Key".into())
    );
    let mut ids = BTreeSet::new();
    for operation in operations(&server).await {
        let (name, described) = (operation.name(), &operation.described);
        assert!(
            ids.insert(described["operationId"].as_str().unwrap().to_owned()),
            "{name}: its id is another's"
        );
        assert!(described["summary"].is_string() && described["tags"][0].is_string(), "{name}");
        for (status, answer) in described["responses"].as_object().unwrap() {
            let what = format!("{name}: {status}");
            assert!(!answer["description"].as_str().unwrap().is_empty(), "{what}");
            if status.starts_with(['4', '5']) && operation.path.starts_with("/api/v1/") {
                let schema = &answer["content"]["application/json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/ErrorEnvelope", "{what}");
            } else if !["101", "204", "304"].contains(&status.as_str()) {
                assert!(answer["content"].is_object(), "{what}");
            }
        }
    }
    let references = document.to_string();
    for reference in references.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "the description lacks {pointer}");
    }
}

/// Checks that a value matches a schema, as far as the schemas of the domain need it.
fn fits(value: &Value, schema: &Value, document: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        return fits(value, target.ok_or(format!("nothing at {reference}"))?, document);
    }
    for (keyword, wanted) in [("oneOf", 1..=1), ("anyOf", 1..=usize::MAX)] {
        let Some(ways) = schema[keyword].as_array() else { continue };
        let tried: Vec<_> = ways.iter().map(|way| fits(value, way, document)).collect();
        if !wanted.contains(&tried.iter().filter(|one| one.is_ok()).count()) {
            return Err(format!("{keyword}: {tried:?}"));
        }
    }
    let is = |word: &str| match word {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        _ => value.is_null(),
    };
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
        word => word.as_str().into_iter().collect(),
    };
    if !kinds.is_empty() && !kinds.into_iter().any(is) {
        return Err(format!("{value} is no {}", schema["type"]));
    }
    if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(value)) {
        return Err(format!("{value} is none of {words:?}"));
    }
    if let Some(word) = schema.get("const").filter(|word| *word != value) {
        return Err(format!("{value} is not {word}"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        value.get(name).ok_or(format!("{name} is missing"))?;
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    for (name, schema) in properties {
        if let Some(value) = value.get(name) {
            fits(value, schema, document).map_err(|e| format!("{name}: {e}"))?;
        }
    }
    let mut items = value.as_array().filter(|_| schema["items"].is_object()).into_iter().flatten();
    items.try_for_each(|item| fits(item, &schema["items"], document))
}

#[tokio::test]
async fn analysis_and_events_have_schemas() {
    let server = Server::start().await;
    let document = document(&server).await;
    let schemas = &document["components"]["schemas"];
    let analysis = serde_json::json!({ "$ref": "#/components/schemas/Analysis" });
    let event = serde_json::json!({ "$ref": "#/components/schemas/TaskEvent" });
    let mut parts = schemas["Task"]["allOf"].as_array().unwrap().iter();
    let result = parts.find_map(|part| part["properties"].get("result")).unwrap();
    assert_eq!(result["anyOf"][0], analysis);
    assert_eq!(schemas["SentEvent"]["properties"]["data"]["contentSchema"], event);
    let snapshot = &schemas["SnapshotEvent"]["properties"]["data"]["contentSchema"]["$ref"];
    assert_eq!(snapshot, "#/components/schemas/Snapshot");
    assert_eq!(schemas["Severity"]["enum"], serde_json::json!(["info", "warning", "critical"]));
    let finding = serde_json::json!({
        "id": "disk_space:/var", "rule": "disk_space", "severity": "critical", "resource": "disk /var",
        "summary": "Disk /var is full.",
        "evidence": [{ "metric": "a", "value": 96.4, "unit": "percent", "threshold": null, "since": null }],
        "remedies": [{ "text": "Look.", "command": null }],
    });
    let id = "0195f3a0-0000-7000-8000-000000000000";
    let of = |kind: Value| {
        let mut event = serde_json::json!({ "task_id": id, "sequence": 3, "at": "2026-11-29T19:00:00Z" });
        event.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        event
    };
    for kind in [
        serde_json::json!({ "type": "status", "status": "completed", "attempt": 1 }),
        serde_json::json!({ "type": "progress", "fraction": 0.5, "message": "half", "stage": "judging" }),
        serde_json::json!({ "type": "text", "text": "a", "finding_id": "disk_space:/var" }),
        serde_json::json!({ "type": "findings", "findings": [finding] }),
    ] {
        fits(&of(kind), &event, &document).unwrap();
    }
    for (wrong, what) in [
        (serde_json::json!({ "type": "findings", "findings": [{ "id": "a" }] }), "is missing"),
        (serde_json::json!({ "type": "smell", "text": "a" }), "is not"),
    ] {
        let refused = fits(&of(wrong), &event, &document).unwrap_err();
        assert!(refused.contains(what), "{refused}");
    }
    for field in ["host", "metrics", "findings", "checked", "recommendations", "grounding"] {
        let required = schemas["Analysis"]["required"].as_array().unwrap();
        assert!(required.contains(&field.into()), "{field}");
    }
}

#[tokio::test]
async fn server_url_of_a_nested_router_is_its_prefix() {
    let nested = |ours| axum::Router::new().nest("/deep/down", ours);
    let server = Server::start_with(vec![], true, nested).await;
    let at = server.url("/deep/down/api/openapi.json");
    let document: Value = reqwest::get(&at).await.unwrap().json().await.unwrap();
    let base =
        reqwest::Url::parse(&at).unwrap().join(document["servers"][0]["url"].as_str().unwrap()).unwrap();
    assert_eq!(base.path(), "/deep/down/");
    success(reqwest::get(format!("{}health", base)).await.unwrap(), 200).await;
}
