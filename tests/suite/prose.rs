//! House rules of names and prose, checked in every source file: no vague phrases in comments, constants named by
//! purpose.

use std::path::{Path, PathBuf};

use crate::tidy::{read, root, rust_files};

/// Phrases that replace a number, a term or a subject.
const VAGUE_PHRASES: &[&str] = &["so many", "so long", "so often", "of late", "at present", "anew", "beside"];

/// Names of constants that give neither purpose nor unit.
const VAGUE_CONSTANTS: &[&str] = &[
    "AHEAD", "BREATH", "ENOUGH", "FEW", "LONG", "MANY", "MOST", "OFTEN", "PAUSE", "POLL", "SHORT", "SOON",
    "STALE", "TOGETHER", "WAIT",
];

/// Words that open a clause, or refer to something that the comment has not named yet.
const CLAUSE_OPENERS: &[&str] = &[
    "after",
    "although",
    "as",
    "because",
    "before",
    "everything",
    "how",
    "if",
    "it",
    "its",
    "nobody",
    "nothing",
    "once",
    "since",
    "so",
    "somebody",
    "something",
    "that",
    "there",
    "they",
    "though",
    "unless",
    "until",
    "what",
    "whatever",
    "when",
    "where",
    "whether",
    "which",
    "while",
    "who",
    "whoever",
    "whom",
    "whose",
    "why",
];

/// Retired terms with one meaning only, in the forms in which prose uses them. Terms that are also ordinary English
/// ("turn", "feed", "room", "answer", "ticket") cannot be recognized by word.
const RETIRED_TERMS: &[&str] = &[
    "finisher",
    "gave back",
    "give back",
    "give signs",
    "given back",
    "gives back",
    "gives signs",
    "hand back",
    "hand over",
    "handed back",
    "handed over",
    "handing back",
    "hands back",
    "hands over",
    "hear",
    "heard",
    "hears",
    "lane",
    "lanes",
    "left message",
    "left messages",
    "let go",
    "lets go",
    "plug",
    "plugs",
    "shut out",
    "sign of life",
    "signs of life",
    "step over",
    "stepped over",
    "steps over",
    "stranger",
    "strangers",
    "take turns",
    "taken in advance",
    "takes turns",
    "taking turns",
    "tell of",
    "tells of",
    "told of",
];

/// Names that an error may begin with although they begin with an upper-case letter.
const PROPER_NOUNS: &[&str] = &["PostgreSQL", "RabbitMQ", "ReDoc", "Redis", "Swagger"];

/// Minimum number of words of a doc comment: three words say no more than the name that they explain.
const MIN_DOC_WORDS: usize = 4;

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

/// Returns whether the text contains the phrase as whole words; identifiers such as `queue_turns` do not count.
fn has_phrase(text: &str, phrase: &str) -> bool {
    let text = text.to_lowercase();
    text.match_indices(phrase).any(|(at, _)| {
        let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !is_letter(text[..at].chars().next_back()) && !is_letter(text[at + phrase.len()..].chars().next())
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

/// First paragraph of a doc comment, in one line.
#[derive(Debug, PartialEq)]
struct Opening {
    line: usize,
    text: String,
    /// True if it is the summary of an operation in the OpenAPI description. A summary is a title in a list of
    /// operations, where "Sign in." is right.
    is_summary: bool,
}

/// Returns the opening of every doc comment. A comment that opens with code, a list, a table or a heading has none.
fn openings(text: &str) -> Vec<Opening> {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let doc = |index: usize, mark: &str| {
        let comment = lines.get(index)?.strip_prefix(mark)?;
        // A fourth slash makes an ordinary comment.
        (!comment.starts_with('/')).then(|| comment.trim())
    };
    let mut found = Vec::new();
    let mut index = 0;
    while index < lines.len() {
        let Some(mark) = ["///", "//!"].into_iter().find(|mark| doc(index, mark).is_some()) else {
            index += 1;
            continue;
        };
        let end = (index..).find(|line| doc(*line, mark).is_none()).unwrap_or(lines.len());
        let paragraph: Vec<&str> =
            (index..end).filter_map(|line| doc(line, mark)).take_while(|line| !line.is_empty()).collect();
        let text = paragraph.join(" ");
        let is_prose = ["# ", "## ", "- ", "* ", "| ", "```"].iter().all(|mark| !text.starts_with(mark));
        if !text.is_empty() && is_prose {
            let is_summary = lines.get(end).is_some_and(|next| next.starts_with("#[utoipa::path("));
            found.push(Opening { line: index + 1, text, is_summary });
        }
        index = end;
    }
    found
}

/// Returns why a doc comment is rejected, if it is.
fn doc_fault(opening: &Opening) -> Option<&'static str> {
    let mut words = opening.text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric));
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    // A name in backquotes is a noun, whatever it says.
    if !first.starts_with('`') && CLAUSE_OPENERS.contains(&bare(first).as_str()) {
        return Some("it opens with a clause");
    }
    if (bare(first).as_str(), bare(second).as_str()) == ("the", "same") {
        return Some("it opens with \"The same\"");
    }
    let count = 2 + words.count();
    (!opening.is_summary && count < MIN_DOC_WORDS).then_some("it has fewer than four words")
}

