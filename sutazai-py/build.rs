//! Sets the search path of the extension module for the libraries of llama.cpp, which `scripts/python-package.sh`
//! copies into the package.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-cdylib=-Wl,--disable-new-dtags,-rpath,$ORIGIN/_native");
}
