//! Requests to servers that may die at any moment, each to the next server in turn.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
/// What a server may answer that lacks something for the moment.
const PASSING: [StatusCode; 3] =
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

    /// How many requests had to be sent again.
    pub(crate) fn again(&self) -> u64 {
        self.again.load(Ordering::Relaxed)
    }

    /// Makes the user whose tasks these are.
    pub(crate) async fn sign_up(&self) {
        let new = json!({ "username": "driver", "email": "driver@localhost", "password": PASSWORD });
        // 409: an answer was lost, and the user is there.
        self.insist("auth/register", &new, None, &[StatusCode::CREATED, StatusCode::CONFLICT]).await;
        self.sign_in().await;
    }

    /// The answer to one GET; none if it was lost, or the server lacks something, or the sign-in was too long ago.
    pub(crate) async fn get(&self, path: &str) -> Option<(StatusCode, Value)> {
        let (status, text) = self.send(self.client.get(self.url(path)).bearer_auth(self.token())).await?;
        if status == StatusCode::UNAUTHORIZED {
            self.sign_in().await;
            return None;
        }
        (!PASSING.contains(&status)).then(|| (status, envelope(status, &text)))
    }

    /// A stream of events to its end; none if it was lost.
    pub(crate) async fn stream(&self, path: &str) -> Option<String> {
        let (status, text) = self.send(self.client.get(self.url(path)).bearer_auth(self.token())).await?;
        (status == StatusCode::OK).then_some(text)
    }

    /// The answer to one POST; none if it was lost.
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

    /// Sends a request until it has one of these answers. What no trouble of the servers explains ends the run.
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
                    assert!(PASSING.contains(&status), "{path} was answered {status}: {answer}");
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

    /// The whole answer, if it comes.
    async fn send(&self, request: RequestBuilder) -> Option<(StatusCode, String)> {
        let response = request.send().await.ok()?;
        Some((response.status(), response.text().await.ok()?))
    }
}

/// What every whole answer is, errors too.
fn envelope(status: StatusCode, text: &str) -> Value {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    let wanted = if status.is_success() { "data" } else { "error" };
    assert!(answer.get(wanted).is_some(), "{status} came with {text:?}");
    answer
}
