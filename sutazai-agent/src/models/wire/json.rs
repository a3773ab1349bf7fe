//! Parser of JSON documents that a server sent.

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use sutazai_core::{Error, Result};

/// Parses a document. The error contains `complaint`, the kind of problem and its position, but nothing of the
/// document: that may be private text of a model, and errors are logged.
///
/// # Errors
/// `Unavailable` when the document is not JSON or does not match `T`.
pub(in crate::models) fn read_json<T: DeserializeOwned>(bytes: &[u8], complaint: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| {
        let what = match e.classify() {
            Category::Data => "something unexpected",
            Category::Eof => "the end too early",
            Category::Syntax | Category::Io => "no JSON",
        };
        let (line, column) = (e.line(), e.column());
        Error::unavailable(format!("{complaint} ({what} at line {line}, column {column})"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn errors_state_the_position_and_no_content() {
        for (bytes, what) in [
            (&br#"{"secret":"secret"}"#[..], "something unexpected at line 1, column 0"),
            (b"\"secret\"", "something unexpected at line 1, column 8"),
            (b"[1, secret", "no JSON at line 1, column 5"),
            (b"[1,", "the end too early at line 1, column 3"),
        ] {
            let e = read_json::<Vec<u8>>(bytes, "no answer").unwrap_err();
            assert_eq!(e.message(), format!("no answer ({what})"));
            assert!(!format!("{e:?}").contains("secret"), "{e:?}");
        }
        assert_eq!(read_json::<Value>(b"[1]", "no answer").unwrap()[0], 1);
    }
}
