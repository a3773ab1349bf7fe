//! Has ReDoc embedded when `SUTAZAI_REDOC` names its file (`scripts/redoc.sh` brings it). A build fetches nothing.

#![allow(clippy::print_stdout)] // how a build script speaks to cargo

fn main() {
    println!("cargo::rustc-check-cfg=cfg(redoc)");
    if std::env::var_os("CARGO_FEATURE_DOCS").is_none() {
        println!("cargo::rerun-if-changed=build.rs");
        return;
    }
    println!("cargo::rerun-if-env-changed=SUTAZAI_REDOC");
    if let Ok(path) = std::env::var("SUTAZAI_REDOC") {
        println!("cargo::rerun-if-changed={path}");
        println!("cargo::rustc-cfg=redoc");
    }
}
