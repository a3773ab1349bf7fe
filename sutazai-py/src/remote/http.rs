//! Connection to a server: its address, the credentials, the time limit, and repetitions.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sutazai::ports::{Clock, SystemClock};
use sutazai::{Error, ErrorKind, Result};
use sutazai_bodies::auth::{Login, Refresh, SignedInView};
use tokio::sync::Mutex;

use super::errors::{broken_off, not_answered, refused, unexpected};
use super::request::Request;
use super::session::{Credentials, Session, bearer};
use super::sse::SseReader;
use crate::local::seconds;

/// Time limit for establishing a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval of probes on an idle connection, so that a wait for a model notices that its server is gone.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Delay before the first repetition of a request; each further one is twice as long.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(200);
/// Maximum delay before a repetition; an error that asks for a longer one is returned.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

/// Name and password of a user.
#[derive(Deserialize)]
struct User {
    username: String,
    password: String,
}

/// Options of a client, as Python sends them. They contain secrets, and therefore have no `Debug` output.
#[derive(Deserialize)]
struct Options {
    url: String,
    api_key: Option<String>,
    user: Option<User>,
    timeout: f64,
    retries: u32,
}

/// Successful response in its envelope.
#[derive(Deserialize)]
struct Success<T> {
    data: T,
}

/// Response to a request, read as far as the request asked for.
enum Reply {
    Body(Vec<u8>),
    Stream(Response),
}

#[derive(Debug)]
struct Parts {
    client: Client,
    base: Url,
    timeout: Duration,
    retries: u32,
}

/// Connection to one server. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Http {
    parts: Arc<Parts>,
    credentials: Credentials,
}

impl Http {
    /// Connects to a server with these options, given as JSON. Only a sign-in sends a request.
    ///
    /// # Errors
    /// `InvalidInput` naming the option, and those of a sign-in.
    pub(super) async fn open(options: &[u8]) -> Result<Self> {
        // Its text could repeat a secret.
        let unreadable = |_| Error::invalid("options", "expected the options of a client");
        let options: Options = serde_json::from_slice(options).map_err(unreadable)?;
        let client = Client::builder()
            // A repeated renewal of tokens is accepted only with the same text.
            .user_agent(concat!("sutazai-python/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(KEEP_ALIVE_INTERVAL)
            // Credentials go to the given address only.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::internal("the HTTP client could not be created").with_source(e))?;
        let timeout = seconds(options.timeout).map_err(|e| e.with_field("timeout"))?;
        let parts = Parts { client, base: base(&options.url)?, timeout, retries: options.retries };
        let credentials = match options.api_key {
            Some(key) => {
                let invalid = || Error::invalid("api_key", "expected visible ASCII characters only");
                Credentials::Key(bearer(&key).ok_or_else(invalid)?)
            }
            None => Credentials::None,
        };
        let mut http = Self { parts: Arc::new(parts), credentials };
        if let Some(User { username, password }) = options.user {
            let request = Request::post("api/v1/auth/login").json(&Login { login: username, password })?;
            let signed_in: SignedInView = http.data(&request).await?;
            let session = Session::new(signed_in)?;
            http.credentials = Credentials::Session(Arc::new(Mutex::new(session)));
        }
        Ok(http)
    }

    /// Ends the session, if there is one. A server that cannot be reached ends it later.
    pub(super) async fn sign_out(&self) {
        if let Credentials::Session(_) = self.credentials
            && let Err(e) = self.bytes(&Request::post("api/v1/auth/logout")).await
        {
            tracing::debug!(error = %e, "session not ended");
        }
    }

    /// Sends a request and reads the data of the response from its envelope.
    pub(super) async fn data<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        data(&self.bytes(request).await?)
    }

    /// Sends a request and reads a response that has no envelope.
    pub(super) async fn plain<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        serde_json::from_slice(&self.bytes(request).await?).map_err(unexpected)
    }

    /// Sends a request and reads the response.
    pub(super) async fn bytes(&self, request: &Request) -> Result<Vec<u8>> {
        match self.with_retries(request, || self.signed(request, false)).await? {
            Reply::Body(body) => Ok(body),
            Reply::Stream(response) => Ok(response.bytes().await.map_err(broken_off)?.into()),
        }
    }

    /// Sends a request and opens the stream of events of the response; `None` if there is none, because it has ended.
    pub(super) async fn events(&self, request: &Request) -> Result<Option<SseReader>> {
        match self.with_retries(request, || self.signed(request, true)).await? {
            Reply::Stream(response) if response.status() != StatusCode::NO_CONTENT => {
                Ok(Some(SseReader::new(response)))
            }
            Reply::Stream(_) | Reply::Body(_) => Ok(None),
        }
    }

    /// Sends a request once, without credentials, and returns the response whatever its status.
    pub(super) async fn answer(&self, request: &Request) -> Result<(StatusCode, Vec<u8>)> {
        self.within(request, async {
            let response = self.exchange(request, None).await?;
            let status = response.status();
            Ok((status, response.bytes().await.map_err(broken_off)?.into()))
        })
        .await
    }

