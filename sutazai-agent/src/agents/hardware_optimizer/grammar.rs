//! The grammar of the texts about one finding, in GBNF (llama.cpp's notation).
//!
//! ```text
//! Disk /var is | 96.4 % full | , so programs fail soon. Run | `du -xh /var | sort -h` | to see what takes the space.
//! lead           figure        words                    verb  command                   words
//! ```
//!
//! The lead is the rule's own, up to its decisive figure: a small model that is left to lead up to a figure itself says
//! that it is something else. Names, figures and commands are those of the finding; words are those of its own
//! sentences and plain ones, which claim nothing. So no digit, no name and no command can be sampled that is not in the
//! evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::claims::figures;
use super::grounding::check_word;
use super::lexicon;
use super::slots::sentence_case;
use super::support::{Support, mask};

/// The grammar of this finding's texts.
pub(super) fn grammar(support: &Support) -> String {
    let statement = Statement::of(support);
    let mut rules = String::new();
    let mut rule = |name: &str, texts: &BTreeSet<String>| {
        let _ = writeln!(rules, "{name} ::= {}", any_of(texts));
    };
    let first = if statement.figures.is_empty() {
        let names = [sentence_case(&support.resource), format!("The {}", support.resource)];
        rule("name", &names.into());
        "name (\" \" word){2,4} (sep word){0,12} end"
    } else {
        rule("figure", &statement.figures);
        rule("lead", &[statement.lead].into());
        "lead figure ((sep word){0,14} end | \".\")"
    };
    let command = support.advice.as_ref().and_then(|remedy| remedy.command.as_ref());
    let second = if let Some(command) = command {
        rule("command", &[format!("`{command}`")].into());
        "(\"Run \" | \"Use \" | \"Try \") command \" to\" (\" \" word){1,3} (sep word){0,9} end"
    } else {
        rule("verb", &verbs(support));
        "verb (\" \" word){1,4} (sep word){0,9} end"
    };
    let words = vocabulary(support);
    let closing = |word: &&String| {
        let own = support.has_word(word) && !lexicon::contains(lexicon::OPENING, word);
        own || support.ends_on(word) || lexicon::contains(lexicon::CLOSING, word)
    };
    let last = words.iter().filter(closing).cloned().collect();
    format!(
        "root ::= first \" \" second\nfirst ::= {first}\nsecond ::= {second}\nsep ::= \" \" | \", \"\nend ::= sep last \
         \".\"\n{rules}word ::= {}\nlast ::= {}\n",
        trie(&words),
        trie(&last),
    )
}

/// How the rule's own sentence leads to its decisive figure, and how it may go on from there.
struct Statement {
    /// What stands before the figure; empty when the sentence begins with it.
    lead: String,
    /// The figure in the roundings that are allowed, with and without words of the rule's own after it.
    figures: BTreeSet<String>,
}

impl Statement {
    fn of(support: &Support) -> Self {
        let bare = mask(&support.summary, &support.called);
        let placed = figures(&bare);
        let Some(first) = placed.first() else {
            return Self { lead: String::new(), figures: BTreeSet::new() };
        };
        // `14.5 GiB of 15.6 GiB` says something only as a whole.
        let whole = placed.get(1).filter(|next| bare[first.end..next.start].trim() == "of");
        let end = whole.map_or(first.end, |next| next.end);
        let mut ways = vec![support.summary[first.start..end].to_owned()];
        if whole.is_none() {
            let rounded = support.rounded.iter().filter(|figure| figure.unit == first.figure.unit);
            ways.extend(
                rounded.map(|figure| format!("{} {}", figure.number, figure.unit).trim_end().to_owned()),
            );
        }
        let (rest, bare) = (&support.summary[end..], &bare[end..]);
        let mut figures = BTreeSet::new();
        for way in ways {
            figures.extend(breaks(bare).map(|at| format!("{way}{}", &rest[..at])));
        }
        Self { lead: support.summary[..first.start].to_owned(), figures }
    }
}

/// Where what follows a figure may be broken off: at its marks, and before its last full stop.
fn breaks(rest: &str) -> impl Iterator<Item = usize> {
    let whole = rest.trim_end_matches('.').len();
    let marks = rest.match_indices([',', ';']).map(|(at, _)| at).filter(move |at| *at < whole);
    // A comma within a number is no mark.
    let bytes = rest.as_bytes();
    marks.filter(|at| bytes.get(at + 1) == Some(&b' ')).chain([whole])
}

/// How advice without a command begins: as the remedies do.
fn verbs(support: &Support) -> BTreeSet<String> {
    let first = |remedy: &String| remedy.split(' ').next().map(str::to_owned);
    let own = support
        .remedies
        .iter()
        .filter_map(first)
        .filter(|word| word.bytes().all(|b| b.is_ascii_alphabetic()));
    own.chain(["Look".to_owned(), "Check".to_owned()]).collect()
}

/// The words that may be said: plain ones and the finding's own. What takes a finding back is left out even where its
/// sentences have it, for in another place it may say the opposite.
fn vocabulary(support: &Support) -> BTreeSet<String> {
    let own = support.own_words().filter(|word| {
        let claims = [lexicon::NEGATIONS, lexicon::REASSURING, lexicon::NUMBERS, lexicon::UNITS];
        word.bytes().all(|b| b.is_ascii_lowercase())
            && !claims.iter().any(|list| lexicon::contains(list, word))
    });
    let plain = lexicon::PLAIN.split_ascii_whitespace().filter(|word| check_word(word, support).is_ok());
    own.chain(plain).map(str::to_owned).chain(support.own_negations()).collect()
}

fn any_of<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    let quoted: Vec<_> = texts.into_iter().map(|text| literal(text)).collect();
    quoted.join(" | ")
}

fn literal(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {}
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Words by their common beginnings: a sampler that has written `me` has three ways to go on, not eight hundred.
fn trie(words: &BTreeSet<String>) -> String {
    let mut root = Node::default();
    for word in words {
        word.chars().fold(&mut root, |node, c| node.next.entry(c).or_default()).ends = true;
    }
    let mut text = String::new();
    root.write(&mut text);
    text
}

#[derive(Default)]
struct Node {
    next: BTreeMap<char, Node>,
    ends: bool,
}

impl Node {
    fn write(&self, out: &mut String) {
        for (i, (c, node)) in self.next.iter().enumerate() {
            if i > 0 {
                out.push_str(" | ");
            }
            let mut run = String::from(*c);
            let mut node = node;
            while !node.ends
                && let (1, Some((c, only))) = (node.next.len(), node.next.iter().next())
            {
                run.push(*c);
                node = only;
            }
            out.push_str(&literal(&run));
            if !node.next.is_empty() {
                out.push_str(" (");
                node.write(out);
                out.push_str(if node.ends { ")?" } else { ")" });
            }
        }
    }
}
