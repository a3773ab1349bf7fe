//! Requests to servers that may be killed at any moment, each sent to the next server.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
/// Transient errors that a server may return while a service is missing.
const TEMPORARY: [StatusCode; 3] =
    [StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];

#[derive(Debug)]
pub(crate) struct Api {
    client: Client,
    servers: Vec<SocketAddr>,
    next_server: AtomicUsize,
    token: Mutex<String>,
    again: AtomicU64,
}

impl Api {
    pub(crate) fn new(servers: Vec<SocketAddr>) -> Self {
        let client = Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
        let (next_server, token, again) = (AtomicUsize::default(), Mutex::default(), AtomicU64::default());
        Self { client, servers, next_server, token, again }
    }

    /// Returns how many requests had to be sent again.
    pub(crate) fn again(&self) -> u64 {
        self.again.load(Ordering::Relaxed)
    }

    /// Registers the user who owns the tasks.
    pub(crate) async fn sign_up(&self) {
        let new = json!({ "username": "driver", "email": "driver@localhost", "password": PASSWORD });
        // 409 means that the user exists: the response to an earlier request was lost.
        self.insist("auth/register", &new, None, &[StatusCode::CREATED, StatusCode::CONFLICT]).await;
        self.sign_in().await;
    }

    /// Sends one GET; returns `None` if the response was lost, the error is transient, or the token had
    /// expired.
    pub(crate) async fn get(&self, path: &str) -> Option<(StatusCode, Value)> {
        let (status, text) = self.send(self.client.get(self.url(path)).bearer_auth(self.token())).await?;
        if status == StatusCode::UNAUTHORIZED {
            self.sign_in().await;
            return None;
        }
        (!TEMPORARY.contains(&status)).then(|| (status, envelope(status, &text)))
    }

    /// Reads a stream of events to its end; returns `None` if it was lost.
    pub(crate) async fn stream(&self, path: &str) -> Option<String> {
        let (status, text) = self.send(self.client.get(self.url(path)).bearer_auth(self.token())).await?;
        (status == StatusCode::OK).then_some(text)
    }

    /// Sends one POST; returns `None` if the response was lost.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Option<(StatusCode, Value)> {
        let mut request = self.client.post(self.url(path)).json(body);
        if let Some(key) = key {
            request = request.bearer_auth(self.token()).header("Idempotency-Key", key);
        }
        let (status, text) = self.send(request).await?;
        Some((status, envelope(status, &text)))
    }

    /// Sends a request until it gets one of these statuses. An error that is not transient ends the run.
    pub(crate) async fn insist(
        &self,
        path: &str,
        body: &Value,
        key: Option<&str>,
        wanted: &[StatusCode],
    ) -> Value {
        loop {
            match self.post(path, body, key).await {
                Some((status, answer)) if wanted.contains(&status) => return answer,
                Some((StatusCode::UNAUTHORIZED, _)) if key.is_some() => Box::pin(self.sign_in()).await,
                Some((status, answer)) => {
                    assert!(TEMPORARY.contains(&status), "{path} got {status}: {answer}");
                }
                None => {}
            }
            self.again.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn sign_in(&self) {
        let body = json!({ "login": "driver", "password": PASSWORD });
        let answer = self.insist("auth/login", &body, None, &[StatusCode::OK]).await;
        *self.token.lock().unwrap() = answer["data"]["access_token"].as_str().unwrap().to_owned();
    }

    fn token(&self) -> String {
        self.token.lock().unwrap().clone()
    }

    fn url(&self, path: &str) -> String {
        let server = self.servers[self.next_server.fetch_add(1, Ordering::Relaxed) % self.servers.len()];
        format!("http://{server}/api/v1/{path}")
    }

    /// Returns the complete response, if it arrives.
    async fn send(&self, request: RequestBuilder) -> Option<(StatusCode, String)> {
        let response = request.send().await.ok()?;
        Some((response.status(), response.text().await.ok()?))
    }
}

/// Parses a response, which must be an envelope even for errors.
fn envelope(status: StatusCode, text: &str) -> Value {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    let wanted = if status.is_success() { "data" } else { "error" };
    assert!(answer.get(wanted).is_some(), "{status} came with {text:?}");
    answer
}
