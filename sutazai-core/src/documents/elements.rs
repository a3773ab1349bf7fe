//! Which elements of a page are open, and whether a reader sees what stands in them.
//!
//! A reader does not see elements that browsers never draw (`template`, `script`, ...), those with the attribute `hidden`,
//! dialogs and popovers that are not open, and what a `style` attribute takes away. What a reader can unfold (`details`,
//! `hidden=until-found`) is taken for seen. Style sheets are not applied, and scripts are not run: pages that hide all of
//! `body` until their scripts have run are read all the same.
//!
//! Elements end where HTML says that they do, with or without a tag. Each knows the nearest open element of every kind that
//! another may end, so a tag costs the same however deep it stands.

use html5gum::StartTag;

/// Elements that are followed; browsers nest no deeper either. What stands deeper is seen if the last of these is.
const MAX_DEPTH: usize = 512;

/// Kinds of elements that end without a tag when another of their kind begins.
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

/// What an element says of itself.
#[derive(Debug, Clone, Copy, Default)]
struct Own {
    not_displayed: bool,
    visibility: Option<bool>,
}

/// What holds within an element.
#[derive(Debug, Clone, Copy)]
struct Inside {
    is_displayed: bool,
    is_visible: bool,
    keeps_space: bool,
    /// Whether it is SVG or MathML, where a tag can be an element without content.
    is_foreign: bool,
    /// Where the nearest open element of each kind stands that a tag in here would end.
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

/// The open elements, the innermost last.
#[derive(Debug, Default)]
pub(super) struct Elements {
    open: Vec<Element>,
    /// How many more are open than are followed.
    deeper: usize,
}

impl Elements {
    /// Whether a reader sees what stands here.
    pub(super) fn are_seen(&self) -> bool {
        let here = self.here();
        here.is_displayed && here.is_visible
    }

    /// Whether white space is kept here as it is.
    pub(super) fn keep_space(&self) -> bool {
        self.here().keeps_space
    }

    /// An element begins. Whether it takes part in the layout of the page.
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

    /// A tag ends an element, if one of its name is open. Whether that took part in the layout of the page.
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
        // A word in bold may begin in one paragraph and end in another: that paragraph goes on.
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

    /// Finds out anew what holds within the elements from this one on.
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

/// What an element says of itself.
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

/// What the declarations of a `style` attribute in lower case say: whether the element is displayed, and whether it is visible.
/// Of several declarations the last counts, and one that is important before any that is not.
fn styled(style: &str) -> (Option<bool>, Option<bool>) {
    let (mut display, mut visibility) = (None, None);
    let set = |place: &mut Option<(bool, bool)>, is_important: bool, value: bool| {
        if place.is_none_or(|(was_important, _)| is_important || !was_important) {
            *place = Some((is_important, value));
        }
    };
    for declaration in style.split(';') {
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

/// Elements whose content browsers never draw, whatever their style is. Where scripts run, `noscript` is one of them.
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
    ];
    let in_pictures: &[&[u8]] =
        &[b"defs", b"desc", b"metadata", b"symbol", b"title", b"annotation", b"annotation-xml"];
    always.contains(&name) || (is_foreign && in_pictures.contains(&name))
}

/// Elements that have no content and no end tag.
fn is_void(name: &[u8]) -> bool {
    let void: &[&[u8]] = &[
        b"area", b"base", b"br", b"col", b"embed", b"frame", b"hr", b"img", b"input", b"link", b"meta",
        b"param", b"source", b"track", b"wbr",
    ];
    void.contains(&name)
}

/// Elements that a misplaced end tag ends in the middle of others.
fn is_formatting(name: &[u8]) -> bool {
    let formatting: &[&[u8]] = &[
        b"a", b"b", b"big", b"code", b"em", b"font", b"i", b"nobr", b"s", b"small", b"strike", b"strong",
        b"tt", b"u",
    ];
    formatting.contains(&name)
}

/// Elements that begin a block of their own: each ends a paragraph.
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

/// Parts of tables.
fn is_of_table(name: &[u8]) -> bool {
    matches!(name, b"table" | b"caption" | b"thead" | b"tbody" | b"tfoot" | b"tr" | b"td" | b"th")
}

/// Which open elements an end tag of this name does not reach beyond.
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

/// Which kinds of open elements end when this one begins.
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

/// Whether nothing within an element of this name ends one of the kind that is open around it.
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
