//! Tells the extension module where the libraries of llama.cpp lie: in the package, where `scripts/python-package.sh` puts
//! them.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-cdylib=-Wl,--disable-new-dtags,-rpath,$ORIGIN/_native");
}
