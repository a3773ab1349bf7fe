//! Tells programs where the libraries of llama.cpp lie: beside them, as built, or in `../lib/sutazai`, as installed.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // As in sutazai-agent/build.rs, which gathers the libraries.
    println!(
        "cargo:rustc-link-arg-bins=-Wl,--disable-new-dtags,-rpath,$ORIGIN/sutazai-native:$ORIGIN/../lib/sutazai"
    );
    for kind in ["tests", "examples", "benches"] {
        println!("cargo:rustc-link-arg-{kind}=-Wl,--disable-new-dtags,-rpath,$ORIGIN/../sutazai-native");
    }
}
