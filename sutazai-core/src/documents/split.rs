//! Splitting of a text into chunks: short enough to be shown, long enough to be meaningful, cut at boundaries of the
//! text.
//!
//! Each character is examined a bounded number of times. Splitters that weigh whole texts need quadratic time for some
//! of them, and these texts come from untrusted callers.

/// Maximum length of a chunk in characters: some paragraphs, about 250 tokens. Small models can be shown several of
/// them, and a match is near the top of its chunk.
pub(super) const LONGEST: usize = 1_000;
/// Minimum length of a chunk in characters except the last, so that short paragraphs stay together.
const SHORTEST: usize = LONGEST / 2;
/// Maximum overlap in characters of a chunk that ends within a paragraph with the next one: about a sentence, which is
/// then complete in one of them.
const SHARED: usize = 100;

/// One piece of a text, which becomes a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'t> {
    /// Offset of its first character in the text, in characters.
    pub(super) start: usize,
    /// Offset behind its last character, in characters.
    pub(super) end: usize,
    /// Text of the piece without surrounding white space.
    pub(super) text: &'t str,
}

/// Splits a text into its pieces, in order; those of Markdown begin at headings where possible. Pieces of white space
/// alone are left out.
pub(super) fn split(text: &str, is_markdown: bool) -> impl Iterator<Item = Piece<'_>> {
    Pieces { rest: text.trim_end(), start: 0, is_markdown }
}

/// Quality of a boundary at which a text can be cut, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seam {
    Character,
    Word,
    Sentence,
    Line,
    Paragraph,
    Heading,
}

struct Pieces<'t> {
    rest: &'t str,
    /// Number of characters of the text before the rest.
    start: usize,
    is_markdown: bool,
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        let trimmed = self.rest.trim_start();
        self.pass(self.rest.len() - trimmed.len());
        if self.rest.is_empty() {
            return None;
        }
        let (seam, end) = self.cut();
        let text = self.rest[..end].trim_end();
        let piece = Piece { start: self.start, end: self.start + text.chars().count(), text };
        // A piece cut at the end of a paragraph needs no overlap.
        let shared = if seam < Seam::Paragraph { shared(&self.rest[..end]) } else { 0 };
        self.pass(end - shared);
        Some(piece)
    }
}

impl Pieces<'_> {
    /// Advances the rest by this number of bytes.
    fn pass(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.start += passed.chars().count();
        self.rest = rest;
    }

    /// Returns the best boundary within the limits and its offset in bytes; the last of equally good ones. The rest
    /// must not begin with white space.
    fn cut(&self) -> (Seam, usize) {
        let mut best = (Seam::Character, 0);
        // State before the current character: the latest character that is no white space, whether white space followed
        // it, and the number of line breaks in that.
        let (mut last, mut spaced, mut lines) = (' ', false, 0);
        for (count, (at, c)) in self.rest.char_indices().take(LONGEST + 1).enumerate() {
            if c.is_whitespace() {
                spaced = true;
                lines += usize::from(c == '\n');
            } else {
                let seam = self.seam(at, last, spaced, lines);
                if count >= SHORTEST && seam >= best.0 {
                    best = (seam, at);
                }
                (last, spaced, lines) = (c, false, 0);
            }
            if count == LONGEST {
                // A cut in a long run of white space separates as well as the end of a paragraph.
                return if best.1 == 0 { (Seam::Paragraph, at) } else { best };
            }
        }
        (Seam::Heading, self.rest.len())
    }

    /// Returns the quality of the boundary before the character at `at`, which is no white space.
    fn seam(&self, at: usize, last: char, spaced: bool, lines: usize) -> Seam {
        match lines {
            0 if matches!(last, '。' | '！' | '？') => Seam::Sentence,
            0 if spaced && matches!(last, '.' | '!' | '?' | '…') => Seam::Sentence,
            0 if spaced => Seam::Word,
            0 => Seam::Character,
            _ if self.is_markdown && is_heading(&self.rest[at..]) => Seam::Heading,
            1 => Seam::Line,
            _ => Seam::Paragraph,
        }
    }
}

/// Returns whether a line of Markdown is a heading (CommonMark 4.2). A comment in source code may look the same, and is
/// as good a boundary.
fn is_heading(line: &str) -> bool {
    let after = line.trim_start_matches('#');
    (1..=6).contains(&(line.len() - after.len())) && after.starts_with([' ', '\t', '\n', '\r'])
}

