//! Has ReDoc embedded when `SUTAZAI_REDOC` names its file (`scripts/redoc.sh` brings it), but for the one thing that it
//! loads from its makers' host: their logo. A build fetches nothing.

#![allow(clippy::print_stdout)] // how a build script speaks to cargo

use std::path::Path;

/// What of ReDoc is on another host.
const ELSEWHERE: &str = "https://cdn.redoc.ly/redoc/logo-mini.svg";

fn main() -> std::io::Result<()> {
    println!("cargo::rustc-check-cfg=cfg(redoc)");
    if std::env::var_os("CARGO_FEATURE_DOCS").is_none() {
        println!("cargo::rerun-if-changed=build.rs");
        return Ok(());
    }
    println!("cargo::rerun-if-env-changed=SUTAZAI_REDOC");
    if let Ok(path) = std::env::var("SUTAZAI_REDOC") {
        println!("cargo::rerun-if-changed={path}");
        println!("cargo::rustc-cfg=redoc");
        let script = std::fs::read_to_string(path)?;
        let folder = std::env::var_os("OUT_DIR").unwrap_or_default();
        // An image that is none: ReDoc then leaves it out.
        std::fs::write(Path::new(&folder).join("redoc.standalone.js"), script.replace(ELSEWHERE, "data:,"))?;
    }
    Ok(())
}
