//! The text of an HTML page, as far as it is there to be read.
//!
//! Tokens are read one after the other and no tree is built, so a page that nests a million deep is no danger.

use html5gum::{DefaultEmitter, Token, Tokenizer};

/// The text of a page: entities decoded, white space as a browser would show it, an empty line between paragraphs.
pub(super) fn text_of(page: &str) -> String {
    let mut emitter = DefaultEmitter::default();
    // What stands in scripts and styles is no markup.
    emitter.naively_switch_states(true);
    let mut text = Text::default();
    for token in Tokenizer::new_with_emitter(page, emitter) {
        match token {
            Ok(Token::StartTag(tag)) => text.begin(&tag.name),
            Ok(Token::EndTag(tag)) => text.end(&tag.name),
            Ok(Token::String(said)) => text.say(&String::from_utf8_lossy(&said)),
            Ok(Token::Comment(_) | Token::Doctype(_) | Token::Error(_)) => {}
            // The page is in memory: there is nothing to fail.
            Err(never) => match never {},
        }
    }
    text.said
}

/// What stands between two words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Line,
    Paragraph,
}

#[derive(Debug, Default)]
struct Text {
    said: String,
    /// What comes before the next word.
    gap: Gap,
    /// How many elements are open within which white space is kept.
    kept: u32,
    /// Whether an element is open that nobody reads.
    hidden: bool,
}

impl Text {
    fn begin(&mut self, tag: &[u8]) {
        self.gap = self.gap.max(gap_of(tag));
        match tag {
            b"pre" => self.kept += 1,
            b"script" | b"style" => self.hidden = true,
            _ => {}
        }
    }

    fn end(&mut self, tag: &[u8]) {
        self.gap = self.gap.max(gap_of(tag));
        match tag {
            b"pre" => self.kept = self.kept.saturating_sub(1),
            b"script" | b"style" => self.hidden = false,
            _ => {}
        }
    }

    fn say(&mut self, text: &str) {
        if self.hidden {
            return;
        }
        for c in text.chars() {
            if c.is_whitespace() && (self.kept == 0 || self.gap != Gap::None) {
                self.gap = self.gap.max(Gap::Space);
                continue;
            }
            self.close_gap();
            self.said.push(c);
        }
    }

    fn close_gap(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        if self.said.is_empty() {
            return;
        }
        self.said.push_str(match gap {
            Gap::None => "",
            Gap::Space => " ",
            Gap::Line => "\n",
            Gap::Paragraph => "\n\n",
        });
    }
}

/// What the beginning or the end of an element puts between what stands before and after it.
fn gap_of(tag: &[u8]) -> Gap {
    match tag {
        b"td" | b"th" => Gap::Space,
        b"br" | b"li" | b"tr" | b"dt" | b"dd" | b"option" => Gap::Line,
        b"address" | b"article" | b"aside" | b"blockquote" | b"body" | b"caption" | b"details"
        | b"dialog" | b"div" | b"dl" | b"fieldset" | b"figcaption" | b"figure" | b"footer" | b"form"
        | b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" | b"head" | b"header" | b"hr" | b"html"
        | b"legend" | b"main" | b"nav" | b"ol" | b"p" | b"pre" | b"section" | b"select" | b"summary"
        | b"table" | b"textarea" | b"title" | b"ul" => Gap::Paragraph,
        _ => Gap::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_it_is_seen() {
        let page = "<!doctype html><html><head><title>A &amp; B</title><style>p { color: red }</style>\
            <script>if (a < b) { alert('</p>') }</script></head><body>\n<h1>One</h1><p>Two <b>th</b>ree\n four.</p>\
            <ul><li>a<li>b</ul><table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>\
            <pre>x  =\n  1</pre><!-- hidden --><p>f&uuml;nf<br>sechs</body></html>";
        let expected = "A & B\n\nOne\n\nTwo three four.\n\na\nb\n\n1 2\n3\n\nx  =\n  1\n\nfünf\nsechs";
        assert_eq!(text_of(page), expected);
    }

    #[test]
    fn bad_pages_are_read_as_far_as_they_go() {
        for (page, text) in [
            ("", ""),
            ("<", "<"),
            ("plain", "plain"),
            ("a < b & c &unknown; &#x110000; </", "a < b & c &unknown; \u{fffd} </"),
            ("<p>a</p></p></div></pre> b", "a\n\nb"),
            ("<script>never ends", ""),
            ("<!-- never ends", ""),
            ("<p title=\"never ends", ""),
            ("a\u{0}b", "a\u{0}b"),
        ] {
            assert_eq!(text_of(page), text, "{page:?}");
        }
    }

    #[test]
    fn no_page_is_too_deep_and_none_grows_much() {
        for part in
            ["<div>", "</p>", "<a b=c ", "&amp;", "<pre>\n", "<li>a", "<td>ü", "<![CDATA[", "<!--", "&nGt;"]
        {
            let page = part.repeat(1_000_000 / part.len());
            assert!(text_of(&page).len() < 2 * page.len(), "{part}");
        }
    }
}
