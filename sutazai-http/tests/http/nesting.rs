//! The router nested into an embedder's router.

use axum::Router;
use axum::routing::get;
use reqwest::Method;
use serde_json::json;

use crate::support::{PASSWORD, Server, failure, success};

#[tokio::test]
async fn nested_router_works_and_leaves_other_paths_alone() {
    let server = Server::start_with(vec![], true, |ours| {
        Router::new().route("/", get(|| async { "theirs" })).nest("/deep/down", ours)
    })
    .await;
    success(reqwest::get(server.url("/deep/down/health")).await.unwrap(), 200).await;
    let body = json!({ "username": "ada", "email": "ada@example.org", "password": PASSWORD });
    let register = server.request(Method::POST, "/deep/down/api/v1/auth/register").json(&body);
    let data = success(register.send().await.unwrap(), 201).await;
    let me = server
        .request(Method::GET, "/deep/down/api/v1/auth/me")
        .bearer_auth(data["access_token"].as_str().unwrap());
    assert_eq!(success(me.send().await.unwrap(), 200).await["username"], "ada");
    failure(reqwest::get(server.url("/deep/down/nothing")).await.unwrap(), 404, "not_found").await;

    let theirs = reqwest::get(server.url("/")).await.unwrap();
    assert!(theirs.headers().get("x-request-id").is_none());
    assert_eq!(theirs.text().await.unwrap(), "theirs");
    let nowhere = reqwest::get(server.url("/nothing")).await.unwrap();
    assert_eq!((nowhere.status().as_u16(), nowhere.text().await.unwrap().as_str()), (404, ""));
}
