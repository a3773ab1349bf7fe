//! House rule of structure: files of a crate import each other in circles of at most two.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::tidy::{read, root, rust_files, without_tests};

/// Path of a module in its crate; the root is empty.
type Module = Vec<String>;

/// Most files of a circle: a type and its builder, or two halves of one idea, may know each other.
const MAX_CIRCLE: usize = 2;

/// The modules of a crate with the modules that each imports.
fn imports(source: &Path) -> BTreeMap<Module, BTreeSet<Module>> {
    let texts: BTreeMap<Module, String> =
        rust_files(source).iter().map(|file| (module_of(source, file), code_of(&read(file)))).collect();
    let resolve = |module: &Module, path: &str| -> Option<Module> {
        let mut parts = path.split("::").peekable();
        let mut at = match *parts.peek()? {
            "crate" => Module::new(),
            "self" | "super" => module.clone(),
            _ => return None,
        };
        while let Some(step) = parts.next_if(|part| ["crate", "self", "super"].contains(part)) {
            if step == "super" {
                at.pop();
            }
        }
        for part in parts {
            let below: Module = at.iter().cloned().chain([part.to_owned()]).collect();
            if !texts.contains_key(&below) {
                break;
            }
            at = below;
        }
        // A folder's module lists its files, which is no import.
        (at != *module && !at.is_empty()).then_some(at)
    };
    texts
        .iter()
        .map(|(module, text)| {
            let paths = paths_of(text);
            (module.clone(), paths.iter().filter_map(|path| resolve(module, path)).collect())
        })
        .collect()
}

fn module_of(source: &Path, file: &Path) -> Module {
    let path = file.strip_prefix(source).unwrap().with_extension("");
    let mut module: Module =
        path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|name| ["lib", "main", "mod"].contains(&name.as_str())) {
        module.pop();
    }
    module
}

/// The text without tests and comments.
fn code_of(text: &str) -> String {
    without_tests(text)
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every path that begins with `crate`, `self` or `super`, with the groups of `use` lines expanded.
fn paths_of(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut rest = code;
    while let Some(at) = ["crate::", "self::", "super::"].iter().filter_map(|start| rest.find(start)).min() {
        let is_start = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let end = at + expand("", &rest[at..], &mut if is_start { Some(&mut paths) } else { None });
        rest = &rest[end.max(at + 1)..];
    }
    paths
}

/// Adds the paths that `text` begins with, each after `prefix`. Returns how many bytes they take.
fn expand(prefix: &str, text: &str, paths: &mut Option<&mut Vec<String>>) -> usize {
    let word = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let path = format!("{prefix}{}", &text[..word]);
    if !(path.ends_with("::") && text[word..].starts_with('{')) {
        if let Some(paths) = paths {
            paths.push(path.trim_end_matches("::").to_owned());
        }
        return word;
    }
    let mut at = word + 1;
    loop {
        at += text[at..].len() - text[at..].trim_start_matches([' ', '\n', ',']).len();
        if at >= text.len() || text[at..].starts_with('}') {
            return (at + 1).min(text.len());
        }
        let taken = expand(&path, &text[at..], paths);
        at += taken.max(1);
        // `as name` belongs to the item before it.
        at += text[at..].find([',', '}', '{']).unwrap_or(0);
    }
}

/// Returns the modules that `from` reaches over imports.
fn reached<'a>(graph: &'a BTreeMap<Module, BTreeSet<Module>>, from: &'a Module) -> BTreeSet<&'a Module> {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(module) = waiting.pop() {
        for next in graph.get(module).into_iter().flatten() {
            if seen.insert(next) {
                waiting.push(next);
            }
        }
    }
    seen
}

#[test]
fn imports_form_no_circle_of_more_than_two_files() {
    let mut found = BTreeSet::new();
    for source in ["src", "sutazai-core/src", "sutazai-agent/src", "sutazai-store/src", "sutazai-http/src"] {
        let graph = imports(&root().join(source));
        assert!(
            graph.values().map(BTreeSet::len).sum::<usize>() > 50,
            "{source}: hardly any import was understood"
        );
        let reach: BTreeMap<_, _> = graph.keys().map(|module| (module, reached(&graph, module))).collect();
        for (module, its_reach) in &reach {
            let circle: Vec<_> = reach
                .iter()
                .filter(|(other, of)| its_reach.contains(**other) && of.contains(*module))
                .collect();
            if circle.len() > MAX_CIRCLE {
                let files: Vec<_> = circle.iter().map(|(module, _)| module.join("/")).collect();
                found.insert(format!("{source}: {}", files.join(" ")));
            }
        }
    }
    assert!(found.is_empty(), "circles of imports:\n{}", found.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn paths_of_nested_groups_are_expanded() {
    let code =
        "use super::{a::{B, C as D}, self, e};\nlet x = crate::f::g(super::h::I);\nother::crate_name::J";
    let paths = paths_of(code);
    for path in ["super::a::B", "super::a::C", "super::self", "super::e", "crate::f::g", "super::h::I"] {
        assert!(paths.iter().any(|found| found == path), "{path} is missing in {paths:?}");
    }
    assert_eq!(paths.len(), 6, "{paths:?}");
}
