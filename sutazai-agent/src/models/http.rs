//! HTTP client of a model server, and the one place where its failures become an [`Error`].
//!
//! It connects to the configured address only: proxy settings of the environment and redirects are ignored.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sutazai_core::{Error, ErrorKind, Result, trace};

use super::DEFAULT_IDLE_TIMEOUT;
use super::wire::read_json;

/// Time limit for establishing a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum size of an answer that is read as a read_body, in bytes; enough for some thousand embeddings.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Maximum retry delay that is accepted from a server.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// Retry delay after a busy server that states none.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Client of one model server. Its `Debug` output does not show the key.
#[derive(Debug)]
pub(super) struct HttpClient {
    client: Client,
    base: String,
    backend: &'static str,
    idle: Duration,
}

impl HttpClient {
    /// Creates a client for the server at `base`, with an optional bearer key. Sends nothing.
    ///
    /// # Errors
    /// `InvalidInput` naming `MODEL_BACKENDS` or `OPENAI_API_KEY`.
    pub(super) fn new(backend: &'static str, base: &str, key: Option<&str>) -> Result<Self> {
        let invalid = |what: &str| Error::invalid("MODEL_BACKENDS", format!("{backend}: expected {what}"));
        let url = Url::parse(base).map_err(|_| invalid("an address such as http://127.0.0.1:11434"))?;
        if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
            return Err(invalid("an address that begins with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("an address without a user name or a password"));
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let mut value = HeaderValue::try_from(format!("Bearer {key}"))
                .map_err(|_| Error::invalid("OPENAI_API_KEY", "expected visible ASCII characters only"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = Client::builder()
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            // A server may close an idle connection just as the next request is sent on it, and a request that it may
            // have read cannot be repeated. A new connection costs little compared with a generation. Pooling would pay
            // off only for requests that are short and idempotent.
            .pool_max_idle_per_host(0)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::internal("the HTTP client could not be created").with_source(e))?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned(), backend, idle: DEFAULT_IDLE_TIMEOUT })
    }

    /// Sets the longest silence of the server before a request fails.
    pub(super) fn set_idle(&mut self, idle: Duration) {
        self.idle = idle;
    }

    /// Reads a JSON document from a path that every server of this protocol serves.
    ///
    /// # Errors
    /// `Unavailable` when the path does not exist, because then another kind of server listens at this address.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.json(self.client.get(self.url(path))).await.map_err(|e| match e.kind() {
            ErrorKind::NotFound => {
                let missing = Error::unavailable(format!("there is no {} server", self.backend));
                missing.with_detail(format!("there is no {}", self.url(path))).with_source(e)
            }
            _ => e,
        })
    }

    /// Posts a JSON document and reads the JSON answer.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        self.json(self.client.post(self.url(path)).json(body)).await
    }

    /// Posts a JSON document and streams the body of the answer. Dropping the stream closes the connection, which makes
    /// the server stop generating.
    pub(super) async fn stream(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<impl Stream<Item = Result<impl AsRef<[u8]> + use<>>> + Send + use<>> {
        let response = self.send(self.client.post(self.url(path)).json(body)).await?;
        Ok(body_chunks(response, self.backend, self.idle))
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let response = self.send(request).await?;
        let body = read_body(response, self.backend, self.idle, MAX_BODY_BYTES).await?;
        read_json(&body, &format!("{} sent an answer that violates its protocol", self.backend))
    }

    /// Sends a request and waits for the response head; a status other than 2xx is an error.
    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        // W3C Trace Context: a server that records traces continues ours.
        let request = match trace::current() {
            Some(here) => request.header("traceparent", here.to_traceparent()),
            None => request,
        };
        let sent = tokio::time::timeout(self.idle, request.send()).await;
        let response = sent
            .map_err(|_| idle_timeout_error(self.backend, self.idle))?
            .map_err(|e| self.connection_error(e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let body = read_body(response, self.backend, self.idle, 64 * 1024).await.unwrap_or_default();
        let after = after.map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
        Err(self.refused(status, after, &complaint(&body)))
    }

    fn connection_error(&self, e: reqwest::Error) -> Error {
        let how = if e.is_connect() { "cannot be reached" } else { "broke off the connection" };
        let error = Error::unavailable(format!("{} {how}", self.backend));
        error.with_detail(format!("at {}", self.base)).with_source(e.without_url())
    }

    /// Maps a non-2xx response to an error.
    fn refused(&self, status: StatusCode, after: Option<Duration>, complaint: &str) -> Error {
        let backend = self.backend;
        if matches!(status.as_u16(), 400 | 413 | 422 | 500) && is_context_overflow(complaint) {
            return context_overflow(backend, complaint);
        }
        // A complaint about the request concerns the caller and is public; one about the server itself concerns only
        // the operator and goes into the detail.
        let refused = |kind| {
            let words = without_addresses(complaint);
            let e = Error::new(kind, format!("{backend} answered {status}: {words}"));
            if words == complaint { e } else { e.with_detail(complaint) }
        };
        let failed = |kind| Error::new(kind, format!("{backend} answered {status}")).with_detail(complaint);
        match status.as_u16() {
            400 | 413 | 422 => refused(ErrorKind::InvalidInput),
            // The rejected key is the operator's: the caller did nothing wrong and must not see an authentication
            // error.
            401 | 403 => Error::unavailable(format!("{backend} rejects the key ({status})"))
                .with_detail(format!("at {}", self.base)),
            404 => refused(ErrorKind::NotFound),
            408 | 504 => failed(ErrorKind::Timeout),
            501 => refused(ErrorKind::Unsupported),
            429 => failed(ErrorKind::RateLimited).with_retry_after(after.unwrap_or(DEFAULT_RETRY_AFTER)),
            503 => failed(ErrorKind::Busy).with_retry_after(after.unwrap_or(DEFAULT_RETRY_AFTER)),
            _ => failed(ErrorKind::Unavailable),
        }
    }
}

/// Extracts the text of an error envelope: `{"error": "..."}` of Ollama or `{"error": {"message": "..."}}` of OpenAI.
pub(super) fn sentence(error: &Value) -> String {
    let text = error.as_str().or_else(|| error.get("message")?.as_str());
    text.map_or_else(|| error.to_string(), str::to_owned)
}

/// Creates the error of an answer that the server ended with `error`.
pub(super) fn broke_off(backend: &str, error: &Value) -> Error {
    let words = complaint_of(error);
    if is_context_overflow(&words) {
        return context_overflow(backend, &words).with_field("messages");
    }
    Error::unavailable(format!("{backend} broke off")).with_detail(words)
}

/// Adds the field at fault to a refused chat request, where the error text reveals it.
pub(super) fn about_chat(e: Error, has_schema: bool) -> Error {
    let words = e.message().to_lowercase();
    let of_schema = ["schema", "response_format", "grammar", "pattern", "invalid format"];
    match e.kind() {
        ErrorKind::ContextLength => e.with_field("messages"),
        ErrorKind::InvalidInput if has_schema && of_schema.iter().any(|word| words.contains(word)) => {
            e.with_field("constraint")
        }
        _ => e,
    }
}

/// Adds the field at fault to a refused embedding request.
pub(super) fn about_texts(e: Error) -> Error {
    if e.kind() == ErrorKind::ContextLength { e.with_field("input") } else { e }
}

/// Returns whether `complaint` reports an exceeded context: by the code of OpenAI's API, the type of `llama-server`, or
/// a sentence of Ollama, vLLM and others.
fn is_context_overflow(complaint: &str) -> bool {
    let words = complaint.to_lowercase();
    let named = [
        "context_length_exceeded",
        "exceed_context_size",
        "context length",
        "context size",
        "context window",
    ];
    named.iter().any(|name| words.contains(name))
}

fn context_overflow(backend: &str, complaint: &str) -> Error {
    let words = without_addresses(complaint);
    Error::new(ErrorKind::ContextLength, format!("expected less for the model's context; {backend}: {words}"))
}

/// Replaces the network addresses in a server's text, because callers must not learn about internal hosts.
pub(super) fn without_addresses(words: &str) -> String {
    let shown = |word: &str| if is_address(word) { "(address)".to_owned() } else { word.to_owned() };
    words.split(char::is_whitespace).map(shown).collect::<Vec<_>>().join(" ")
}

fn is_address(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let of_host = bare.rsplit_once(':').is_some_and(|(host, port)| {
        (host.contains('.') || host == "localhost") && port.parse::<u16>().is_ok()
    });
    let numbers = word.trim_matches(|c: char| !c.is_ascii_hexdigit() && c != ':');
    word.contains("://")
        || of_host
        || bare.parse::<IpAddr>().is_ok()
        || numbers.trim_end_matches(':').parse::<IpAddr>().is_ok()
        || word.trim_matches(['"', '\'', ',', ';', '(', ')', ':']).parse::<SocketAddr>().is_ok()
}

/// Extracts the error text from a response body; at most 500 characters.
fn complaint(body: &[u8]) -> String {
    let envelope = serde_json::from_slice::<Value>(body).ok();
    let error = envelope.as_ref().and_then(|envelope| envelope.get("error").filter(|error| !error.is_null()));
    let error = error.or(envelope.as_ref().filter(|envelope| envelope.get("message").is_some()));
    let text = error.map(complaint_of);
    let text = text.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    text.chars().take(500).collect()
}

/// Extracts the text of an error, and appends its code or type when only that one reveals an exceeded context.
fn complaint_of(error: &Value) -> String {
    let words = sentence(error);
    let mut named = ["code", "type"].iter().filter_map(|key| error.get(key)?.as_str());
    match named.find(|name| is_context_overflow(name)) {
        Some(name) if !is_context_overflow(&words) => format!("{words} ({name})"),
        _ => words,
    }
}

/// Streams the chunks of a body, each within the idle timeout.
fn body_chunks(
    response: Response,
    backend: &'static str,
    idle: Duration,
) -> impl Stream<Item = Result<impl AsRef<[u8]> + use<>>> + Send + use<> {
    stream::unfold(response.bytes_stream().boxed(), move |mut body| async move {
        let piece = match tokio::time::timeout(idle, body.next()).await {
            Err(_) => Err(idle_timeout_error(backend, idle)),
            Ok(piece) => piece?.map_err(|e| {
                Error::unavailable(format!("{backend} broke off its answer")).with_source(e.without_url())
            }),
        };
        Some((piece, body))
    })
}

async fn read_body(
    response: Response,
    backend: &'static str,
    idle: Duration,
    limit: usize,
) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    let mut chunks = std::pin::pin!(body_chunks(response, backend, idle));
    while let Some(piece) = chunks.next().await {
        let piece = piece?;
        if body.len() + piece.as_ref().len() > limit {
            return Err(Error::unavailable(format!("{backend} sent an answer of more than {limit} bytes")));
        }
        body.extend_from_slice(piece.as_ref());
    }
    Ok(body)
}

