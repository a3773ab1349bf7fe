//! `GET /metrics`: its content, the number of series that requests can create, and who may read.

use reqwest::{Method, Response, StatusCode};
use sutazai_core::engine::Engine;
use sutazai_http::{App, Monitoring};

use crate::support::{Server, failure};

const TOKEN: &str = "a token for the scraper";

fn app() -> App {
    App::new(Engine::builder().build().unwrap())
}

async fn monitored() -> Server {
    Server::of_app(app().monitoring(Monitoring::install().unwrap())).await
}

async fn read(server: &Server, headers: &[(&str, &str)]) -> Response {
    let request = server.request(Method::GET, "/metrics");
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
}

#[tokio::test]
async fn requests_are_counted_by_route_and_unknown_paths_together() {
    let server = monitored().await;
    for n in 0..30 {
        server.request(Method::GET, &format!("/nowhere/{n}")).send().await.unwrap();
        let verb = Method::from_bytes(format!("BREW{n}").as_bytes()).unwrap();
        server.request(verb, "/health").send().await.unwrap();
        server.request(Method::GET, &format!("/api/v1/tasks/0000000{n}")).send().await.unwrap();
    }
    for probe in ["/health", "/health/ready", "/metrics"] {
        server.request(Method::GET, probe).send().await.unwrap();
    }
    let answer = read(&server, &[]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.unwrap();
    for series in [
        r#"http_requests_total{method="GET",endpoint="unknown",status="404"}"#,
        r#"http_requests_total{method="other",endpoint="/health",status="405"}"#,
        r#"http_requests_total{method="GET",endpoint="/api/v1/tasks/{id}",status="422"}"#,
        r#"http_request_duration_seconds_bucket{method="GET",endpoint="/api/v1/tasks/{id}",le="0.001"}"#,
        r#"http_requests_total{method="GET",endpoint="/health",status="200"}"#,
        r#"http_requests_total{method="GET",endpoint="/health/ready",status="200"}"#,
        r#"http_requests_total{method="GET",endpoint="/metrics",status="200"}"#,
        r#"http_request_duration_seconds_bucket{method="GET",endpoint="/health",le="0.001"}"#,
        r#"user_login_total{outcome="refused"}"#,
        "hardware_analysis_requests_total ",
        "task_queue_depth ",
        "task_queue_oldest_age_seconds ",
        "argon2_queue_depth ",
        "process_cpu_seconds_total ",
        "process_resident_memory_bytes ",
        "process_open_fds ",
        "process_max_fds ",
        "process_start_time_seconds ",
    ] {
        assert!(text.lines().any(|line| line.starts_with(series)), "{series} is not in\n{text}");
    }
    assert!(!text.contains("nowhere") && !text.contains("BREW") && !text.contains("tasks/0"), "{text}");
}

#[tokio::test]
async fn metrics_are_compressed_for_clients_that_accept_gzip() {
    let server = monitored().await;
    let short = read(&server, &[("accept-encoding", "gzip")]).await;
    assert_eq!(short.headers()["content-encoding"], "gzip");
    let whole = read(&server, &[]).await;
    assert!(!whole.headers().contains_key("content-encoding"));
    assert!(short.bytes().await.unwrap().len() * 2 < whole.bytes().await.unwrap().len());
}

#[tokio::test]
async fn metrics_without_token_are_readable_from_this_machine_only() {
    let server = monitored().await;
    assert_eq!(read(&server, &[]).await.status(), StatusCode::OK);
    // A request through a proxy on this machine comes from somewhere else.
    for header in ["forwarded", "x-forwarded-for", "x-forwarded-proto"] {
        let error = failure(read(&server, &[(header, "for=203.0.113.9")]).await, 403, "forbidden").await;
        assert!(error["message"].as_str().unwrap().contains("METRICS_TOKEN"), "{error}");
    }
}

#[tokio::test]
async fn metrics_token_is_required_if_configured() {
    let monitoring = Monitoring::install().unwrap().token(TOKEN);
    let server = Server::of_app(app().monitoring(monitoring)).await;
    let good = format!("Bearer {TOKEN}");
    for headers in [
        vec![],
        vec![("authorization", "Bearer another token")],
        vec![("authorization", TOKEN)],
        vec![("authorization", "Basic YTpi")],
        vec![("x-api-key", TOKEN)],
    ] {
        failure(read(&server, &headers).await, 401, "unauthenticated").await;
    }
    let through_a_proxy = [("authorization", good.as_str()), ("x-forwarded-for", "203.0.113.9")];
    assert_eq!(read(&server, &through_a_proxy).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn metrics_are_404_when_monitoring_is_disabled() {
    let server = Server::of_app(app()).await;
    failure(read(&server, &[]).await, 404, "not_found").await;
}
