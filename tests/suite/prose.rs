//! House rules of names and prose, checked in every source file: comments in the field's words, constants named by
//! purpose.

use std::path::{Path, PathBuf};

use crate::tidy::{read, root, rust_files};

/// Phrases that stand where a number, a term or a subject belongs.
const VAGUE_PHRASES: &[&str] = &["so many", "so long", "so often", "of late", "at present", "anew"];

/// First words of a clause without a subject, which say neither what an item does nor what it is.
const CLAUSE_OPENINGS: &[&str] = &[
    "What", "Who", "Whose", "How", "Where", "When", "Which", "Whether", "That", "Nobody", "Nothing",
    "The same",
];

/// Names of constants that give neither purpose nor unit.
const VAGUE_CONSTANTS: &[&str] = &[
    "AHEAD", "BREATH", "ENOUGH", "FEW", "LONG", "MANY", "MOST", "OFTEN", "PAUSE", "POLL", "SHORT", "SOON",
    "STALE", "TOGETHER", "WAIT",
];

/// Fewest words of a doc comment that can say more than the name it stands at.
const MIN_DOC_WORDS: usize = 4;

/// A run of doc comment lines of one kind.
struct DocComment {
    line: usize,
    is_module: bool,
    text: String,
}

fn files() -> Vec<PathBuf> {
    [
        "src",
        "tests",
        "benches",
        "examples",
        "sutazai-core",
        "sutazai-agent",
        "sutazai-store",
        "sutazai-http",
        "sutazai-py",
    ]
    .iter()
    .flat_map(|folder| rust_files(&root().join(folder)))
    // It names what it forbids.
    .filter(|path| !path.ends_with("suite/prose.rs"))
    .collect()
}

fn doc_comments(text: &str) -> Vec<DocComment> {
    let mut comments: Vec<DocComment> = Vec::new();
    let mut previous = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let kind = ["//!", "///"].into_iter().find(|prefix| line.starts_with(prefix));
        if let Some(prefix) = kind {
            let words = line[prefix.len()..].trim();
            match comments.last_mut().filter(|_| previous == kind) {
                Some(comment) => comment.text.extend([" ", words]),
                None => comments.push(DocComment {
                    line: index + 1,
                    is_module: prefix == "//!",
                    text: words.to_owned(),
                }),
            }
        }
        previous = kind;
    }
    comments
}

/// The text after `//`, of any comment.
fn comment_of(line: &str) -> Option<&str> {
    line.split_once("//").filter(|(before, _)| !before.ends_with(':')).map(|(_, comment)| comment)
}

fn has_phrase(comment: &str, phrase: &str) -> bool {
    let comment = comment.to_lowercase();
    comment.match_indices(phrase).any(|(at, _)| {
        let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        !is_letter(comment[..at].chars().next_back())
            && !is_letter(comment[at + phrase.len()..].chars().next())
    })
}

/// Applies `check` to every file and fails with all places that it returns.
fn assert_none(rule: &str, check: impl Fn(&Path, &str) -> Vec<(usize, String)>) {
    let mut places = Vec::new();
    for path in files() {
        let text = read(&path);
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        places.extend(check(&path, &text).into_iter().map(|(line, what)| format!("{name}:{line}: {what}")));
    }
    assert!(places.is_empty(), "{rule}:\n{}", places.join("\n"));
}

#[test]
fn comments_use_no_vague_phrases() {
    assert_none("say the number, or use the field's term", |_, text| {
        let lines = text.lines().enumerate().filter_map(|(index, line)| Some((index + 1, comment_of(line)?)));
        lines
            .filter(|(_, comment)| VAGUE_PHRASES.iter().any(|phrase| has_phrase(comment, phrase)))
            .map(|(line, comment)| (line, comment.trim().to_owned()))
            .collect()
    });
}

#[test]
fn doc_comments_open_with_a_verb_or_a_noun_phrase() {
    assert_none("open with a verb or a noun phrase", |_, text| {
        let comments = doc_comments(text).into_iter();
        comments
            .filter(|comment| {
                CLAUSE_OPENINGS.iter().any(|opening| {
                    comment.text.strip_prefix(opening).is_some_and(|rest| rest.starts_with(' '))
                })
            })
            .map(|comment| (comment.line, comment.text.chars().take(80).collect()))
            .collect()
    });
}

#[test]
fn doc_comments_say_more_than_a_name() {
    assert_none(&format!("a doc comment has at least {MIN_DOC_WORDS} words"), |_, text| {
        let comments = doc_comments(text).into_iter();
        comments
            .filter(|comment| comment.text.split_whitespace().count() < MIN_DOC_WORDS)
            .map(|comment| (comment.line, comment.text))
            .collect()
    });
}

#[test]
fn constants_are_named_by_purpose() {
    assert_none("name a constant by purpose and unit", |_, text| {
        let lines = text.lines().enumerate();
        lines
            .filter_map(|(index, line)| {
                let (_, declaration) = line.split_once("const ")?;
                let name = declaration.split(':').next()?.trim();
                VAGUE_CONSTANTS.contains(&name).then(|| (index + 1, name.to_owned()))
            })
            .collect()
    });
}

#[test]
fn every_module_has_a_doc_comment() {
    assert_none("begin the file with `//!`", |path, text| {
        let is_documented =
            text.contains("#![doc = ") || doc_comments(text).first().is_some_and(|comment| comment.is_module);
        let is_source = path.components().any(|part| part.as_os_str() == "src");
        if is_documented || !is_source { Vec::new() } else { vec![(1, "no module doc".to_owned())] }
    });
}
