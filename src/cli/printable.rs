//! Texts of others on a terminal. Names of hosts, processes and models, and the words of servers, may hold control characters
//! that steer a terminal, and marks that show a text in another order than it has.

use std::fmt::{self, Display, Write};

/// A value as a terminal may show it: control characters other than line breaks, and marks of the direction of text
/// (Unicode Standard Annex 9), become U+FFFD.
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

/// Whether a character steers a terminal, or the order in which text is shown.
pub(crate) fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        // The separators of lines and paragraphs.
        || matches!(c, '\u{2028}' | '\u{2029}')
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
    fn what_steers_a_terminal_is_replaced_and_text_is_not() {
        let hostile = "a\u{1b}[2Jb\u{9b}c\rd\u{7f}e\u{202e}f\u{2066}g\u{200f}h\ti\nj";
        assert_eq!(
            Printable(hostile).to_string(),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}g\u{fffd}h\u{fffd}i\nj"
        );
        assert_eq!(printable("i\nj"), "i\u{fffd}j");
        let plain = "grüezi 🦀 العربية עברית\nnext";
        assert_eq!(Printable(plain).to_string(), plain);
    }
}
