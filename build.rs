//! Sets the library search path of programs: the libraries of llama.cpp are next to them after a build, and in
//! `../lib/sutazai` after an installation.

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
