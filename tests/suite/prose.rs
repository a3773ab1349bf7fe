//! House rules of names and prose, checked in every source file: no vague phrases in comments, constants named by purpose.

use std::path::{Path, PathBuf};

use crate::tidy::{read, root, rust_files};

/// Phrases that stand where a number, a term or a subject belongs.
const VAGUE_PHRASES: &[&str] = &["so many", "so long", "so often", "of late", "at present", "anew"];

/// Names of constants that give neither purpose nor unit.
const VAGUE_CONSTANTS: &[&str] = &[
    "AHEAD", "BREATH", "ENOUGH", "FEW", "LONG", "MANY", "MOST", "OFTEN", "PAUSE", "POLL", "SHORT", "SOON",
    "STALE", "TOGETHER", "WAIT",
];

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

/// Returns the text of a comment in this line.
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
fn every_source_file_begins_with_its_doc_comment() {
    assert_none("begin the file with `//!`", |path, text| {
        let is_documented = text.starts_with("//!") || text.contains("#![doc = ");
        let is_source = path.components().any(|part| part.as_os_str() == "src");
        if is_documented || !is_source { Vec::new() } else { vec![(1, "no module doc".to_owned())] }
    });
}
