//! Multipart form with a file and its title.

use axum::body::Bytes;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use sutazai_core::Error;
use sutazai_core::domain::{MediaType, NewDocument};

use crate::error::ApiError;

const FORM: &str = "multipart/form-data";

/// Body of `multipart/form-data` (RFC 7578) with the part `file` and an optional part `title`. Responds with 415 for
/// another content type, 413 when it is too large, 400 when it cannot be parsed, and 422 when a part is invalid.
#[derive(Debug)]
pub(crate) struct FileForm(pub(crate) NewDocument);

impl<S: Send + Sync> FromRequest<S> for FileForm {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_form(&request) {
            return Err(ApiError::unsupported_media_type(FORM));
        }
        let unbounded = |_| ApiError::malformed(format!("expected a boundary in the content type {FORM}"));
        let mut form = Multipart::from_request(request, state).await.map_err(unbounded)?;
        let (mut title, mut file) = (None, None);
        while let Some(part) = form.next_field().await.map_err(unreadable)? {
            match part.name().unwrap_or_default() {
                "title" if title.is_none() => title = Some(text(part).await?),
                "file" if file.is_none() => file = Some(SentFile::read(part).await?),
                twice @ ("title" | "file") => return Err(Error::invalid(twice, "expected it once").into()),
                other => {
                    let message = "expected no other parts than file and title";
                    return Err(Error::invalid(if other.is_empty() { "body" } else { other }, message).into());
                }
            }
        }
        let SentFile { name, media_type, bytes } =
            file.ok_or_else(|| Error::invalid("file", "expected a part of this name with a file in it"))?;
        // Browsers also send fields that were left empty.
        let title = title.filter(|title| !title.trim().is_empty()).or(name).unwrap_or_default();
        Ok(Self(NewDocument { title, media_type, file: bytes.into() }))
    }
}

struct SentFile {
    /// Name of the file at its origin, without folders.
    name: Option<String>,
    media_type: MediaType,
    bytes: Bytes,
}

impl SentFile {
    async fn read(part: Field<'_>) -> Result<Self, ApiError> {
        let path = extended_name(part.headers()).or_else(|| part.file_name().map(str::to_owned));
        let name = path.and_then(|path| path.rsplit(['/', '\\']).next().map(str::to_owned));
        let unknown = |_| Error::invalid("file", "expected a content type of ASCII characters");
        let content_type = part.headers().get(CONTENT_TYPE).map(|value| value.to_str()).transpose();
        let media_type = MediaType::of_file(content_type.map_err(unknown)?, name.as_deref())?;
        Ok(Self { name, media_type, bytes: part.bytes().await.map_err(unreadable)? })
    }
}

async fn text(part: Field<'_>) -> Result<String, ApiError> {
    let bytes = part.bytes().await.map_err(unreadable)?;
    String::from_utf8(bytes.into()).map_err(|_| Error::invalid("title", "expected a text in UTF-8").into())
}

/// Returns the name in the extended form of RFC 8187, `filename*=UTF-8''na%C3%AFve.txt`, which takes precedence over
/// the plain one (RFC 6266).
fn extended_name(headers: &HeaderMap) -> Option<String> {
    let disposition = headers.get(CONTENT_DISPOSITION)?.to_str().ok()?;
    let value = parameters(disposition)
        .find_map(|(name, value)| name.eq_ignore_ascii_case("filename*").then(|| value.trim().to_owned()))?;
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    let bytes = percent_decoded(encoded)?;
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" => String::from_utf8(bytes).ok(),
        "iso-8859-1" => Some(bytes.into_iter().map(char::from).collect()),
        _ => None,
    }
    .filter(|name| !name.is_empty())
}

/// Splits a header value into its parameters; ignores separators within quoted strings.
fn parameters(value: &str) -> impl Iterator<Item = (&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = value.split(move |c: char| {
        let ends = c == ';' && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        ends
    });
    parts.filter_map(|part| part.split_once('=')).map(|(name, value)| (name.trim(), value))
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    Some(bytes)
}

fn is_form(request: &Request) -> bool {
    let value = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM)
}

fn unreadable(e: MultipartError) -> ApiError {
    ApiError::malformed(format!("the body is no {FORM}: {}", e.body_text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(disposition: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_DISPOSITION, disposition.parse().unwrap());
        extended_name(&headers)
    }

    #[test]
    fn extended_file_name_is_decoded() {
        for (disposition, expected) in [
            ("form-data; name=\"file\"; filename*=UTF-8''na%C3%AFve%20%E8%88%B9.txt", Some("naïve 船.txt")),
            ("form-data; filename=\"a;filename*=x\"; FileName* = utf-8'de'b.md", Some("b.md")),
            ("form-data; filename*=iso-8859-1''%FC.txt", Some("ü.txt")),
            ("form-data; filename=\"plain.txt\"", None),
            ("form-data; filename=\"a;filename*=UTF-8''x\"", None),
            ("form-data; filename*=UTF-8''%FF", None),
            ("form-data; filename*=UTF-8''%F", None),
            ("form-data; filename*=UTF-8''a%+1b.txt", None),
            ("form-data; filename*=UTF-8''", None),
            ("form-data; filename*=koi8-r''a", None),
        ] {
            assert_eq!(name(disposition).as_deref(), expected, "{disposition}");
        }
    }
}
