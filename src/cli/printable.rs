//! Makes untrusted texts safe for a terminal. Names of hosts, processes and models, and messages of servers, may
//! contain control characters, or marks that change the displayed order of text.

use std::fmt::{self, Display, Write};

/// Maximum length of a name that is shown, in characters.
const MAX_NAME_CHARS: usize = 60;

/// Displays a value with control characters other than line breaks, bidirectional marks (Unicode Standard Annex 9)
/// and invisible characters replaced by U+FFFD.
pub(crate) struct Printable<T>(pub(crate) T);

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Replacing(f), "{}", self.0)
    }
}

/// Replaces all such characters in the text, line breaks included.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_steering(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Cleans a name of a machine, a kernel or an engine in the same way as findings clean names of processes: keeps
/// letters, digits, `._/:@+-` and single spaces, replaces everything else by `_`, and cuts it after 60 characters.
pub(crate) fn name(text: &str) -> String {
    let mut clean = String::new();
    for c in text.trim().chars().take(MAX_NAME_CHARS) {
        match c {
            ' ' if clean.ends_with(' ') => {}
            c if c.is_ascii_alphanumeric() || " ._/:@+-".contains(c) => clean.push(c),
            _ => clean.push('_'),
        }
    }
    if clean.is_empty() { "unnamed".to_owned() } else { clean }
}

/// Returns whether a character controls the terminal or the order of text, or is invisible, so that two
/// different texts would look the same: `Default_Ignorable_Code_Point` of the Unicode Character Database, and
/// the line and paragraph separators.
pub(crate) fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

struct Replacing<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Replacing<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.split_inclusive(|c| c != '\n' && is_steering(c)).try_for_each(|part| {
            let end = part.char_indices().next_back().filter(|(_, c)| *c != '\n' && is_steering(*c));
            match end {
                Some((at, _)) => {
                    self.0.write_str(&part[..at])?;
                    self.0.write_char(char::REPLACEMENT_CHARACTER)
                }
                None => self.0.write_str(part),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_names_are_cleaned_like_process_names() {
        for (text, clean) in [
            ("web-1.example.org", "web-1.example.org"),
            ("6.1.0-18-amd64", "6.1.0-18-amd64"),
            ("docker  24.0.7", "docker 24.0.7"),
            ("a\u{202e}b\u{1b}[2J\u{200b}c\nd", "a_b__2J_c_d"),
            ("", "unnamed"),
        ] {
            assert_eq!(name(text), clean, "{text:?}");
        }
        assert_eq!(name(&"x".repeat(500)).len(), 60);
    }

    #[test]
    fn control_characters_are_replaced_and_text_is_kept() {
        let hostile = "a\u{1b}[2Jb\u{9b}c\rd\u{7f}e\u{202e}f\u{2066}g\u{200f}h\ti\nj";
        assert_eq!(
            Printable(hostile).to_string(),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}g\u{fffd}h\u{fffd}i\nj"
        );
        assert_eq!(printable("i\nj"), "i\u{fffd}j");
        for unseen in [
            '\u{200b}',
            '\u{200d}',
            '\u{2028}',
            '\u{2029}',
            '\u{202e}',
            '\u{2060}',
            '\u{ad}',
            '\u{feff}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{e0041}',
            '\u{180e}',
            '\u{34f}',
            '\u{1d173}',
        ] {
            assert_eq!(printable(&format!("a{unseen}b")), "a\u{fffd}b", "{:x}", u32::from(unseen));
        }
        let plain = "grüezi 🦀 العربية עברית\nnext";
        assert_eq!(Printable(plain).to_string(), plain);
    }
}
