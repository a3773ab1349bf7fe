//! The invariants of ARCHITECTURE.md, checked on the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Returns every Rust file below `folder`, sorted.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn sources() -> Vec<PathBuf> {
    [
        "src",
        "sutazai-core/src",
        "sutazai-agent/src",
        "sutazai-store/src",
        "sutazai-http/src",
        "sutazai-http/bodies/src",
        "sutazai-py/src",
    ]
    .iter()
    .flat_map(|folder| rust_files(&root().join(folder)))
    .collect()
}

/// Returns the part of a file before its inline tests.
pub(crate) fn without_tests(text: &str) -> &str {
    let Some(module) = text.find("\nmod tests {") else { return text };
    let attribute = text[..module].rfind('\n').map_or(0, |end| end + 1);
    let is_of_tests = |line: &str| line.starts_with("#[cfg(") && line.contains("test");
    if is_of_tests(&text[attribute..module]) { &text[..attribute] } else { text }
}

fn code_lines(text: &str) -> usize {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

fn manifest(package: &str) -> toml::Table {
    read(&root().join(package).join("Cargo.toml")).parse().unwrap()
}

/// Returns the name of the package in this folder.
fn name(folder: &str) -> String {
    manifest(folder)["package"]["name"].as_str().unwrap().to_owned()
}

fn dependencies(package: &str) -> BTreeSet<String> {
    manifest(package)["dependencies"].as_table().unwrap().keys().cloned().collect()
}

#[test]
fn core_knows_no_io_library() {
    let allowed = [
        "async-trait",
        "caseless",
        "chrono",
        "chrono-tz",
        "croner",
        "data-encoding",
        "futures",
        "html5gum",
        "jsonschema",
        "metrics",
        "mockall",
        "rand",
        "schemars",
        "serde",
        "serde_json",
        "sha2",
        "thiserror",
        "tokio",
        "tokio-util",
        "tracing",
        "unicode-normalization",
        "uuid",
        "zxcvbn",
    ];
    for dependency in dependencies("sutazai-core") {
        assert!(allowed.contains(&dependency.as_str()), "sutazai-core depends on {dependency}");
    }
}

#[test]
fn facade_exports_every_module_of_the_core() {
    let modules = read(&root().join("sutazai-core/src/lib.rs"));
    let facade = read(&root().join("src/lib.rs"));
    let adapter = read(&root().join("src/adapter.rs"));
    let exported = without_tests(&facade).split_once("pub use sutazai_core::{").unwrap().1;
    let exported = exported.split_once("};").unwrap().0;
    let names: BTreeSet<&str> = exported.split([',', ' ', '\n']).filter(|name| !name.is_empty()).collect();
    for module in modules.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let module = module.trim_end_matches(';');
        // The facade exports the items of `error` themselves, and has a module of its own for those of `adapter`.
        let is_exported = module == "error"
            || (module == "adapter" && adapter.contains("pub use sutazai_core::adapter::*;"))
            || names.contains(module)
            || facade.contains(&format!("pub use sutazai_core::{module};"));
        assert!(is_exported, "src/lib.rs does not export sutazai_core::{module}");
    }
}

/// Holds that no embedder needs an item of `adapter`: neither the prelude nor an example or a page about embedding uses
/// one. An example of a custom task store is an adapter itself.
#[test]
fn embedders_need_no_item_of_the_adapter_module() {
    let mut pages = rust_files(&root().join("examples"));
    pages.retain(|path| !path.ends_with("08_custom_task_store.rs"));
    pages.extend(["README.md", "docs/embedding.md", "src/prelude.rs"].map(|path| root().join(path)));
    for path in pages {
        assert!(!read(&path).contains("adapter::"), "{} uses an item of `adapter`", path.display());
    }
}

/// Dependencies without a name in the sources, each with its reason.
const UNNAMED_DEPENDENCIES: &[&str] = &[
    // The version of llama.cpp, which `llama-cpp-2` leaves open.
    "llama-cpp-sys-2",
    // Of the tests of HTTP: they include the databases of the store's tests.
    "sqlx",
];

#[test]
fn every_dependency_is_used() {
    for package in [
        "",
        "sutazai-core",
        "sutazai-agent",
        "sutazai-store",
        "sutazai-http",
        "sutazai-http/bodies",
        "sutazai-py",
    ] {
        let folder = root().join(package);
        let text = |folders: &[&str]| -> String {
            folders.iter().flat_map(|name| rust_files(&folder.join(name))).map(|path| read(&path)).collect()
        };
        let (source, tests) = (text(&["src"]), text(&["src", "tests", "benches", "examples"]));
        let build = read_if_there(&folder.join("build.rs"));
        let manifest = manifest(package);
        for (table, text) in
            [("dependencies", &source), ("dev-dependencies", &tests), ("build-dependencies", &build)]
        {
            for name in manifest
                .get(table)
                .and_then(|table| table.as_table())
                .into_iter()
                .flat_map(|table| table.keys())
            {
                let is_used =
                    text.contains(&name.replace('-', "_")) || UNNAMED_DEPENDENCIES.contains(&name.as_str());
                assert!(
                    is_used,
                    "{}: nothing in it names {name} of [{table}]",
                    folder.join("Cargo.toml").display()
                );
            }
        }
    }
}

#[test]
fn adapter_crates_never_depend_on_each_other() {
    // The bodies of the HTTP API have no server and no client in them, so that both can use them.
    let http: &[&str] = &["sutazai-bodies", "sutazai-core"];
    for (package, expected) in [
        ("sutazai-agent", &["sutazai-core"][..]),
        ("sutazai-store", &["sutazai-core"]),
        ("sutazai-http", http),
        ("sutazai-http/bodies", &["sutazai-core"]),
    ] {
        let ours: Vec<_> = dependencies(package).into_iter().filter(|d| d.starts_with("sutazai")).collect();
        assert_eq!(ours, expected, "{package}");
    }
}

