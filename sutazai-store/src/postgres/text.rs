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
pub(super) fn kept<'t>(text: impl Into<Cow<'t, str>>) -> Cow<'t, str> {
    let text = text.into();
    if text.contains(['\0', MARK]) { text.replace(MARK, MARK_ITSELF).replace('\0', NUL).into() } else { text }
}

/// Restores stored text to its original form.
pub(super) fn given(text: &str) -> Cow<'_, str> {
    if text.contains(MARK) {
        text.replace(NUL, "\0").replace(MARK_ITSELF, "\u{10ffff}").into()
    } else {
        text.into()
    }
}

/// Serializes a value to JSON, escaped for storage.
pub(super) fn json<T: Serialize>(value: &T) -> StoreResult<String> {
    Ok(kept_json(serde_json::to_string(value)?).into_owned())
}

/// Escapes JSON for storage.
pub(super) fn kept_json<'t>(json: impl Into<Cow<'t, str>>) -> Cow<'t, str> {
    let mut text = json.into();
    if text.contains(MARK) {
        text = text.replace(MARK, MARK_ITSELF).into();
    }
    if !text.contains("\\u0000") {
        return text;
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = &*text;
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
    kept.into()
}

/// Restores stored JSON to its original form.
pub(super) fn given_json(kept: &str) -> Cow<'_, str> {
    if kept.contains(MARK) {
        kept.replace(NUL, "\\u0000").replace(MARK_ITSELF, "\u{10ffff}").into()
    } else {
        kept.into()
    }
}

/// Parses JSON from a column.
pub(super) fn from_json<T: DeserializeOwned>(kept: &str) -> StoreResult<T> {
    Ok(serde_json::from_str(&given_json(kept))?)
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
            assert_eq!(given(&stored), text);
            let value = serde_json::json!({ text: [text, 1] });
            let stored = json(&value).unwrap();
            let escapes = stored.replace("\\\\", "");
            assert!(!escapes.contains("\\u0000"), "{stored}");
            assert_eq!(from_json::<serde_json::Value>(&stored).unwrap(), value);
        }
    }
}