#[test]
fn doc_comments_open_with_a_noun_or_a_verb() {
    assert_none("say what the item does or guarantees", |_, text| {
        openings(text)
            .into_iter()
            .filter_map(|opening| {
                let fault = doc_fault(&opening)?;
                Some((opening.line, format!("{fault}: {}", opening.text)))
            })
            .collect()
    });
}

#[test]
fn vague_doc_comments_are_recognized() {
    let fault = |text: &str| openings(text).iter().find_map(doc_fault);
    for bad in [
        "/// What was handed over.",
        "    /// Whether a task may run now.",
        "//! How tasks are claimed and run.",
        "/// As many tasks as fit.\n/// And more.",
        "/// The same for a process of workers.",
        "/// The engine.",
        "/// Its name.\n///\n/// A second paragraph with more words.",
        "/// When, and then what happens.",
    ] {
        assert!(fault(bad).is_some(), "{bad}");
    }
    for good in [
        "/// Claims due tasks, fairly across owners.",
        "/// `as` casts that are allowed here.",
        "/// A sentence that goes on\n/// what the next line says.",
        "/// # Errors\n/// `NotFound` otherwise.",
        "/// ```\n/// let a = 1;\n/// ```",
        "/// - `queue`: a list",
        "//// What is no doc comment.",
        "// What is no doc comment.",
        "/// Sign in.\n#[utoipa::path(\n    post,\n)]",
    ] {
        assert_eq!(fault(good), None, "{good}");
    }
}

/// Returns the strings within the call whose opening parenthesis ends `text[..begin]`, with the number of brackets
/// around each.
fn call(text: &str, begin: usize) -> Vec<(usize, &str)> {
    let bytes = text.as_bytes();
    let (mut depth, mut at, mut strings) = (0_usize, begin, Vec::new());
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' if depth == 0 => break,
            b')' | b']' | b'}' => depth -= 1,
            // A character, such as '(' or '\\''; a lifetime has no second quote.
            b'\'' if bytes.get(at + 1) == Some(&b'\\') => at += 3,
            b'\'' if bytes.get(at + 2) == Some(&b'\'') => at += 2,
            b'"' => {
                let start = at + 1;
                at = start;
                while bytes.get(at).is_some_and(|byte| *byte != b'"') {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                strings.push((depth, text.get(start..at).unwrap_or_default()));
            }
            _ => {}
        }
        at += 1;
    }
    strings
}

