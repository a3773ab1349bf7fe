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
