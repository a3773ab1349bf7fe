//! Users' documents, their chunks, and the passages that a search finds in them.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};

use super::id::{DocumentId, UserId};
use crate::error::{Error, Result};

/// Media type of the file that a document was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// Plain text without markup.
    Plain,
    /// Markdown text (RFC 7763).
    Markdown,
    /// HTML page with its markup.
    Html,
}

/// Accepted charset names, in lower case: the labels of the WHATWG Encoding standard for UTF-8, for its subset ASCII,
/// and for UTF-16, whose byte order the byte order mark decides.
const CHARSETS: [&str; 18] = [
    "unicode-1-1-utf-8",
    "unicode11utf8",
    "unicode20utf8",
    "utf-8",
    "utf8",
    "x-unicode20utf8",
    "ansi_x3.4-1968",
    "ascii",
    "us-ascii",
    "csunicode",
    "iso-10646-ucs-2",
    "ucs-2",
    "unicode",
    "unicodefeff",
    "unicodefffe",
    "utf-16",
    "utf-16be",
    "utf-16le",
];

impl MediaType {
    /// Every supported media type.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Markdown, Self::Html];

    /// Returns the name used in headers, in JSON and in databases.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "text/plain",
            Self::Markdown => "text/markdown",
            Self::Html => "text/html",
        }
    }

    /// Determines the media type of an uploaded file from its `Content-Type`, or from the extension of its name if the
    /// header is missing or `application/octet-stream`.
    ///
    /// # Errors
    /// `InvalidInput` naming `file` for unsupported types, and for other charsets than UTF-8 and UTF-16.
    pub fn of_file(content_type: Option<&str>, name: Option<&str>) -> Result<Self> {
        let mut parts = content_type.unwrap_or_default().split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        for parameter in parts {
            let charset =
                parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
            let charset = charset.map(|(_, value)| value.trim().trim_matches('"'));
            if let Some(other) = charset.filter(|set| !CHARSETS.contains(&set.to_ascii_lowercase().as_str()))
            {
                return Err(Error::invalid(
                    "file",
                    format!(
                        "expected a text in UTF-8, or in UTF-16 with a byte order mark, got one in {other:?}"
                    ),
                ));
            }
        }
        let kind = match essence.as_str() {
            "" | "application/octet-stream" => name.and_then(Self::of_name),
            // Name of the type before RFC 7763 registered `text/markdown`; many programs still send it.
            "text/x-markdown" => Some(Self::Markdown),
            named => Self::ALL.into_iter().find(|kind| kind.as_str() == named),
        };
        kind.ok_or_else(|| {
            let expected = "expected text/plain (.txt), text/markdown (.md) or text/html (.html)";
            let got = match (essence.as_str(), name) {
                ("" | "application/octet-stream", Some(name)) => format!("a file called {name:?}"),
                ("" | "application/octet-stream", None) => "a file without a name and a type".to_owned(),
                (essence, _) => essence.to_owned(),
            };
            Error::invalid("file", format!("{expected}, got {got}"))
        })
    }

    fn of_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "txt" | "text" => Some(Self::Plain),
            "md" | "markdown" => Some(Self::Markdown),
            "html" | "htm" => Some(Self::Html),
            _ => None,
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MediaType {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == s);
        found.ok_or_else(|| {
            let expected = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid("media_type", format!("expected one of {expected}, got {s:?}"))
        })
    }
}

/// A stored document, without its chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Primary key; ids of later documents sort later.
    pub id: DocumentId,
    /// Owner of the document; `None`: the embedder.
    pub owner: Option<UserId>,
    /// Title of the document; may be empty.
    pub title: String,
    /// Media type of the uploaded file.
    pub media_type: MediaType,
    /// Size of the uploaded file in bytes.
    pub size_bytes: u64,
    /// Number of chunks that the text was split into.
    pub chunks: u32,
    /// Time at which the document was uploaded.
    pub created_at: DateTime<Utc>,
    /// Idempotency key of the upload, if it had one.
    pub upload_key: Option<UploadKey>,
}

/// Idempotency key of an upload, with a digest of what was uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadKey {
    /// Key chosen by the caller, unique among the documents of an owner.
    pub key: String,
    /// SHA-256 of the title, the media type and the file, in hexadecimal.
    pub digest: String,
}

