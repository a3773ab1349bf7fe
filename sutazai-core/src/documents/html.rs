//! Text extraction from HTML pages, limited to what a reader of the page sees.
//!
//! Tokens are processed one by one without building a tree, so that a page with a million nested elements needs no deep
//! stack.

use html5gum::{DefaultEmitter, Token, Tokenizer};

use super::elements::Elements;

/// Returns the text of a page: entities decoded, white space as a browser shows it, an empty line between paragraphs.
pub(super) fn text_of(page: &str) -> String {
    let mut emitter = DefaultEmitter::default();
    // The tokenizer must know that the content of scripts and styles is not markup.
    emitter.naively_switch_states(true);
    let mut text = Text::default();
    for token in Tokenizer::new_with_emitter(page, emitter) {
        match token {
            Ok(Token::StartTag(tag)) => {
                if text.elements.begin(&tag) {
                    text.part(&tag.name);
                }
            }
            Ok(Token::EndTag(tag)) => {
                if text.elements.end(&tag.name) {
                    text.part(&tag.name);
                }
            }
            Ok(Token::String(said)) => text.say(&String::from_utf8_lossy(&said)),
            Ok(Token::Comment(_) | Token::Doctype(_) | Token::Error(_)) => {}
            // The page is in memory, so reading it cannot fail.
            Err(never) => match never {},
        }
    }
    text.said
}

/// Separator between two words, in ascending strength.
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
    /// Separator before the next word.
    gap: Gap,
    elements: Elements,
}

impl Text {
    /// Adds the separator that the start or end of an element causes.
    fn part(&mut self, tag: &[u8]) {
        self.gap = self.gap.max(gap_of(tag));
    }

    fn say(&mut self, text: &str) {
        if !self.elements.are_seen() {
            return;
        }
        for c in text.chars() {
            if c.is_whitespace() && (!self.elements.keep_space() || self.gap != Gap::None) {
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

/// Returns the separator that the start or end of an element causes.
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
    fn visible_text_of_a_page_is_read() {
        let page = "<!doctype html><html><head><title>A &amp; B</title><style>p { color: red }</style>\
            <script>if (a < b) { alert('</p>') }</script></head><body>\n<h1>One</h1><p>Two <b>th</b>ree\n four.</p>\
            <ul><li>a<li>b</ul><table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>\
            <pre>x  =\n  1</pre><!-- hidden --><p>f&uuml;nf<br>sechs</body></html>";
        let expected = "A & B\n\nOne\n\nTwo three four.\n\na\nb\n\n1 2\n3\n\nx  =\n  1\n\nfünf\nsechs";
        assert_eq!(text_of(page), expected);
    }

    #[test]
    fn hidden_text_is_not_read() {
        for page in [
            "a<p hidden>X</p>b",
            "a<p HIDDEN=''>X <b>Y</b></p>b",
            "a<div hidden>X<div>Y</div>Z</div>b",
            "a<template><p>X</p></template>b",
            "a<template style='display:block'>X</template>b",
            "a<span style='DISPLAY : None'>X</span>b",
            "a<span style='color:red;display:none !important;display:block'>X</span>b",
            "a<span style='display:none/* not yet */'>X</span>b",
            "a<span style='/* ; */display/**/: /**/none; /* never ends: display:block'>X</span>b",
            "a<span style='visibility:hidden'>X</span>b",
            "a<span style='content-visibility:hidden'>X</span>b",
            "a<dialog>X</dialog>b",
            "a<div popover>X</div>b",
            "a<noscript><p>X</p></noscript>b",
            "a<iframe>X</iframe>b",
            "a<datalist><option>X</datalist>b",
            "a<svg><title>X</title><defs><text>Y</text></defs></svg>b",
            "a<canvas>X</canvas>b",
            "a<meter value=2 max=10>X</meter><progress>Y</progress>b",
            "a<b hidden>X</b>b",
            "a<section hidden><p>X<p>Y<ul><li>Z</ul></section>b",
            "a<span hidden><template></span>X</template>Y</span>b",
            "a<span style='visibility:hidden'>X<i style='visibility:visible'>b</i></span>",
            "<body hidden>ab",
        ] {
            assert_eq!(text_of(page), "ab", "{page}");
        }
    }

    #[test]
    fn visible_text_stays() {
        for (page, text) in [
            ("<dialog open>a</dialog>b", "a\n\nb"),
            ("<details><summary>a</summary>b</details>", "a\n\nb"),
            ("<p hidden=until-found>a</p>b", "a\n\nb"),
            ("<p hidden style='display:block'>a</p>b", "a\n\nb"),
            ("<p style='display:none;display:block'>a</p>b", "a\n\nb"),
            ("<p style='--display:none'>a</p>b", "a\n\nb"),
            ("<p style='/* display:none */ color:red'>a</p>b", "a\n\nb"),
            ("<p style='display:no/**/ne'>a</p>b", "a\n\nb"),
            ("<p aria-hidden=true data-hidden>a</p>b", "a\n\nb"),
            // Elements that a page leaves open end by the rules of HTML.
            ("<p hidden>X<p>a<div>b</div>", "a\n\nb"),
            ("<div><p hidden>X</div>a", "a"),
            ("<ul><li hidden>X<li>a<ul><li hidden>Y</ul><li>b</ul>", "a\n\nb"),
            ("<dl><dt hidden>X<dd>a<dt>b</dl>", "a\nb"),
            ("<table><tr hidden><td>X<tr><td hidden>Y<td>a<tr><td>b</table>", "a\nb"),
            ("<table><tr><td><div hidden>X</table>a", "a"),
            ("<select><option hidden>X<option>a<option>b</select>", "a\nb"),
            ("<p hidden/>X</p>a<br hidden/>b", "ab"),
            ("<svg><g hidden/><text>a</text></svg>b", "ab"),
            ("<b hidden>X<p>Y</b>a</p>b", "a\n\nb"),
            ("<span hidden>X</span></span></div>a<img hidden>b", "ab"),
            ("<input type=hidden hidden>a<hr hidden>b", "ab"),
            ("<ruby>a<rp>(</rp><rt>b</rt><rp>)</rp></ruby>", "ab"),
            ("<object>a</object><video>X</video>b", "ab"),
        ] {
            assert_eq!(text_of(page), text, "{page}");
        }
    }

    #[test]
    fn pages_that_nest_too_deep_are_followed_as_far_as_browsers_do() {
        let deep = |depth: usize, inner: &str| {
            format!("{}{inner}{}z", "<div>".repeat(depth), "</div>".repeat(depth))
        };
        assert_eq!(text_of(&deep(511, "a<i hidden>X</i>b")), "ab\n\nz");
        assert_eq!(text_of(&deep(5_000, "a<i>b</i>")), "ab\n\nz");
        assert_eq!(text_of(&format!("<p hidden>{}X{}</p>z", "<i>".repeat(5_000), "</i>".repeat(5_000))), "z");
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
        for part in [
            "<div>",
            "</p>",
            "<a b=c ",
            "&amp;",
            "<pre>\n",
            "<li>a",
            "<td>ü",
            "<![CDATA[",
            "<!--",
            "&nGt;",
            "<b><p>",
            "</b>",
        ] {
            let page = part.repeat(1_000_000 / part.len());
            assert!(text_of(&page).len() < 2 * page.len(), "{part}");
        }
    }
}
