//! Pages that show the OpenAPI description: they load files of this server only, and their policy enforces it.

use axum::Router;
use reqwest::{Response, Url};

use crate::support::{Server, failure};

/// Fetches a page or one of its files, and asserts its content security policy.
async fn shown(url: Url, content_type: &str) -> String {
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.url());
    assert!(
        answer.headers()["content-type"].to_str().unwrap().starts_with(content_type),
        "{:?}",
        answer.headers()
    );
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
    assert!(!policy.contains("http"), "{policy}");
    answer.text().await.unwrap()
}

/// Returns the files that a page loads. All must be on this server, and no script may be inline.
fn loaded(page: &str) -> Vec<String> {
    assert_eq!(page.matches("<script").count(), page.matches("<script src=").count(), "{page}");
    let after = |mark: &str| {
        let values = page.split(mark).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        values.collect::<Vec<_>>()
    };
    let mut all = [after("src=\""), after("href=\"")].concat();
    // Data URLs are part of the page and not loaded.
    all.retain(|one| !one.starts_with("data:"));
    for one in &all {
        assert!(!one.contains("//") && !one.starts_with('/'), "{one}");
    }
    all
}

async fn nested() -> Server {
    Server::start_with(vec![], true, |ours| Router::new().nest("/deep/down", ours)).await
}

#[tokio::test]
async fn swagger_ui_comes_whole_from_here_also_under_a_prefix() {
    let server = nested().await;
    let answer: Response = reqwest::get(server.url("/deep/down/api/docs")).await.unwrap();
    let at = answer.url().clone();
    assert_eq!(at.path(), "/deep/down/api/docs/");
    let page = shown(at.clone(), "text/html").await;
    let files = loaded(&page);
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        assert!(!shown(at.join(&file).unwrap(), "").await.is_empty() || file.ends_with(".png"), "{file}");
    }
    let start = shown(at.join("swagger-initializer.js").unwrap(), "text/javascript").await;
    assert!(
        start.contains(r#""url": "../openapi.json""#) && start.contains(r#""validatorUrl": "none""#),
        "{start}"
    );
    let document = reqwest::get(at.join("../openapi.json").unwrap()).await.unwrap();
    assert_eq!(document.status(), 200);
    failure(reqwest::get(at.join("nothing.js").unwrap()).await.unwrap(), 404, "not_found").await;
}

#[tokio::test]
async fn redoc_comes_whole_from_here_where_the_build_had_it() {
    let server = nested().await;
    let at: Url = server.url("/deep/down/api/redoc").parse().unwrap();
    if option_env!("SUTAZAI_REDOC").is_none() {
        let error = failure(reqwest::get(at).await.unwrap(), 404, "not_found").await;
        assert!(error["message"].as_str().unwrap().contains("SUTAZAI_REDOC"), "{error}");
        return;
    }
    let page = shown(at.clone(), "text/html").await;
    assert!(page.contains(r#"spec-url="openapi.json""#), "{page}");
    let files = loaded(&page);
    assert_eq!(files, ["redoc/redoc.standalone.js"]);
    let script = shown(at.join(&files[0]).unwrap(), "text/javascript").await;
    assert!(script.len() > 500_000 && script.contains("Redoc"), "{} bytes", script.len());
    assert!(!script.contains("cdn.redoc.ly"), "its makers' logo would be loaded from their host");
}

#[tokio::test]
async fn files_are_sent_short_and_once() {
    let server = nested().await;
    let get = async |headers: &[(&str, &str)]| {
        let request = server.request(reqwest::Method::GET, "/deep/down/api/docs/swagger-ui-bundle.js");
        headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value))
            .send()
            .await
            .unwrap()
    };
    let whole = get(&[]).await;
    assert!(!whole.headers().contains_key("content-encoding"));
    let tag = whole.headers()["etag"].to_str().unwrap().to_owned();
    let whole = whole.bytes().await.unwrap().len();
    let short = get(&[("accept-encoding", "br, gzip")]).await;
    assert_eq!(
        (&short.headers()["content-encoding"], &short.headers()["etag"]),
        (&"gzip".parse().unwrap(), &tag.parse().unwrap())
    );
    assert_eq!(short.headers()["vary"], "accept-encoding");
    let first = short.bytes().await.unwrap();
    assert!(first.len() * 2 < whole);
    // The compressed bytes are cached.
    assert_eq!(get(&[("accept-encoding", "gzip")]).await.bytes().await.unwrap(), first);
    assert!(!get(&[("accept-encoding", "gzip;q=0")]).await.headers().contains_key("content-encoding"));
    let known = get(&[("if-none-match", &tag)]).await;
    assert_eq!((known.status().as_u16(), known.bytes().await.unwrap().len()), (304, 0));
}
