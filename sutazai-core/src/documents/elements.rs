//! Open elements of a page, and whether a reader sees their content.
//!
//! Hidden from a reader are elements that browsers never render (`template`, `script`, ...), those with the attribute
//! `hidden`, closed dialogs and popovers, and elements hidden by their `style` attribute. Content that a reader can
//! unfold (`details`, `hidden=until-found`) counts as visible. Style sheets are not applied and scripts are not run:
//! pages that hide all of `body` until their scripts have run are read all the same.
//!
//! Elements end where the HTML specification says, with or without an end tag. Each records the nearest open element of
//! every kind that another tag may end, so the cost of a tag does not depend on the depth.

use html5gum::StartTag;

/// Maximum number of tracked nested elements, the same as in browsers. Deeper content is visible if the deepest tracked
/// element is.
const MAX_DEPTH: usize = 512;

/// Kinds of elements that end without an end tag when another of their kind begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Paragraph,
    Item,
    Term,
    Choice,
    ChoiceGroup,
    Row,
    Cell,
    RowGroup,
    Ruby,
}

const KINDS: [Kind; 9] = [
    Kind::Paragraph,
    Kind::Item,
    Kind::Term,
    Kind::Choice,
    Kind::ChoiceGroup,
    Kind::Row,
    Kind::Cell,
    Kind::RowGroup,
    Kind::Ruby,
];

/// Visibility that an element declares for itself.
#[derive(Debug, Clone, Copy, Default)]
struct Own {
    not_displayed: bool,
    visibility: Option<bool>,
}

/// Effective properties of an element's content.
#[derive(Debug, Clone, Copy)]
struct Inside {
    is_displayed: bool,
    is_visible: bool,
    keeps_space: bool,
    /// Indicates SVG or MathML content, where a self-closing tag is an element without content.
    is_foreign: bool,
    /// Index of the nearest open element of each kind that a tag in here would end.
    nearest: [Option<u16>; KINDS.len()],
}

const OUTSIDE: Inside = Inside {
    is_displayed: true,
    is_visible: true,
    keeps_space: false,
    is_foreign: false,
    nearest: [None; KINDS.len()],
};

#[derive(Debug)]
struct Element {
    name: Vec<u8>,
    own: Own,
    inside: Inside,
}

/// Stack of open elements, the innermost last.
#[derive(Debug, Default)]
pub(super) struct Elements {
    open: Vec<Element>,
    /// Number of open elements beyond [`MAX_DEPTH`].
    deeper: usize,
}

impl Elements {
    /// Returns whether a reader sees content at this place.
    pub(super) fn are_seen(&self) -> bool {
        let here = self.here();
        here.is_displayed && here.is_visible
    }

    /// Returns whether white space is preserved at this place.
    pub(super) fn keep_space(&self) -> bool {
        self.here().keeps_space
    }

    /// Processes a start tag; returns whether the element takes part in the layout.
    pub(super) fn begin<S: html5gum::SpanBound>(&mut self, tag: &StartTag<S>) -> bool {
        let name: &[u8] = &tag.name;
        if matches!(name, b"html" | b"head" | b"body") {
            return self.here().is_displayed;
        }
        if self.deeper > 0 && !is_void(name) {
            self.deeper += 1;
            return self.here().is_displayed;
        }
        for kind in ended_by(name) {
            if let Some(at) = self.here().nearest[*kind as usize] {
                self.open.truncate(usize::from(at));
            }
        }
        let outside = self.here();
        let own = own(tag, outside.is_foreign);
        let is_displayed = outside.is_displayed && !own.not_displayed;
        let is_foreign = outside.is_foreign || matches!(name, b"svg" | b"math");
        if is_void(name) || (tag.self_closing && is_foreign) {
            return is_displayed;
        }
        if self.open.len() == MAX_DEPTH {
            self.deeper = 1;
            return outside.is_displayed;
        }
        self.open.push(Element { name: name.to_vec(), own, inside: outside });
        self.inherit(self.open.len() - 1);
        is_displayed
    }

    /// Processes an end tag, which ends the nearest open element of its name, if any; returns whether that took part in
    /// the layout.
    pub(super) fn end(&mut self, name: &[u8]) -> bool {
        if self.deeper > 0 {
            self.deeper -= 1;
            return self.here().is_displayed;
        }
        let barrier = barrier_of(name);
        let ended = self.open.iter().rposition(|element| element.name == name || barrier(&element.name));
        let Some(at) = ended.filter(|at| self.open[*at].name == name) else {
            return self.here().is_displayed;
        };
        let was_displayed = self.open[at].inside.is_displayed;
        // A formatting element may begin in one paragraph and end in another, whose other content goes on.
        if is_formatting(name) && self.open[at..].iter().any(|element| is_block(&element.name)) {
            self.open.remove(at);
            self.inherit(at);
        } else {
            self.open.truncate(at);
        }
        was_displayed
    }

