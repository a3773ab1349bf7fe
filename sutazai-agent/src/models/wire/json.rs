//! JSON that a server sent.

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use sutazai_core::{Error, Result};

/// Reads a document. Where it is none of the protocol, the error says `complaint` and where, and nothing of what the
/// server sent: that may be what a model wrote about private matters, and errors are logged.
///
/// # Errors
/// `Unavailable`.
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
    fn errors_say_where_and_not_what() {
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
