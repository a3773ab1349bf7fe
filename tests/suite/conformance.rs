//! House rule of ports: every port has a conformance suite and a mock, and every adapter runs the suite of its port.
//!
//! Only code counts as proof: comments and strings are removed before anything is looked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::tidy::{read, root, rust_files, sources, without_tests};

/// The ports by their names, each with the name of its suite.
fn ports() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for path in rust_files(&root().join("sutazai-core/src/ports")) {
        for line in code(&read(&path)).lines() {
            let Some(name) = line.strip_prefix("pub trait ").map(first_word) else { continue };
            // Neither methods that every implementation of a port gets nor a union of ports is a port.
            if !name.ends_with("Ext") && !line.ends_with("{}") {
                found.insert(name.to_owned(), in_snake_case(name));
            }
        }
    }
    found
}

/// Returns the port and the type of each `impl PORT for TYPE` outside of tests.
fn implementations(code: &str) -> Vec<(&str, &str)> {
    without_tests(code)
        .lines()
        .filter_map(|line| {
            let rest = line.strip_prefix("impl")?;
            let (parameters, rest) =
                rest.strip_prefix('<').and_then(|rest| rest.split_once('>')).unwrap_or(("", rest));
            let (port, of) = rest.trim_start().split_once(" for ")?;
            let port = port.split('<').next()?.rsplit("::").next()?;
            let of = of.split([' ', '<', '{']).next()?.rsplit("::").next()?;
            // A blanket implementation is no adapter: its types run the suite.
            (!has_word(parameters, of)).then_some((port, of))
        })
        .collect()
}

/// Returns the text without comments and without the content of strings and characters.
fn code(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            1 + end_of_string(&rest[1..])
        } else if first == 'r' && !kept.ends_with(is_of_word) {
            raw_string(rest)
        } else if first == '\'' {
            character(rest)
        } else {
            0
        };
        if skipped == 0 {
            kept.push(first);
        }
        rest = &rest[if skipped == 0 { first.len_utf8() } else { skipped }..];
    }
    kept
}

/// Returns the length of the rest of a string, with its closing quote.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return at + 1,
            c => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}

/// Returns the length of the raw string that the text begins with; 0 if there is none.
fn raw_string(text: &str) -> usize {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    let begin = 1 + hashes + 1;
    if !text[1 + hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len())
}

/// Returns the length of the character that the text begins with; 0 if it begins with a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(0, |at| 3 + at + 1),
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn first_word(text: &str) -> &str {
    text.split(|c| !is_of_word(c)).next().unwrap_or_default()
}

fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_of_word) && !code[at + word.len()..].starts_with(is_of_word))
}

fn in_snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// Files whose types are fixtures of tests.
fn is_of_tests(path: &Path) -> bool {
    path.components().any(|part| ["tests", "tests.rs"].iter().any(|name| part.as_os_str() == *name))
}

/// Folder of the tests that open the stores of the technology to which this file belongs.
fn tests_of_store(path: &Path) -> Option<PathBuf> {
    let store = root().join("sutazai-store");
    let technology = path.strip_prefix(store.join("src")).ok()?.components().next()?;
    // Stores are opened with the decorators that trace them.
    let technology =
        if technology.as_os_str() == "traced" { "sqlite".as_ref() } else { technology.as_os_str() };
    Some(store.join("tests").join(technology))
}

/// Returns the file of a conformance suite, which is a folder if it is large.
fn suite_file(suite: &str) -> PathBuf {
    let testing = root().join("sutazai-core/src/testing");
    let file = testing.join(format!("{suite}.rs"));
    if file.exists() { file } else { testing.join(suite).join("mod.rs") }
}

#[test]
fn every_port_has_a_suite_and_a_mock() {
    let testing = root().join("sutazai-core/src/testing");
    let exports = code(&read(&testing.join("mod.rs")));
    let ports = ports();
    assert!(ports.len() >= 20, "only some ports were found: {ports:?}");
    for (port, suite) in ports {
        assert!(has_word(&exports, &format!("Mock{port}")), "{port} has no mock");
        let suite = suite_file(&suite);
        assert!(has_word(&code(&read(&suite)), "run_all"), "{} is no suite", suite.display());
    }
}

#[test]
fn every_adapter_runs_its_ports_suite() {
    let ports = ports();
    let mut files = BTreeMap::new();
    for folder in
        ["sutazai-core", "sutazai-agent", "sutazai-store", "sutazai-http", "sutazai-py/src", "src", "tests"]
    {
        for path in rust_files(&root().join(folder)) {
            let code = code(&read(&path));
            files.insert(path, code);
        }
    }
    let mut adapters: BTreeMap<&str, usize> = BTreeMap::new();
    for path in sources().into_iter().filter(|path| !is_of_tests(path)) {
        for (port, adapter) in implementations(&files[&path]) {
            let Some((port, suite)) = ports.get_key_value(port) else { continue };
            let call = format!("{suite}::run_all(");
            let own = suite_file(suite);
            // The types of stores are private: their tests open them by the address of a database.
            let opened = tests_of_store(&path);
            let is_proof = |(path, code): (&PathBuf, &String)| {
                let names =
                    has_word(code, adapter) || opened.as_ref().is_some_and(|tests| path.starts_with(tests));
                names && (code.contains(&call) || (*path == own && code.contains("run_all(")))
            };
            assert!(
                files.iter().any(is_proof),
                "{adapter} ({}) does not run testing::{suite}",
                path.display()
            );
            *adapters.entry(port).or_default() += 1;
        }
    }
    for port in ports.keys() {
        assert!(adapters.contains_key(port.as_str()), "no adapter of {port} was found: {adapters:?}");
    }
}

#[test]
fn comments_and_strings_are_no_code() {
    let text = "let a: &'static str = \"Cache // \\\" x\"; // cache::run_all\nlet b = r#\"Clock\"#; let c = ('\"', '\\'', 'x');\n/* Tracer */ fn r() {}";
    let code = code(text);
    assert_eq!(code, "let a: &'static str = ; \nlet b = ; let c = (, , );\n fn r() {}");
    assert!(has_word(&code, "static") && !has_word(&code, "stat") && !has_word(&code, "Cache"));
}

#[test]
fn implementations_are_found_in_every_form() {
    let code = "impl Cache for A {\nimpl<T: Send> Cache for T {\nimpl<T: Send> ports::Clock for B<T> {}\nimpl A {\n#[cfg(all(test, feature = ))]\nmod tests {\nimpl Cache for C {";
    assert_eq!(implementations(code), [("Cache", "A"), ("Clock", "B")]);
    assert_eq!(in_snake_case("ApiKeyStore"), "api_key_store");
}
