//! Users' documents: their texts in chunks, and what a search finds of them.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};

use super::id::{DocumentId, UserId};
use crate::error::{Error, Result};

/// What kind of file a document was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// Plain text.
    Plain,
    /// Markdown (RFC 7763).
    Markdown,
    /// HTML.
    Html,
}

/// Names of the character sets that are read, in lower case: those that WHATWG's Encoding standard has for UTF-8, for ASCII,
/// which is a part of it, and for UTF-16, of which a byte order mark tells the rest.
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
    /// All that can be read.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Markdown, Self::Html];

    /// As it stands in headers, in JSON and in databases.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "text/plain",
            Self::Markdown => "text/markdown",
            Self::Html => "text/html",
        }
    }

    /// The kind of an uploaded file: by the `Content-Type` it came with, or, where there is none or it says only that there are
    /// bytes, by the ending of its name.
    ///
    /// # Errors
    /// `InvalidInput` naming `file` for what cannot be read, other character sets than UTF-8 and UTF-16 included.
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
            // What Markdown was called before RFC 7763, and is in many programs.
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

/// A document, without its chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its key in the store; later ones sort later.
    pub id: DocumentId,
    /// Whose it is; none: the embedder's own.
    pub owner: Option<UserId>,
    /// What it is called; may be empty.
    pub title: String,
    /// What kind of file it was read from.
    pub media_type: MediaType,
    /// How large that file was, in bytes.
    pub size_bytes: u64,
    /// How many chunks its text was split into.
    pub chunks: u32,
    /// When it was uploaded.
    pub created_at: DateTime<Utc>,
    /// What makes an upload known that is repeated, if it came with a key.
    pub upload_key: Option<UploadKey>,
}

/// The idempotency key of an upload, and what was uploaded with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadKey {
    /// As the caller chose it; it names one document of an owner.
    pub key: String,
    /// SHA-256 of the title, the media type and the file, in hexadecimal.
    pub digest: String,
}

impl Document {
    /// This document, if it is what an upload asks for that has the same key; the same over every store.
    ///
    /// # Errors
    /// `Conflict` naming `idempotency_key` when something else was uploaded with it.
    pub fn asked_for_again(self, asked: &Self) -> Result<Self> {
        if self.upload_key == asked.upload_key {
            return Ok(self);
        }
        let why = format!("it already names document {}, which has another content or title", self.id);
        Err(Error::conflict(why).with_field("idempotency_key"))
    }
}

/// A file to be kept as a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDocument {
    /// What it is to be called, at most 255 characters: as long as the name of a file may be.
    pub title: String,
    /// What kind of file it is.
    pub media_type: MediaType,
    /// The file: UTF-8, or UTF-16 with a byte order mark, at most 10 MB, not without any text.
    pub file: Vec<u8>,
}

/// A piece of a document's text. Neighbours may share some of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where it belongs.
    pub document: DocumentId,
    /// Which of the document's chunks it is: 0, 1, 2 ...
    pub index: u32,
    /// Where it begins in the document's text, counted in characters (Unicode scalar values) from 0.
    pub start: u32,
    /// Where it ends: the character behind its last one.
    pub end: u32,
    /// What it says.
    pub text: String,
}

/// Which documents to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentQuery {
    /// One owner's only; none: everybody's.
    pub owner: Option<UserId>,
    /// Those uploaded before this one only: where the page before ended.
    pub before: Option<DocumentId>,
    /// At most so many.
    pub limit: u32,
}

/// One page of documents, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentPage {
    /// The documents.
    pub items: Vec<Document>,
    /// Hand it back as [`DocumentQuery::before`] for the next page; none at the end.
    pub next: Option<DocumentId>,
}

/// What to look for in chunks, and in whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassageQuery {
    /// In this owner's documents only; none: in those that have no owner.
    pub owner: Option<UserId>,
    /// Words, in any order, and phrases between quotation marks. Any other sign stands between words and means nothing.
    pub text: String,
    /// At most so many passages.
    pub limit: u32,
}

/// A chunk that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// The chunk.
    pub chunk: Chunk,
    /// What its document is called.
    pub title: String,
    /// How much of what was looked for it has: the sum of the [weights](crate::documents::words::weight) of its words.
    /// Larger is better; it compares passages of one search only.
    pub score: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_spelt_the_same_everywhere() {
        for kind in MediaType::ALL {
            assert_eq!(kind.as_str().parse::<MediaType>().unwrap(), kind);
        }
        let e = "application/pdf".parse::<MediaType>().unwrap_err();
        assert_eq!(e.field(), Some("media_type"));
        assert!(e.to_string().contains("text/plain, text/markdown, text/html"), "{e}");
    }

    #[test]
    fn the_kind_of_a_file_is_what_its_sender_says_or_what_its_name_ends_with() {
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