    fn here(&self) -> Inside {
        self.open.last().map_or(OUTSIDE, |element| element.inside)
    }

    /// Recomputes the effective properties of the elements from this index on.
    fn inherit(&mut self, from: usize) {
        let mut outside = from.checked_sub(1).map_or(OUTSIDE, |parent| self.open[parent].inside);
        for (at, element) in self.open.iter_mut().enumerate().skip(from) {
            let (name, own) = (element.name.as_slice(), element.own);
            element.inside = Inside {
                is_displayed: outside.is_displayed && !own.not_displayed,
                is_visible: own.visibility.unwrap_or(outside.is_visible),
                keeps_space: outside.keeps_space || name == b"pre",
                is_foreign: (outside.is_foreign || matches!(name, b"svg" | b"math"))
                    && name != b"foreignobject",
                nearest: KINDS.map(|kind| match kind_of(name) == Some(kind) {
                    true => u16::try_from(at).ok(),
                    false => outside.nearest[kind as usize].filter(|_| !shields(name, kind)),
                }),
            };
            outside = element.inside;
        }
    }
}

/// Reads the visibility that an element declares for itself.
fn own<S: html5gum::SpanBound>(tag: &StartTag<S>, is_foreign: bool) -> Own {
    let attribute = |name: &[u8]| {
        let found = tag.attributes.iter().find(|(key, _)| key.as_slice() == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).to_ascii_lowercase())
    };
    let name: &[u8] = &tag.name;
    let (display, visibility) = attribute(b"style").map(|style| styled(&style)).unwrap_or_default();
    let is_hidden = || {
        attribute(b"hidden").is_some_and(|value| value != "until-found")
            || attribute(b"popover").is_some()
            || (name == b"dialog" && attribute(b"open").is_none())
    };
    let not_displayed =
        is_never_displayed(name, is_foreign) || display.map_or_else(is_hidden, |is_displayed| !is_displayed);
    Own { not_displayed, visibility }
}

/// Parses the declarations of a lower-case `style` attribute: whether the element is displayed, and whether it is
/// visible. The last declaration wins, but an important one precedes all others.
fn styled(style: &str) -> (Option<bool>, Option<bool>) {
    let (mut display, mut visibility) = (None, None);
    let set = |place: &mut Option<(bool, bool)>, is_important: bool, value: bool| {
        if place.is_none_or(|(was_important, _)| is_important || !was_important) {
            *place = Some((is_important, value));
        }
    };
    for declaration in without_comments(style).split(';') {
        let Some((property, value)) = declaration.split_once(':') else { continue };
        let (value, is_important) = match value.split_once('!') {
            Some((value, priority)) if priority.trim() == "important" => (value.trim(), true),
            Some(_) => continue,
            None => (value.trim(), false),
        };
        match (property.trim(), value) {
            (_, "") => {}
            ("display", value) => set(&mut display, is_important, value != "none"),
            ("visibility", "hidden" | "collapse") => set(&mut visibility, is_important, false),
            ("visibility", "visible") => set(&mut visibility, is_important, true),
            ("content-visibility", "hidden") => set(&mut display, is_important, false),
            _ => {}
        }
    }
    (display.map(|(_, value)| value), visibility.map(|(_, value)| value))
}