impl Document {
    /// Returns this document if an upload with the same idempotency key repeats it. All stores share this rule.
    ///
    /// # Errors
    /// `Conflict` naming `idempotency_key` if the key was used for another upload.
    pub fn asked_for_again(self, asked: &Self) -> Result<Self> {
        if self.upload_key == asked.upload_key {
            return Ok(self);
        }
        let why = format!("it already belongs to document {}, which has another content or title", self.id);
        Err(Error::conflict(why).with_field("idempotency_key"))
    }
}

/// Uploaded file that is to be stored as a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDocument {
    /// Title of at most 255 characters, the longest file name of common file systems.
    pub title: String,
    /// Media type of the file.
    pub media_type: MediaType,
    /// Content of the file: UTF-8, or UTF-16 with a byte order mark, at most 10 MB, with some text.
    pub file: Vec<u8>,
}

/// A piece of a document's text. Adjacent chunks may overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Document that contains the chunk.
    pub document: DocumentId,
    /// Number of the chunk within its document, from 0.
    pub index: u32,
    /// Offset of its first character in the document's text, in Unicode scalar values from 0.
    pub start: u32,
    /// Offset behind its last character, in Unicode scalar values.
    pub end: u32,
    /// Text of the chunk.
    pub text: String,
}

/// Search for passages in the chunks of one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassageQuery {
    /// Owner whose documents are searched; `None`: documents without an owner.
    pub owner: Option<UserId>,
    /// Words in any order, and phrases in quotation marks. All other signs only separate words.
    pub text: String,
    /// Maximum number of passages.
    pub limit: u32,
}

/// A chunk that matches a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// The matching chunk with its text.
    pub chunk: Chunk,
    /// Title of the document that contains it.
    pub title: String,
    /// Relevance: the sum of the [weights](crate::adapter::tokenizer::weight) of the matching words. Larger is better;
    /// scores are comparable within one search only.
    pub score: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_type_names_are_consistent() {
        for kind in MediaType::ALL {
            assert_eq!(kind.as_str().parse::<MediaType>().unwrap(), kind);
        }
        let e = "application/pdf".parse::<MediaType>().unwrap_err();
        assert_eq!(e.field(), Some("media_type"));
        assert!(e.to_string().contains("text/plain, text/markdown, text/html"), "{e}");
    }

    #[test]
    fn media_type_comes_from_the_header_or_the_extension() {
        let bytes = Some("application/octet-stream");
        for (content_type, name, kind) in [
            (Some("text/plain"), Some("x.md"), MediaType::Plain),
            (Some("Text/HTML; charset=\"UTF-8\""), None, MediaType::Html),
            (Some("text/markdown; variant=GFM; charset=us-ascii"), None, MediaType::Markdown),
            (Some("text/plain; charset=utf8"), None, MediaType::Plain),
            (Some("text/plain;charset= Unicode-1-1-UTF-8 "), None, MediaType::Plain),
            (Some("text/html; charset=ANSI_X3.4-1968"), None, MediaType::Html),
            (Some("text/plain; charset=\"UTF-16LE\""), None, MediaType::Plain),
            (Some("text/x-markdown"), Some("README"), MediaType::Markdown),
            (bytes, Some("a.b.MD"), MediaType::Markdown),
            (None, Some("notes.txt"), MediaType::Plain),
            (None, Some("page.htm"), MediaType::Html),
        ] {
            assert_eq!(MediaType::of_file(content_type, name).unwrap(), kind, "{content_type:?} {name:?}");
        }
        for (content_type, name, told) in [
            (Some("application/pdf"), Some("x.txt"), "application/pdf"),
            (bytes, Some("x.pdf"), "x.pdf"),
            (bytes, Some("txt"), "called \"txt\""),
            (None, None, "without a name"),
            (Some("text/plain; charset=iso-8859-1"), None, "iso-8859-1"),
            (Some("text/plain; charset=utf-7"), None, "utf-7"),
            (Some("text/x-rst"), Some("x.txt"), "text/x-rst"),
        ] {
            let e = MediaType::of_file(content_type, name).unwrap_err();
            assert_eq!(e.field(), Some("file"));
            assert!(e.to_string().contains(told), "{e}");
        }
    }
}
