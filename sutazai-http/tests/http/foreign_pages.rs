//! Without authentication, a page in a browser on the same machine has no more access than a remote caller.

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use sutazai_core::engine::Engine;
use sutazai_http::{App, Monitoring, SecuritySettings};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{Server, failure, success};

async fn without_users(origins: &str) -> Server {
    let engine = Engine::builder().build().unwrap();
    let protection = SecuritySettings {
        cors_origins: origins.parse().unwrap(),
        listen: Some("127.0.0.1".parse().unwrap()),
        ..SecuritySettings::default()
    };
    let app = App::new(engine).security(protection).monitoring(Monitoring::install().unwrap());
    Server::of_app(app).await
}

/// Requests that pages can send without a preflight, and requests that a page can read after DNS rebinding.
fn requests(server: &Server) -> Vec<RequestBuilder> {
    let form = "--x\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nx\r\n--x--\r\n";
    vec![
        server.request(Method::POST, "/api/v1/agents/hardware-optimizer/analyze"),
        server.request(Method::POST, "/api/v1/conversations"),
        server.request(Method::POST, "/api/v1/admin/dead-letter/retry"),
        server
            .request(Method::POST, "/api/v1/documents")
            .header("content-type", "multipart/form-data; boundary=x")
            .body(form),
        server.request(Method::GET, "/api/v1/tasks"),
        server.request(Method::GET, "/api/v1/events"),
        server.request(Method::GET, "/metrics"),
        server.request(Method::GET, "/health"),
    ]
}

#[tokio::test]
async fn foreign_origin_is_rejected() {
    let server = without_users("http://localhost:3000").await;
    for origin in ["https://evil.example", "null", "http://localhost:3001", "http://localhost:30000"] {
        for request in requests(&server) {
            let error =
                failure(request.header("origin", origin).send().await.unwrap(), 403, "forbidden").await;
            assert!(error["message"].as_str().unwrap().contains("CORS_ORIGINS"), "{error}");
        }
    }
    for request in requests(&server) {
        failure(request.header("sec-fetch-site", "cross-site").send().await.unwrap(), 403, "forbidden").await;
    }
    let own = server.url("");
    for origin in ["http://localhost:3000", own.as_str()] {
        let request = server.request(Method::GET, "/api/v1/tasks").header("origin", origin);
        let request =
            request.header("sec-fetch-site", if origin == own { "same-origin" } else { "cross-site" });
        success(request.send().await.unwrap(), 200).await;
    }
    success(server.request(Method::GET, "/api/v1/tasks").send().await.unwrap(), 200).await;
}

#[tokio::test]
async fn foreign_host_name_is_rejected() {
    let server = without_users("").await;
    let port = server.address.port();
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""] {
        for request in requests(&server) {
            failure(request.header("host", host).send().await.unwrap(), 421, "misdirected").await;
        }
    }
    for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"] {
        for host in [host.to_owned(), format!("{host}:{port}")] {
            let request = server.request(Method::GET, "/api/v1/tasks").header("host", host);
            success(request.send().await.unwrap(), 200).await;
        }
    }
}

#[tokio::test]
async fn websocket_of_a_foreign_page_is_rejected() {
    let server = without_users("http://localhost:3000").await;
    let open = async |name: &'static str, value: &str| {
        let mut request = format!("ws://{}/api/v1/ws", server.address).into_client_request().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
        match connect_async(request).await {
            Ok(_) => 101,
            Err(Error::Http(answer)) => answer.status().as_u16(),
            Err(e) => panic!("{e}"),
        }
    };
    assert_eq!(open("origin", "https://evil.example").await, 403);
    assert_eq!(open("origin", "http://localhost:3000").await, 101);
    assert_eq!(open("host", "evil.example").await, 421);
}

#[tokio::test]
async fn metrics_without_token_require_a_local_host_name() {
    let server = Server::start_monitored().await;
    let read = |host: &'static str| server.request(Method::GET, "/metrics").header("host", host).send();
    assert_eq!(read("localhost").await.unwrap().status(), 200);
    failure(read("evil.example").await.unwrap(), 421, "misdirected").await;
    // On other routes authentication decides, whatever host name a proxy forwards.
    let ada = server.user("ada").await;
    let request = ada.request(Method::GET, "/api/v1/tasks").header("host", "app.example.org");
    success(request.header("origin", "https://other.example").send().await.unwrap(), 200).await;
    let body = json!({ "agent": "worker", "payload": { "mode": "echo" } });
    let request = ada.request(Method::POST, "/api/v1/tasks").header("host", "app.example.org").json(&body);
    success(request.send().await.unwrap(), 202).await;
}