/// Returns how many bytes at the end of a piece are repeated by the next one, in whole words.
fn shared(piece: &str) -> usize {
    let (mut shared, mut after) = (0, None);
    for (at, c) in piece.char_indices().rev().take(SHARED) {
        if c.is_whitespace() && after.is_some_and(|c: char| !c.is_whitespace()) {
            shared = piece.len() - at - c.len_utf8();
        }
        after = Some(c);
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, is_markdown: bool) -> Vec<Piece<'_>> {
        split(text, is_markdown).collect()
    }

    /// Checks that pieces have the stated offsets, are not too long, and together leave out only white space.
    fn check(text: &str) {
        for is_markdown in [false, true] {
            let characters: Vec<char> = text.chars().collect();
            let mut covered = 0;
            for piece in pieces(text, is_markdown) {
                assert_eq!(characters[piece.start..piece.end].iter().collect::<String>(), piece.text);
                assert!((1..=LONGEST).contains(&(piece.end - piece.start)), "{piece:?}");
                assert_eq!(piece.text, piece.text.trim());
                assert!(piece.end > covered, "{piece:?} adds nothing");
                if piece.start > covered {
                    assert!(characters[covered..piece.start].iter().all(|c| c.is_whitespace()));
                }
                covered = piece.end;
            }
            assert!(characters[covered..].iter().all(|c| c.is_whitespace()));
        }
    }

    #[test]
    fn every_text_is_covered_by_pieces_that_fit() {
        let long = "word ".repeat(900);
        for text in [
            "",
            " \n\t ",
            "One.",
            "  One. Two!  ",
            "x",
            &"x".repeat(LONGEST),
            &"x".repeat(LONGEST + 1),
            &"ü".repeat(3 * LONGEST),
            &long,
            &long.trim_end().replace(' ', "\n"),
            &format!("a{}b", " ".repeat(5 * LONGEST)),
            &format!("a{}", "\n".repeat(5 * LONGEST)),
            &"文字。".repeat(LONGEST),
            &"# h\r\n\r\ntext 🦀 text\r\n".repeat(200),
            &format!("{}{}", "a ".repeat(SHORTEST), "b".repeat(2 * LONGEST)),
        ] {
            check(text);
        }
    }

    #[test]
    fn piece_ends_at_a_boundary_of_the_text() {
        let sentence = format!("{}. ", "word ".repeat(30).trim_end());
        let paragraph = sentence.repeat(4);
        let paragraphs = [paragraph.trim_end(); 4].join("\n\n");
        let found = pieces(&paragraphs, false);
        assert_eq!(found.len(), 4);
        assert!(found.iter().all(|piece| piece.text == paragraph.trim_end()));

        let lines = [sentence.trim_end(); 12].join("\n");
        let found = pieces(&lines, false);
        assert!(found.len() >= 2 && found.iter().all(|piece| piece.text.ends_with('.')));
    }

    #[test]
    fn markdown_is_cut_at_headings() {
        let section = |name: &str| format!("## {name}\n\n{}\n\n{}\n\n", "a ".repeat(200), "b ".repeat(100));
        let text = [section("One"), section("Two"), section("Three")].concat();
        let begins = |is_markdown| {
            let found = pieces(&text, is_markdown);
            found.iter().filter(|piece| piece.text.starts_with("## ")).count()
        };
        assert_eq!((begins(true), begins(false)), (3, 1));
        assert!(
            is_heading("# One") && is_heading("######\n") && !is_heading("#One") && !is_heading("####### x")
        );
    }

    #[test]
    fn cut_within_a_paragraph_is_marked_on_both_sides() {
        let text: String = (0..400).map(|n| format!("word{n} ")).collect();
        let found = pieces(&text, false);
        for two in found.windows(2) {
            let shared = two[0].end - two[1].start;
            assert!((1..=SHARED).contains(&shared), "{shared}");
            assert!(two[1].text.starts_with("word"));
        }
        let solid = "x".repeat(2_500);
        assert_eq!(
            pieces(&solid, false).iter().map(|piece| piece.start).collect::<Vec<_>>(),
            [0, 1_000, 2_000]
        );
    }

    #[test]
    fn texts_that_repeat_themselves_come_to_an_end() {
        // An algorithm with quadratic time would not finish.
        for part in ["\n", " ", "a", "a\n", "word ", "# ", "- a\n", "> ", "[", "👨‍👩‍👧", "\u{301}", "。"]
        {
            check(&part.repeat(1_000_000 / part.len()));
        }
    }
}