#[test]
fn release_builds_check_sums_and_unwind() {
    let workspace: toml::Table = read(&root().join("Cargo.toml")).parse().unwrap();
    let release = &workspace["profile"]["release"];
    assert_eq!(release["panic"].as_str(), Some("unwind"));
    let members = workspace["workspace"]["members"].as_array().unwrap().iter().filter_map(|m| m.as_str());
    for package in members.chain([""]).map(name) {
        let checked = release["package"].get(&package).and_then(|of| of["overflow-checks"].as_bool());
        assert_eq!(checked, Some(true), "overflow checks of {package}");
    }
}

#[test]
fn agents_import_neither_models_nor_metrics() {
    for path in rust_files(&root().join("sutazai-agent/src/agents")) {
        let text = read(&path);
        for word in ["crate::models", "crate::metrics"] {
            assert!(!without_tests(&text).contains(word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn agents_touch_no_store_spawn_nothing_and_sleep_on_nothing() {
    for path in rust_files(&root().join("sutazai-agent/src/agents")) {
        let text = read(&path);
        for word in ["TaskStore", "IdentityStore", "tokio::spawn", "spawn_blocking", "sleep(", "Engine"] {
            assert!(!without_tests(&text).contains(word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn time_comes_from_the_clock_port_only() {
    let everywhere =
        ["std::time::SystemTime::now", "chrono::Utc::now", "tokio::time::sleep", "std::thread::sleep"];
    let of_core = ["std::time::Instant::now", "tokio::time::Instant::now", "tokio::time::timeout"];
    for (file, methods) in [
        ("clippy.toml", everywhere.to_vec()),
        ("sutazai-core/clippy.toml", [&everywhere[..], &of_core].concat()),
    ] {
        let rules = read(&root().join(file));
        for method in methods {
            assert!(rules.contains(&format!("path = \"{method}\"")), "{file} allows {method}");
        }
    }
    // Agents share their crate, and with it the rules of clippy, with adapters.
    for path in rust_files(&root().join("sutazai-agent/src/agents")) {
        let text = read(&path);
        for word in ["Instant", "tokio::time"] {
            assert!(!without_tests(&text).contains(word), "{} names {word}", path.display());
        }
    }
    for path in sources() {
        if path.ends_with("ports/clock.rs") {
            continue;
        }
        let text = read(&path);
        assert!(!without_tests(&text).contains("disallowed_methods"), "{} lifts the rule", path.display());
    }
}

/// Rejects `at + duration`, which panics at the end of the calendar: durations come from settings, callers
/// and servers. Constants are safe.
#[test]
fn sums_of_times_cannot_panic() {
    // The conformance suites choose their own times.
    for path in
        sources().into_iter().filter(|path| !path.starts_with(root().join("sutazai-core/src/testing")))
    {
        let text = read(&path);
        for line in without_tests(&text).lines().filter(|line| !line.trim_start().starts_with("//")) {
            for sum in ["now + ", "now() + ", "_at + ", "until + "] {
                let Some((before, after)) = line.split_once(sum) else { continue };
                let is_constant = after.starts_with(|c: char| c.is_ascii_uppercase());
                let is_monotonic = before.ends_with("Instant::") || before.contains("redis.call");
                assert!(is_constant || is_monotonic, "{}: use `later`: {line}", path.display());
            }
        }
    }
}

/// SQLite plans a statement again whenever the bare parameter of a limit is bound.
#[test]
fn limits_of_sqlite_are_expressions() {
    let files = rust_files(&root().join("sutazai-store/src/sqlite"));
    let mut limits = 0;
    for (path, text) in files.iter().map(|path| (path, read(path))) {
        // In a constant, and pushed to a statement.
        for (begin, end) in [("LIMIT ?", " + 0"), ("LIMIT \")", ".push(\" + 0\")")] {
            for after in text.split(begin).skip(1).map(|after| after.split(';').next().unwrap_or_default()) {
                assert!(after.contains(end), "{}: {begin}{after}", path.display());
                limits += 1;
            }
        }
    }
    assert!(limits > 10);
}

fn read_if_there(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn every_file_is_listed_in_its_registry() {
    for folder in ["agents", "models", "metrics"] {
        let folder = root().join("sutazai-agent/src").join(folder);
        let registry = read(&folder.join("mod.rs"));
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            if name != "mod" {
                assert!(registry.contains(&format!("mod {name};")), "{} is not in mod.rs", path.display());
            }
        }
    }
}

#[test]
fn no_file_is_longer_than_500_code_lines() {
    for path in sources() {
        let text = read(&path);
        let lines = code_lines(without_tests(&text));
        assert!(lines <= 500, "{} has {lines} code lines: split it by role", path.display());
    }
}

#[test]
fn no_file_is_called_utils() {
    for path in sources() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            !["util", "utils", "helper", "helpers", "common", "misc"].contains(&name.as_str()),
            "{}",
            path.display()
        );
    }
}

#[test]
fn every_example_is_under_100_lines() {
    let examples = rust_files(&root().join("examples"));
    assert!(examples.len() >= 6, "{examples:?}");
    for path in examples {
        let lines = read(&path).lines().count();
        // A whole storage with its tests is no snippet.
        let limit = if path.ends_with("08_custom_task_store.rs") { 200 } else { 100 };
        assert!(lines < limit, "{} has {lines} lines", path.display());
    }
}
