//! The web interface: its files come from the program, with a policy that lets pages do no more than they need.

use axum::Router;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};

use crate::support::{Server, failure};

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                   manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                   require-trusted-types-for 'script'; trusted-types 'none'";

async fn get(server: &Server, path: &str) -> Response {
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    client.get(server.url(path)).send().await.unwrap()
}

/// Returns the value of a header, empty without it.
fn told<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn pages_are_served_where_the_build_had_them() {
    let server = Server::start().await;
    let (folder, root) = (get(&server, "/ui").await, get(&server, "/").await);
    assert_eq!((folder.status().as_u16(), told(&folder, "location")), (308, "ui/"));
    if option_env!("SUTAZAI_UI").is_none() {
        for path in ["/ui/", "/ui/index.html", "/ui/assets/x.js"] {
            let error = failure(get(&server, path).await, 404, "not_found").await;
            assert!(error["message"].as_str().unwrap().contains("SUTAZAI_UI"), "{error}");
        }
        failure(root, 404, "not_found").await;
        return;
    }
    assert_eq!((root.status().as_u16(), told(&root, "location")), (307, "ui/"));
    let page = get(&server, "/ui/").await;
    assert_eq!((page.status().as_u16(), told(&page, "content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!((told(&page, "cache-control"), told(&page, "content-security-policy")), ("no-cache", CSP));
    let again = server.request(Method::GET, "/ui/").header("if-none-match", told(&page, "etag"));
    assert_eq!(again.send().await.unwrap().status(), 304);
    let page = page.text().await.unwrap();
    assert_eq!(page.matches("<script").count(), page.matches(" src=\"./").count(), "inline: {page}");
    assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains("//"), "{page}");
    let named = page.split(" src=\"./").skip(1).filter_map(|rest| rest.split('"').next());
    let files: Vec<String> = named.map(|file| format!("/ui/{file}")).collect();
    assert!(!files.is_empty(), "{page}");
    for file in files {
        let answer = get(&server, &file).await;
        assert_eq!(
            (answer.status().as_u16(), told(&answer, "content-security-policy")),
            (200, CSP),
            "{file}"
        );
        assert_eq!(told(&answer, "cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(told(&answer, "content-type"), "text/javascript; charset=utf-8");
    }
    for path in ["/ui/nothing.js", "/ui/tasks", "/ui/../Cargo.toml", "/ui/%2e%2e/Cargo.toml"] {
        failure(get(&server, path).await, 404, "not_found").await;
    }
    let posted = server.request(Method::POST, "/").send().await.unwrap();
    failure(posted, 404, "not_found").await;
}

#[tokio::test]
async fn pages_take_no_path_from_an_embedder() {
    let theirs = || Router::new().route("/", axum::routing::get(|| async { "theirs" }));
    let merged = Server::start_with(vec![], true, |ours| theirs().merge(ours)).await;
    assert_eq!(get(&merged, "/").await.text().await.unwrap(), "theirs");
    let nested = Server::start_with(vec![], true, |ours| theirs().nest("/deep/down", ours)).await;
    assert_eq!(get(&nested, "/").await.text().await.unwrap(), "theirs");
    let folder = get(&nested, "/deep/down/ui").await;
    assert_eq!((folder.status().as_u16(), told(&folder, "location")), (308, "ui/"));
    failure(get(&nested, "/deep/down").await, 404, "not_found").await;
    let page = get(&nested, "/deep/down/ui/").await;
    assert_eq!(page.status(), if option_env!("SUTAZAI_UI").is_some() { 200 } else { 404 });
}
