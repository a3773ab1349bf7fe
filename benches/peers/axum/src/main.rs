//! Answers `/health` with as many bytes as the real server sends: `bare-axum ADDRESS`.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

const BODY: &str = r#"{"status":"success","data":{"status":"healthy","version":"0.1.0","uptime_seconds":7},"metadata":{"timestamp":"2026-01-31T12:00:00.000Z","version":"0.1.0","trace_id":"0197f0c0a0b07c0d8e0f000102030405"}}"#;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let router = Router::new().route("/health", get(|| async { ([(CONTENT_TYPE, "application/json")], BODY) }));
    axum::serve(tokio::net::TcpListener::bind(address).await?, router).await
}
