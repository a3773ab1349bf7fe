//! Texts of others on a terminal. Names of hosts, processes and models, and the words of servers, may hold control characters
//! that steer a terminal, and marks that show a text in another order than it has.

use std::fmt::{self, Display, Write};

/// Longest name that is shown, in characters.
const MAX_NAME: usize = 60;

/// A value as a terminal may show it: control characters other than line breaks, marks of the direction of text (Unicode
/// Standard Annex 9) and characters that nobody sees become U+FFFD.
pub(crate) struct Printable<T>(pub(crate) T);

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Replacing(f), "{}", self.0)
    }
}

/// The text with whatever steers a terminal replaced, line breaks too.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_steering(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A name that a machine, a kernel or an engine gives itself, as the findings show names of processes: letters, digits,
/// `._/:@+-` and single blanks are kept, everything else becomes `_`, and it is cut after 60 characters.
pub(crate) fn name(text: &str) -> String {
    let mut clean = String::new();
    for c in text.trim().chars().take(MAX_NAME) {
        match c {
            ' ' if clean.ends_with(' ') => {}
            c if c.is_ascii_alphanumeric() || " ._/:@+-".contains(c) => clean.push(c),
            _ => clean.push('_'),
        }
    }
    if clean.is_empty() { "unnamed".to_owned() } else { clean }
}

/// Whether a character steers a terminal or the order in which text is shown, or is not seen, so that two texts look the
/// same that are not: `Default_Ignorable_Code_Point` of the Unicode Character Database, and the separators of lines and
/// paragraphs.
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
    fn names_of_machines_are_cleaned_like_those_of_processes() {
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
    fn what_steers_a_terminal_is_replaced_and_text_is_not() {
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
