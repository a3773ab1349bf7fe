//! The OpenAPI document tells what the server does.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Server;

/// The served document.
pub(crate) async fn document(server: &Server) -> Value {
    let answer = reqwest::get(server.url("/api/openapi.json")).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    answer.json().await.unwrap()
}

/// Each operation: its method in upper case, its path, and what the document says of it.
pub(crate) fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods.iter().map(|(method, operation)| (method.to_uppercase(), path.clone(), operation.clone()))
    });
    all.collect()
}

#[tokio::test]
async fn it_is_openapi_3_1_without_the_envelope_and_names_each_operation_once() {
    let server = Server::start().await;
    let document = document(&server).await;
    if let Ok(path) = std::env::var("DUMP_DOC") {
        std::fs::write(path, document.to_string()).unwrap();
    }
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    let ids: Vec<String> = operations(&document)
        .iter()
        .map(|(_, _, operation)| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
}
