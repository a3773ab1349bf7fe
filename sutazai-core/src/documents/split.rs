//! A text in pieces: short enough to be shown, long enough to say something, cut where the text itself is cut.
//!
//! It looks at each character a bounded number of times. Splitters that weigh whole texts need time by the square of the length
//! for some of them, and these texts are written by strangers.

/// The longest piece, in characters: some paragraphs, about 250 tokens. Small models can be shown several of them, and what is
/// found stands near the top of the piece.
pub(super) const LONGEST: usize = 1_000;
/// The shortest piece that is cut off, in characters, so that short paragraphs stay together.
const SHORTEST: usize = LONGEST / 2;
/// How many characters at most of a piece that ends within a paragraph are said again by the next one: about a sentence, which
/// then is whole in one of them.
const SHARED: usize = 100;

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'t> {
    /// Where it begins in the text, in characters.
    pub(super) start: usize,
    /// Where it ends: the character behind its last one.
    pub(super) end: usize,
    /// What it says, without white space around it.
    pub(super) text: &'t str,
}

/// The pieces of a text in their order; those of Markdown begin at headings where they can. White space alone is no piece.
pub(super) fn split(text: &str, is_markdown: bool) -> impl Iterator<Item = Piece<'_>> {
    Pieces { rest: text.trim_end(), start: 0, is_markdown }
}

/// How well a text can be cut at a place; the later in this list, the better.
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
    /// How many characters of the text stand before the rest.
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
        // What is cut at a paragraph's end needs nothing of it to be understood.
        let shared = if seam < Seam::Paragraph { shared(&self.rest[..end]) } else { 0 };
        self.pass(end - shared);
        Some(piece)
    }
}

impl Pieces<'_> {
    /// Leaves so many bytes behind.
    fn pass(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.start += passed.chars().count();
        self.rest = rest;
    }

    /// The best place to cut the rest at, the last of several that are as good, in bytes. The rest begins with something else
    /// than white space.
    fn cut(&self) -> (Seam, usize) {
        let mut best = (Seam::Character, 0);
        // What stands before the character that is looked at: the latest that is no white space, whether there was any since
        // then, and how many line breaks.
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
                // White space all the way separates as well as the end of a paragraph.
                return if best.1 == 0 { (Seam::Paragraph, at) } else { best };
            }
        }
        (Seam::Heading, self.rest.len())
    }

    /// How well the rest can be cut before its character at `at`, which is no white space.
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

/// Whether a line of Markdown that begins like this is a heading (CommonMark 4.2). A comment in a program looks the same, and
/// is as good a place to cut it at.
fn is_heading(line: &str) -> bool {
    let after = line.trim_start_matches('#');
    (1..=6).contains(&(line.len() - after.len())) && after.starts_with([' ', '\t', '\n', '\r'])
}

/// How many bytes of a piece's end the next one begins with: whole words.
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

    /// Each piece stands where it says, none is too long, and together they leave out nothing but white space.
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
    fn a_piece_ends_where_the_text_ends_something() {
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
    fn a_cut_within_a_paragraph_is_seen_from_both_sides() {
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
        // Work by the square of the length would not.
        for part in ["\n", " ", "a", "a\n", "word ", "# ", "- a\n", "> ", "[", "👨‍👩‍👧", "\u{301}", "。"]
        {
            check(&part.repeat(1_000_000 / part.len()));
        }
    }
}
