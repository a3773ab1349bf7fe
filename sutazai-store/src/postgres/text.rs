//! Escapes text for PostgreSQL, which can store U+0000 neither in `text` nor in `jsonb`.
//!
//! U+0000 is written as U+10FFFF and `0`, and U+10FFFF itself as U+10FFFF and `1`. U+10FFFF is a
//! noncharacter, not intended for interchange (Unicode 23.7), so hardly any text is changed. The alternative,
//! `bytea`, would give up text search and JSON operators.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreResult;

const MARK: char = '\u{10ffff}';
const NUL: &str = "\u{10ffff}0";
const MARK_ITSELF: &str = "\u{10ffff}1";

/// Escapes text for storage.
pub(super) fn kept(text: &str) -> Cow<'_, str> {
    if text.contains(['\0', MARK]) {
        text.replace(MARK, MARK_ITSELF).replace('\0', NUL).into()
    } else {
        text.into()
    }
}

/// Restores stored text to its original form.
pub(super) fn given(text: String) -> String {
    if text.contains(MARK) { text.replace(NUL, "\0").replace(MARK_ITSELF, "\u{10ffff}") } else { text }
}

/// Serializes a value to JSON, escaped for storage.
pub(super) fn json<T: Serialize>(value: &T) -> StoreResult<String> {
    let text = serde_json::to_string(value)?;
    let text = if text.contains(MARK) { text.replace(MARK, MARK_ITSELF) } else { text };
    if !text.contains("\\u0000") {
        return Ok(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        kept.push_str(before);
        // A backslash is followed by ASCII, so slicing is safe. Escapes are skipped whole, because an escaped
        // backslash may precede the letters of one.
        rest = match escape.strip_prefix("\\u0000") {
            Some(after) => {
                kept.push_str(NUL);
                after
            }
            None => {
                kept.push_str(&escape[..2]);
                &escape[2..]
            }
        };
    }
    kept.push_str(rest);
    Ok(kept)
}

/// Parses JSON from a column.
pub(super) fn from_json<T: DeserializeOwned>(kept: &str) -> StoreResult<T> {
    if !kept.contains(MARK) {
        return Ok(serde_json::from_str(kept)?);
    }
    let text = kept.replace(NUL, "\\u0000").replace(MARK_ITSELF, "\u{10ffff}");
    Ok(serde_json::from_str(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_restored_unchanged() {
        for text in
            ["", "plain", "\0", "a\0\0b", "\u{10ffff}", "\u{10ffff}0", "\0\u{10ffff}1\\u0000", "\\\0\"\n"]
        {
            let stored = kept(text);
            assert!(!stored.contains('\0'));
            assert_eq!(given(stored.into_owned()), text);
            let value = serde_json::json!({ text: [text, 1] });
            let stored = json(&value).unwrap();
            let escapes = stored.replace("\\\\", "");
            assert!(!escapes.contains("\\u0000"), "{stored}");
            assert_eq!(from_json::<serde_json::Value>(&stored).unwrap(), value);
        }
    }
}
