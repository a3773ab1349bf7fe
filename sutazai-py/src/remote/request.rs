//! Requests to a server.

use std::time::Duration;

use reqwest::Method;
use serde::Serialize;
use sutazai::external::uuid::Uuid;
use sutazai::{Error, Result};

/// Time limit of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// The time limit of the client.
    Usual,
    /// No limit, as for the answer of a model.
    None,
}

/// Body with its content type.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) content_type: String,
    pub(super) bytes: Vec<u8>,
}

/// One request to the API.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Path below the address of the server, without a slash at its begin. All ids in it were parsed.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<Body>,
    pub(super) idempotency_key: Option<String>,
    /// Trace context of the caller (W3C), which the server continues.
    pub(super) traceparent: Option<String>,
    /// True if the server may receive the request twice without doing more than once.
    pub(super) is_repeatable: bool,
    pub(super) limit: Limit,
}

impl Request {
    /// Creates a request that only reads.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { is_repeatable: true, ..Self::new(Method::GET, path) }
    }

    /// Creates a request that creates or changes something.
    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// Creates a request that replaces something.
    pub(super) fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    /// Creates a request that removes something.
    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            idempotency_key: None,
            traceparent: None,
            is_repeatable: false,
            limit: Limit::Usual,
        }
    }

    /// Adds a query parameter.
    pub(super) fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// Adds a query parameter if it has a value.
    pub(super) fn query_if(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Sets the body to the JSON of this value.
    ///
    /// # Errors
    /// `Internal` if the value has no JSON.
    pub(super) fn json(self, value: &impl Serialize) -> Result<Self> {
        let bytes = serde_json::to_vec(value).map_err(Error::json)?;
        Ok(Self { body: Some(Body { content_type: "application/json".into(), bytes }), ..self })
    }

    /// Sets the body to a form with a file.
    pub(super) fn form(self, form: Form<'_>) -> Self {
        Self { body: Some(form.write()), ..self }
    }

    /// Sets the idempotency key, which makes the request repeatable.
    pub(super) fn once(self, key: impl Into<String>) -> Self {
        Self { idempotency_key: Some(key.into()), is_repeatable: true, ..self }
    }

    /// Lets the server continue this trace.
    pub(super) fn traced(self, traceparent: Option<String>) -> Self {
        Self { traceparent, ..self }
    }

    /// Marks the request as repeatable if its body has an idempotency key.
    pub(super) fn repeatable_if(self, is_repeatable: bool) -> Self {
        Self { is_repeatable, ..self }
    }

    /// Lifts the time limit.
    pub(super) fn unlimited(self) -> Self {
        Self { limit: Limit::None, ..self }
    }

    /// Returns the time limit, where `usual` is that of the client.
    pub(super) fn limit_or(&self, usual: Duration) -> Option<Duration> {
        (self.limit == Limit::Usual).then_some(usual)
    }
}

/// Form of `multipart/form-data` (RFC 7578) with a file and its title.
#[derive(Debug)]
pub(super) struct Form<'a> {
    pub(super) title: &'a str,
    /// Name of the file; `None` if it has none.
    pub(super) name: Option<&'a str>,
    /// Media type of the file; `None` lets its name decide.
    pub(super) media_type: Option<&'a str>,
    pub(super) file: &'a [u8],
}

impl Form<'_> {
    fn write(&self) -> Body {
        // Random, so that no file contains it.
        let boundary = format!("{}{}", Uuid::now_v7().simple(), Uuid::now_v7().simple());
        let mut bytes = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n{}\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file\"",
            self.title
        )
        .into_bytes();
        if let Some(name) = self.name {
            bytes.extend(format!("; filename=\"file\"; filename*=UTF-8''{}", percent_encoded(name)).bytes());
        }
        if let Some(media_type) = self.media_type {
            bytes.extend(format!("\r\nContent-Type: {}", one_line(media_type)).bytes());
        }
        bytes.extend(b"\r\n\r\n");
        bytes.extend(self.file);
        bytes.extend(format!("\r\n--{boundary}--\r\n").bytes());
        Body { content_type: format!("multipart/form-data; boundary={boundary}"), bytes }
    }
}

/// Removes what would end the line of a header.
fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Encodes a text for the extended parameter of a header (RFC 8187).
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