fn idle_timeout_error(backend: &str, idle: Duration) -> Error {
    Error::timeout(format!("{backend} sent no data for {idle:?}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn complaints_are_read_from_either_envelope_and_truncated() {
        for body in [json!({ "error": "no room" }), json!({ "error": { "message": "no room", "code": 1 } })] {
            assert_eq!(complaint(body.to_string().as_bytes()), "no room");
        }
        assert_eq!(complaint(b"<html>").len(), 6);
        assert_eq!(complaint(&[b'x'; 9_000]).len(), 500);
    }

    #[test]
    fn context_overflow_of_every_server_is_recognized() {
        let client = HttpClient::new("openai", "http://127.0.0.1:1/v1", None).unwrap();
        for body in [
            json!({ "error": { "message": "too long", "code": "context_length_exceeded" } }),
            json!({ "error": { "message": "the request is too long", "type": "exceed_context_size_error", "code": 400 } }),
            json!({ "object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400 }),
            json!({ "error": "the input length exceeds the context length" }),
        ] {
            let e = client.refused(StatusCode::BAD_REQUEST, None, &complaint(body.to_string().as_bytes()));
            assert_eq!(about_chat(e, false).field(), Some("messages"), "{body}");
        }
        let e = client.refused(StatusCode::BAD_REQUEST, None, "no such option: context");
        assert_eq!((e.kind(), about_texts(e).field()), (ErrorKind::InvalidInput, None));
    }

    #[test]
    fn addresses_are_removed_from_texts() {
        let words = "Post \"http://10.0.0.5:11434/x\": dial tcp 10.0.0.5:80: lookup models.internal on [::1]:53: no host fe80::1; \
                     see localhost:8080, version 1.2 at 12:30, ratio 3:4";
        assert_eq!(
            without_addresses(words),
            "Post (address) dial tcp (address) lookup models.internal on (address) no host (address) see (address) \
             version 1.2 at 12:30, ratio 3:4"
        );
    }

    #[test]
    fn key_is_not_shown() {
        let client = HttpClient::new("openai", "http://127.0.0.1:1/v1", Some("sk-very-secret")).unwrap();
        assert!(!format!("{client:?}").contains("very-secret"));
        let e = HttpClient::new("openai", "http://127.0.0.1:1", Some("sk-very-secret\n")).unwrap_err();
        assert_eq!(e.field(), Some("OPENAI_API_KEY"));
        assert!(!format!("{e:?}").contains("very-secret"));
    }

    #[test]
    fn public_message_hides_address_and_server_details() {
        let client = HttpClient::new("openai", "http://models.internal:9090/v1", None).unwrap();
        for status in [401, 403, 408, 429, 500, 502, 503, 504] {
            let e = client.refused(StatusCode::from_u16(status).unwrap(), None, "/srv/weights is unreadable");
            assert!(!e.message().contains("internal") && !e.message().contains("/srv"), "{}", e.message());
            assert!(e.to_string().contains("internal") || e.to_string().contains("/srv"), "{e}");
        }
    }

    #[test]
    fn statuses_map_to_error_kinds() {
        let client = HttpClient::new("openai", "http://127.0.0.1:1/v1", None).unwrap();
        let kind = |status| client.refused(StatusCode::from_u16(status).unwrap(), None, "").kind();
        assert_eq!(kind(400), ErrorKind::InvalidInput);
        assert_eq!(kind(401), ErrorKind::Unavailable);
        assert_eq!(kind(404), ErrorKind::NotFound);
        assert_eq!(kind(429), ErrorKind::RateLimited);
        assert_eq!(kind(500), ErrorKind::Unavailable);
        assert_eq!(kind(501), ErrorKind::Unsupported);
        assert_eq!(kind(503), ErrorKind::Busy);
        assert_eq!(kind(504), ErrorKind::Timeout);
        let after = client.refused(StatusCode::TOO_MANY_REQUESTS, Some(Duration::from_secs(7)), "");
        assert_eq!(after.retry_after(), Some(Duration::from_secs(7)));
    }
}
