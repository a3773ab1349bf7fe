//! Embeds ReDoc when `SUTAZAI_REDOC` names its script (`scripts/redoc.sh` downloads it). The build itself downloads
//! nothing. The script's only remote resource, a logo on its vendor's host, is removed, so that the page loads
//! nothing from elsewhere.

#![allow(clippy::print_stdout)] // Cargo reads the instructions of a build script from its standard output.

use std::path::Path;

/// Remote image that ReDoc's script refers to.
const LOGO_URL: &str = "https://cdn.redoc.ly/redoc/logo-mini.svg";

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
        // An empty data URL: ReDoc shows no logo then.
        std::fs::write(Path::new(&folder).join("redoc.standalone.js"), script.replace(LOGO_URL, "data:,"))?;
    }
    Ok(())
}