/// Returns the line and the strings of every call whose name and opening parenthesis are one of `names`.
fn calls<'a>(text: &'a str, names: &[&str]) -> Vec<(usize, Vec<(usize, &'a str)>)> {
    let mut found: Vec<_> = names
        .iter()
        .flat_map(|name| text.match_indices(name))
        .map(|(at, name)| (text[..at].lines().count().max(1), call(text, at + name.len())))
        .collect();
    found.sort_by_key(|(line, _)| *line);
    found
}

const LOG_MACROS: &[&str] =
    &["tracing::trace!(", "tracing::debug!(", "tracing::info!(", "tracing::warn!(", "tracing::error!("];

/// Returns the log messages that are no stable text: with placeholders, or with an article before the subject.
fn unstable_messages(text: &str) -> Vec<(usize, String)> {
    calls(text, LOG_MACROS)
        .into_iter()
        .flat_map(|(line, strings)| {
            let own = strings.into_iter().filter(|(depth, _)| *depth == 0);
            own.map(move |(_, message)| (line, message))
        })
        .filter(|(_, message)| {
            let has_article =
                ["a ", "an ", "the ", "this "].iter().any(|article| message.starts_with(article));
            message.contains('{') || has_article || message.ends_with('.')
        })
        .map(|(line, message)| (line, message.to_owned()))
        .collect()
}

#[test]
fn log_messages_are_stable_texts() {
    assert_none("name subject and verb, and put values into fields", |_, text| unstable_messages(text));
}

#[test]
fn unstable_log_messages_are_recognized() {
    for bad in [
        r#"tracing::warn!("task {id} failed")"#,
        r#"tracing::warn!("task {} failed", id)"#,
        "tracing::info!(\n    task = %id,\n    \"{task} ended\"\n)",
        r#"tracing::info!("a user signed in")"#,
        r#"tracing::info!("user signed in.")"#,
    ] {
        assert_eq!(unstable_messages(bad).len(), 1, "{bad}");
    }
    for good in [
        r#"tracing::warn!(task, attempt, "lease lost")"#,
        r#"tracing::warn!(error = %format!("{e} (again)"), mark = '(', "claim failed")"#,
        r#"println!("{bad}"); tracing::info!("server listening")"#,
    ] {
        assert!(unstable_messages(good).is_empty(), "{good}");
    }
}

const ERROR_CONSTRUCTORS: &[&str] = &[
    "Error::cancelled(",
    "Error::conflict(",
    "Error::context_length(",
    "Error::internal(",
    "Error::invalid(",
    "Error::misfit(",
    "Error::new(",
    "Error::not_found(",
    "Error::timeout(",
    "Error::unavailable(",
    "Error::unsupported(",
];

/// Returns the messages of errors that are no plain sentence in lower case. A name, an abbreviation or a setting may
/// stand first.
fn capitalized_errors(text: &str) -> Vec<(usize, String)> {
    let is_name = |word: &str| PROPER_NOUNS.contains(&word) || !word.chars().skip(1).any(char::is_lowercase);
    calls(text, ERROR_CONSTRUCTORS)
        .into_iter()
        .filter_map(|(line, strings)| {
            // Shorter ones are names of fields and separators.
            let (_, message) = strings.into_iter().find(|(_, text)| text.contains(' '))?;
            let first = message.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
            let is_capitalized =
                first.starts_with(char::is_uppercase) && (first.len() == 1 || !is_name(first));
            let has_stop = message.ends_with('.') && !message.ends_with("...");
            (is_capitalized || has_stop).then(|| (line, message.to_owned()))
        })
        .collect()
}

#[test]
fn errors_are_sentences_in_lower_case_without_a_full_stop() {
    assert_none("begin an error in lower case, and end it without a full stop", |path, text| {
        let is_source = path.components().any(|part| part.as_os_str() == "src");
        if is_source { capitalized_errors(crate::tidy::without_tests(text)) } else { Vec::new() }
    });
}

#[test]
fn capitalized_errors_are_recognized() {
    for bad in [
        r#"Error::invalid("name", "Expected a name")"#,
        r#"Error::conflict("the name is taken.")"#,
        r#"Error::new(ErrorKind::Busy, format!("Too many of {what}"))"#,
        r#"Error::internal("A task was lost")"#,
    ] {
        assert_eq!(capitalized_errors(bad).len(), 1, "{bad}");
    }
    for good in [
        r#"Error::invalid("name", "expected a name")"#,
        r#"Error::unavailable("RabbitMQ did not respond")"#,
        r#"Error::invalid("key", "JWT_SECRET_KEY must be set")"#,
        r#"Error::not_found("API key")"#,
        r#"Error::not_found(format!("user {id}")).with_hint("Look again.")"#,
    ] {
        assert!(capitalized_errors(good).is_empty(), "{good}");
    }
}

/// Removes the text between backquotes: names of the code have rules of their own.
fn without_code(comment: &str) -> String {
    comment.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

/// Returns the scripts, measurements, test programs and migrations in other languages, with the mark of their
/// comments.
fn other_files() -> Vec<(PathBuf, &'static str)> {
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = [
        "scripts",
        "benches",
        "tests",
        "sutazai-store/migrations",
        "sutazai-py/python",
        "sutazai-py/tests",
        "sutazai-py/examples",
    ]
    .iter()
    .map(|folder| root().join(folder))
    .collect();
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let mark = match path.extension().and_then(|extension| extension.to_str()) {
                _ if path.is_dir() => {
                    waiting.push(path);
                    continue;
                }
                Some("py" | "pyi" | "sh") => "#",
                Some("sql" | "lua") => "--",
                Some("js" | "mjs") => "//",
                _ => continue,
            };
            found.push((path, mark));
        }
    }
    found
}

fn retired_term(comment: &str) -> Option<&'static str> {
    let prose = without_code(comment);
    RETIRED_TERMS.iter().copied().find(|term| has_phrase(&prose, term))
}

#[test]
fn retired_terms_are_recognized() {
    assert_eq!(retired_term(" Subscribers hear of it, and owners Take Turns."), Some("hear"));
    assert_eq!(retired_term(" Owners Take Turns."), Some("take turns"));
    assert_eq!(retired_term(" Stops: tasks are handed back."), Some("handed back"));
    assert_eq!(retired_term(" Reads `lanes` of pluggable, shared parts with queue_lanes."), None);
}

#[test]
fn comments_use_no_retired_terms() {
    assert_none("use the field's term", |_, text| {
        let lines = text.lines().enumerate().filter_map(|(index, line)| Some((index + 1, comment_of(line)?)));
        lines
            .filter_map(|(line, comment)| {
                Some((line, format!("{}: {}", retired_term(comment)?, comment.trim())))
            })
            .collect()
    });
    let mut places = Vec::new();
    for (path, mark) in other_files() {
        for (index, line) in read(&path).lines().enumerate() {
            let Some((_, comment)) = line.split_once(mark) else { continue };
            if let Some(term) = retired_term(comment) {
                places.push(format!("{}:{}: {term}: {}", path.display(), index + 1, comment.trim()));
            }
        }
    }
    assert!(places.is_empty(), "use the field's term:\n{}", places.join("\n"));
}