    /// Makes the first attempt at a request, and further ones after an error that may pass if it may be repeated.
    async fn with_retries<T, A>(&self, request: &Request, attempt: impl Fn() -> A) -> Result<T>
    where
        A: Future<Output = Result<T>>,
    {
        let mut delay = FIRST_RETRY_DELAY;
        let mut left = if request.is_repeatable { self.parts.retries } else { 0 };
        loop {
            match self.within(request, attempt()).await {
                Err(e) if e.kind().is_transient() && left > 0 => {
                    let wanted = e.retry_after().unwrap_or(delay);
                    if wanted > MAX_RETRY_DELAY {
                        return Err(e);
                    }
                    tracing::debug!(error = %e, "request failed; retrying");
                    SystemClock.sleep(wanted).await;
                    left -= 1;
                    delay = (delay * 2).min(MAX_RETRY_DELAY);
                }
                outcome => return outcome,
            }
        }
    }

    async fn within<T>(&self, request: &Request, answer: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(limit) = request.limit_or(self.parts.timeout) else { return answer.await };
        let late = |_| Error::timeout(format!("the server did not answer within {limit:?}"));
        tokio::time::timeout(limit, answer).await.map_err(late)?
    }

    /// Sends a request with the credentials; if they were refused, once more with renewed ones.
    async fn signed(&self, request: &Request, is_stream: bool) -> Result<Reply> {
        let credentials = self.header(None).await?;
        let mut response = self.exchange(request, credentials.as_ref()).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let (Credentials::Session(_), Some(used)) = (&self.credentials, credentials)
        {
            let renewed = self.header(Some(used)).await?;
            response = self.exchange(request, renewed.as_ref()).await?;
        }
        if is_stream && response.status().is_success() {
            return Ok(Reply::Stream(response));
        }
        read(response).await.map(Reply::Body)
    }

    /// Sends a request without credentials.
    async fn unsigned(&self, request: &Request) -> Result<Vec<u8>> {
        read(self.exchange(request, None).await?).await
    }

    async fn exchange(&self, request: &Request, credentials: Option<&HeaderValue>) -> Result<Response> {
        let mut url = self.parts.base.clone();
        url.set_path(&format!("{}{}", url.path(), request.path));
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut sent = self.parts.client.request(request.method.clone(), url);
        if let Some(credentials) = credentials {
            sent = sent.header(AUTHORIZATION, credentials);
        }
        if let Some(key) = &request.idempotency_key {
            sent = sent.header("idempotency-key", key);
        }
        if let Some(traceparent) = &request.traceparent {
            sent = sent.header("traceparent", traceparent);
        }
        if let Some(body) = &request.body {
            sent = sent.header(CONTENT_TYPE, &body.content_type).body(body.bytes.clone());
        }
        sent.send().await.map_err(not_answered)
    }

    /// Returns the header with the credentials, renewed if they are about to expire or were `refused`.
    async fn header(&self, refused: Option<HeaderValue>) -> Result<Option<HeaderValue>> {
        let session = match &self.credentials {
            Credentials::None => return Ok(None),
            Credentials::Key(key) => return Ok(Some(key.clone())),
            Credentials::Session(session) => session.clone(),
        };
        let mut session = session.lock_owned().await;
        if let Some(header) = session.header(refused.as_ref()) {
            return Ok(Some(header));
        }
        let http = self.clone();
        // In a task of its own: a caller that no longer waits must not lose the new tokens, since the old ones are spent.
        let renewal = tokio::spawn(async move {
            let renewed = http.renewed(&session.refresh).await?;
            *session = renewed;
            Ok::<_, Error>(session.header(None))
        });
        renewal.await.map_err(|e| Error::internal("the renewal of tokens panicked").with_source(e))?
    }

    /// Exchanges a refresh token for new tokens. A server returns the same ones to a repeated request.
    async fn renewed(&self, refresh: &str) -> Result<Session> {
        let body = Refresh { refresh_token: Some(refresh.to_owned()) };
        let request = Request::post("api/v1/auth/refresh").json(&body)?.repeatable_if(true);
        let body =
            self.with_retries(&request, || self.unsigned(&request)).await.map_err(|e| match e.kind() {
                ErrorKind::Unauthenticated => {
                    Error::new(ErrorKind::Unauthenticated, "the session has ended; sign in again")
                        .with_source(e)
                }
                _ => e,
            })?;
        Session::new(data(&body)?)
    }
}

/// Reads the body of a response.
///
/// # Errors
/// That of the server if the status is not 2xx.
async fn read(response: Response) -> Result<Vec<u8>> {
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = response.bytes().await.map_err(broken_off)?;
    if status.is_success() {
        return Ok(body.into());
    }
    Err(refused(status, retry_after.map(Duration::from_secs), &body))
}

/// Reads the data of a response from its envelope.
fn data<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice::<Success<T>>(body).map(|success| success.data).map_err(unexpected)
}

/// Reads the address of a server.
///
/// # Errors
/// `InvalidInput` naming `url`. It does not repeat the address, which may contain a password.
fn base(url: &str) -> Result<Url> {
    let expected = |what: &str| Error::invalid("url", format!("expected {what}"));
    let mut base = Url::parse(url).map_err(|_| expected("an address such as https://example.org:10010"))?;
    if !["http", "https"].contains(&base.scheme()) || !base.has_host() {
        return Err(expected("an address that begins with http:// or https://"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(expected("an address without a user name or a password; use `login`"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(expected("an address without a query and a fragment"));
    }
    if !base.path().ends_with('/') {
        let path = format!("{}/", base.path());
        base.set_path(&path);
    }
    Ok(base)
}
