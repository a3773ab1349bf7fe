//! Decoding of uploaded files: UTF-8, or UTF-16 with a byte order mark, which takes precedence over any declared
//! charset.

use std::borrow::Cow;

use crate::error::{Error, Result};

/// Decodes a file into text.
///
/// # Errors
/// `InvalidInput` naming `file` and the offset of the first invalid byte.
pub(super) fn decode(file: &[u8]) -> Result<Cow<'_, str>> {
    match file {
        [0xfe, 0xff, rest @ ..] => utf_16(rest, u16::from_be_bytes).map(Cow::Owned),
        [0xff, 0xfe, rest @ ..] => utf_16(rest, u16::from_le_bytes).map(Cow::Owned),
        _ => {
            let text = std::str::from_utf8(file).map_err(|e| {
                let expected = "expected a text in UTF-8, or in UTF-16 with a byte order mark";
                refused(format!("{expected}, got something else at byte {}", e.valid_up_to()))
            })?;
            Ok(text.strip_prefix('\u{feff}').unwrap_or(text).into())
        }
    }
}

/// Decodes the UTF-16 text behind the byte order mark.
fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String> {
    let mut text = String::with_capacity(bytes.len());
    let pairs = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let mut at = 2;
    let broken = |at: usize| refused(format!("expected a text in UTF-16, got something else at byte {at}"));
    for c in char::decode_utf16(pairs) {
        let c = c.map_err(|_| broken(at))?;
        text.push(c);
        at += 2 * c.len_utf16();
    }
    if bytes.len() % 2 == 1 {
        return Err(broken(at));
    }
    Ok(text)
}

fn refused(why: String) -> Error {
    Error::invalid("file", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        format!("\u{feff}{text}").encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn texts_are_read_with_and_without_a_byte_order_mark() {
        let text = "Größe 🦀\nकी";
        assert_eq!(decode(text.as_bytes()).unwrap(), text);
        assert_eq!(decode(format!("\u{feff}{text}").as_bytes()).unwrap(), text);
        assert_eq!(decode(&bytes(text, u16::to_le_bytes)).unwrap(), text);
        assert_eq!(decode(&bytes(text, u16::to_be_bytes)).unwrap(), text);
        assert_eq!(decode(&bytes("", u16::to_be_bytes)).unwrap(), "");
    }

    #[test]
    fn invalid_utf_8_is_reported_with_its_offset() {
        let mut halved = bytes("a🦀", u16::to_le_bytes);
        halved.truncate(6);
        for (file, told) in [
            (&b"abc\xff"[..], "at byte 3"),
            (&[0xfe, 0xff, 0, b'a', 0], "UTF-16, got something else at byte 4"),
            (&[0xff, 0xfe, b'a', 0, 0, 0xdc], "at byte 4"),
            (&halved, "at byte 4"),
        ] {
            let e = decode(file).unwrap_err();
            assert_eq!(e.field(), Some("file"));
            assert!(e.to_string().contains(told), "{e}");
        }
    }
}