/// Replaces the comments of a style sheet (CSS Syntax, section 4.3.2) by spaces. One that is not closed goes on to the end.
fn without_comments(style: &str) -> String {
    let (mut kept, mut rest) = (String::with_capacity(style.len()), style);
    while let Some((before, comment)) = rest.split_once("/*") {
        kept.push_str(before);
        kept.push(' ');
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    kept + rest
}

/// Returns whether browsers never render the content of the element, whatever its style. `noscript` is included,
/// because browsers run scripts.
fn is_never_displayed(name: &[u8], is_foreign: bool) -> bool {
    let always: &[&[u8]] = &[
        b"script",
        b"style",
        b"template",
        b"noscript",
        b"noembed",
        b"noframes",
        b"iframe",
        b"datalist",
        b"rp",
        b"video",
        b"audio",
        b"canvas",
        // A bar is drawn in place of their content.
        b"meter",
        b"progress",
    ];
    let in_pictures: &[&[u8]] =
        &[b"defs", b"desc", b"metadata", b"symbol", b"title", b"annotation", b"annotation-xml"];
    always.contains(&name) || (is_foreign && in_pictures.contains(&name))
}

/// Returns whether the element has neither content nor an end tag.
fn is_void(name: &[u8]) -> bool {
    let void: &[&[u8]] = &[
        b"area", b"base", b"br", b"col", b"embed", b"frame", b"hr", b"img", b"input", b"link", b"meta",
        b"param", b"source", b"track", b"wbr",
    ];
    void.contains(&name)
}

/// Returns whether a misplaced end tag ends the element in the middle of others.
fn is_formatting(name: &[u8]) -> bool {
    let formatting: &[&[u8]] = &[
        b"a", b"b", b"big", b"code", b"em", b"font", b"i", b"nobr", b"s", b"small", b"strike", b"strong",
        b"tt", b"u",
    ];
    formatting.contains(&name)
}

/// Returns whether the element begins a block of its own, which ends an open paragraph.
fn is_block(name: &[u8]) -> bool {
    let blocks: &[&[u8]] = &[
        b"address",
        b"article",
        b"aside",
        b"blockquote",
        b"center",
        b"dd",
        b"details",
        b"dialog",
        b"dir",
        b"div",
        b"dl",
        b"dt",
        b"fieldset",
        b"figcaption",
        b"figure",
        b"footer",
        b"form",
        b"h1",
        b"h2",
        b"h3",
        b"h4",
        b"h5",
        b"h6",
        b"header",
        b"hgroup",
        b"hr",
        b"li",
        b"listing",
        b"main",
        b"menu",
        b"nav",
        b"ol",
        b"p",
        b"plaintext",
        b"pre",
        b"search",
        b"section",
        b"summary",
        b"table",
        b"ul",
        b"xmp",
    ];
    blocks.contains(&name)
}

/// Returns whether the element is part of a table.
fn is_of_table(name: &[u8]) -> bool {
    matches!(name, b"table" | b"caption" | b"thead" | b"tbody" | b"tfoot" | b"tr" | b"td" | b"th")
}

/// Returns which open elements an end tag of this name cannot reach beyond.
fn barrier_of(name: &[u8]) -> fn(&[u8]) -> bool {
    fn of_cells(name: &[u8]) -> bool {
        matches!(name, b"table" | b"caption" | b"td" | b"th" | b"template" | b"object")
    }
    if is_of_table(name) {
        return |name| matches!(name, b"table" | b"template");
    }
    if is_block(name) || is_formatting(name) || name == b"template" {
        return of_cells;
    }
    |name| is_block(name) || of_cells(name)
}

fn kind_of(name: &[u8]) -> Option<Kind> {
    match name {
        b"p" => Some(Kind::Paragraph),
        b"li" => Some(Kind::Item),
        b"dd" | b"dt" => Some(Kind::Term),
        b"option" => Some(Kind::Choice),
        b"optgroup" => Some(Kind::ChoiceGroup),
        b"tr" => Some(Kind::Row),
        b"td" | b"th" => Some(Kind::Cell),
        b"thead" | b"tbody" | b"tfoot" => Some(Kind::RowGroup),
        b"rb" | b"rt" | b"rtc" | b"rp" => Some(Kind::Ruby),
        _ => None,
    }
}

/// Returns the kinds of open elements that end when this one begins.
fn ended_by(name: &[u8]) -> &'static [Kind] {
    match kind_of(name) {
        Some(Kind::Item) => &[Kind::Item, Kind::Paragraph],
        Some(Kind::Term) => &[Kind::Term, Kind::Paragraph],
        Some(Kind::Choice) => &[Kind::Choice],
        Some(Kind::ChoiceGroup) => &[Kind::ChoiceGroup, Kind::Choice],
        Some(Kind::Row) => &[Kind::Row],
        Some(Kind::Cell) => &[Kind::Cell],
        Some(Kind::RowGroup) => &[Kind::RowGroup],
        Some(Kind::Ruby) => &[Kind::Ruby],
        Some(Kind::Paragraph) => &[Kind::Paragraph],
        None if is_block(name) => &[Kind::Paragraph],
        None => &[],
    }
}

/// Returns whether nothing inside an element of this name ends one of the kind that is open around it.
fn shields(name: &[u8], kind: Kind) -> bool {
    if matches!(name, b"template" | b"table") {
        return true;
    }
    match kind {
        Kind::Paragraph => matches!(name, b"button" | b"caption" | b"td" | b"th" | b"object"),
        Kind::Item | Kind::Term => {
            is_of_table(name) || (is_block(name) && !matches!(name, b"address" | b"div" | b"p"))
        }
        Kind::Choice | Kind::ChoiceGroup => matches!(name, b"select" | b"datalist"),
        Kind::Row | Kind::RowGroup => false,
        Kind::Cell => name == b"tr",
        Kind::Ruby => name == b"ruby",
    }
}
