//! Embeds files into the program: ReDoc when `SUTAZAI_REDOC` names its script (`scripts/redoc.sh` downloads it), and the
//! web interface when `SUTAZAI_UI` names the folder of its built files. The build itself downloads nothing.

#![allow(clippy::print_stdout)] // Cargo reads the instructions of a build script from its standard output.

use std::io::{Error, Result};
use std::path::{Path, PathBuf};

/// Remote image that ReDoc's script refers to. It is removed, so that the page loads nothing from elsewhere.
const LOGO_URL: &str = "https://cdn.redoc.ly/redoc/logo-mini.svg";

fn main() -> Result<()> {
    println!("cargo::rustc-check-cfg=cfg(redoc, ui)");
    println!("cargo::rerun-if-changed=build.rs");
    if let Some(path) = named("CARGO_FEATURE_API_DOCS", "SUTAZAI_REDOC") {
        println!("cargo::rerun-if-changed={}", path.display());
        println!("cargo::rustc-cfg=redoc");
        let script = std::fs::read_to_string(path)?;
        // An empty data URL: ReDoc shows no logo then.
        std::fs::write(written("redoc.standalone.js"), script.replace(LOGO_URL, "data:,"))?;
    }
    if let Some(folder) = named("CARGO_FEATURE_UI", "SUTAZAI_UI") {
        println!("cargo::rustc-cfg=ui");
        let mut files = Vec::new();
        collect(&folder, "", &mut files)?;
        if !files.iter().any(|(name, _)| name == "index.html") {
            return Err(Error::other(format!("SUTAZAI_UI: {} has no index.html", folder.display())));
        }
        files.sort();
        let entries =
            files.iter().map(|(name, path)| format!("({name:?}, include_bytes!({path:?}).as_slice()),"));
        std::fs::write(written("ui_files.rs"), format!("&[{}]", entries.collect::<String>()))?;
    }
    Ok(())
}

/// Returns the path in this variable if the feature is on.
fn named(feature: &str, variable: &str) -> Option<PathBuf> {
    std::env::var_os(feature)?;
    println!("cargo::rerun-if-env-changed={variable}");
    std::env::var_os(variable).map(PathBuf::from)
}

/// Returns the path of a file that the build writes.
fn written(name: &str) -> PathBuf {
    Path::new(&std::env::var_os("OUT_DIR").unwrap_or_default()).join(name)
}

/// Collects the files below a folder: each with its name relative to it, and its path.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name =
            entry.file_name().into_string().map_err(|name| Error::other(format!("SUTAZAI_UI: {name:?}")))?;
        let (name, path) = (format!("{prefix}{name}"), entry.path().canonicalize()?);
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
        } else {
            println!("cargo::rerun-if-changed={}", path.display());
            files.push((name, path));
        }
    }
    Ok(())
}
