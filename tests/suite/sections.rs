//! Sections of doc comments: ports and the main types say which errors a method returns and what a dropped future does.

use std::path::Path;

use crate::tidy::{read, root, rust_files, without_tests};

/// A method with its documentation.
struct Method {
    name: String,
    docs: String,
    signature: String,
}

impl Method {
    fn is_async(&self) -> bool {
        self.signature.contains("async fn ") || self.signature.contains("-> impl Future<")
    }

    fn may_fail(&self) -> bool {
        ["-> Result<", "Future<Output = Result<"].iter().any(|result| self.signature.contains(result))
    }
}

/// Returns whether the docs have this section, with text.
fn has_section(docs: &str, title: &str) -> bool {
    let mut lines = docs.lines().skip_while(|line| *line != format!("# {title}"));
    lines.nth(1).is_some_and(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Returns the documentation above the item that begins at the byte `at`.
fn docs_above(text: &str, at: usize) -> String {
    let mut docs: Vec<&str> = text[..at]
        .lines()
        .rev()
        .skip_while(|line| line.starts_with("#["))
        .map_while(|line| line.strip_prefix("///"))
        .map(str::trim_start)
        .collect();
    docs.reverse();
    docs.join("\n")
}

/// Returns the methods in this text whose first line has one of these beginnings.
fn methods(text: &str, beginnings: &[&str]) -> Vec<Method> {
    let (mut found, mut docs) = (Vec::new(), Vec::new());
    let mut lines = text.lines().map(str::trim_start);
    while let Some(line) = lines.next() {
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc.trim_start());
        } else if let Some(rest) = beginnings.iter().find_map(|beginning| line.strip_prefix(beginning)) {
            let mut signature = line.to_owned();
            while !signature.ends_with([';', '{']) {
                signature.push_str(lines.next().unwrap());
            }
            let name = rest.split(['(', '<']).next().unwrap_or_default().to_owned();
            found.push(Method { name, docs: std::mem::take(&mut docs).join("\n"), signature });
        } else if !line.starts_with("#[") {
            docs.clear();
        }
    }
    found
}

/// Asserts that each method, or its trait or type, has the sections; returns the number of async methods.
fn check(path: &Path, docs: &str, methods: &[Method]) -> usize {
    for method in methods {
        let place = format!("{}: `{}`", path.display(), method.name);
        let says = |title| has_section(&method.docs, title) || has_section(docs, title);
        assert!(!method.may_fail() || says("Errors"), "{place} has no `# Errors`");
        assert!(!method.is_async() || says("Cancel safety"), "{place} has no `# Cancel safety`");
    }
    methods.iter().filter(|method| method.is_async()).count()
}

/// Checks every public trait of a file; returns the number of their async methods.
fn check_traits(path: &Path) -> usize {
    let text = read(path);
    let traits = text.match_indices("\npub trait ");
    let checked = traits.map(|(at, _)| {
        let body = text[at..].split("\n}").next().unwrap_or_default();
        check(path, &docs_above(&text, at + 1), &methods(body, &["async fn ", "fn "]))
    });
    checked.sum()
}

#[test]
fn ports_name_their_errors_and_what_a_dropped_future_does() {
    let checked: usize =
        rust_files(&root().join("sutazai-core/src/ports")).iter().map(|path| check_traits(path)).sum();
    assert!(checked > 80, "only {checked} async methods were found");
}

#[test]
fn main_types_name_their_errors_and_what_a_dropped_future_does() {
    let core = root().join("sutazai-core/src");
    let checked = check_traits(&core.join("typed_agent/contract.rs"));
    assert_eq!(checked, 1, "`TypedAgent::run` was not found");
    for (name, files) in [
        ("Engine", &["engine/client/engine.rs", "engine/client/submit.rs", "engine/client/lifecycle.rs"][..]),
        ("EngineBuilder", &["engine/client/builder.rs"]),
        ("TaskHandle", &["engine/client/task_handle.rs"]),
        ("Schedules", &["schedules/service.rs"]),
        ("Chat", &["chat/service.rs"]),
        ("Documents", &["documents/service.rs"]),
    ] {
        let text = read(&core.join(files[0]));
        let at = text.find(&format!("\npub struct {name} {{")).unwrap();
        let docs = docs_above(&text, at + 1);
        let mut checked = 0;
        for file in files {
            let path = core.join(file);
            let text = read(&path);
            checked += check(&path, &docs, &methods(without_tests(&text), &["pub async fn ", "pub fn "]));
        }
        assert!(checked > 0, "no async method of {name} was found");
    }
}
