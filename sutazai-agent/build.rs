//! Gathers the libraries of llama.cpp in one folder beside the programs, `sutazai-native`, where programs look for them.
//!
//! llama.cpp comes as shared libraries so that the kernels for one processor are chosen when a program starts. Cargo
//! leaves them in folders of the build; a program that is started by hand, or copied with its folder, needs them together.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// The folder's name.
const FOLDER: &str = "sutazai-native";

/// The variant with AMX. GCC before 13.2 drops the stores before `ldtilecfg` (llama.cpp #20824), so what it builds crashes
/// or computes wrongly.
const AMX_VARIANT: &str = "libggml-cpu-sapphirerapids.so";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CXX");
    // A path of its own beats LD_LIBRARY_PATH only as DT_RPATH: another libllama.so must not be taken for ours.
    println!(
        "cargo:rustc-link-arg-bins=-Wl,--disable-new-dtags,-rpath,$ORIGIN/{FOLDER}:$ORIGIN/../lib/sutazai"
    );
    println!("cargo:rustc-link-arg-tests=-Wl,--disable-new-dtags,-rpath,$ORIGIN/../{FOLDER}");
    println!("cargo:rustc-link-arg-benches=-Wl,--disable-new-dtags,-rpath,$ORIGIN/../{FOLDER}");
    let Some(backends) = env::var_os("DEP_LLAMA_BACKENDS_DIR").map(PathBuf::from) else { return Ok(()) };
    let built = backends.parent().unwrap_or(Path::new("."));
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    // OUT_DIR is <profile>/build/<package>/out.
    let profile = out.ancestors().nth(3).unwrap_or(&out);
    let folder = profile.join(FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for lib in ["lib", "lib64"].map(|name| built.join(name)) {
        copy(&lib, &folder, is_shared_library)?;
    }
    resolve_links(profile, built)?;
    let amx_works = amx_is_compiled_right();
    copy(&backends, &folder, |name| name.ends_with(".so") && (amx_works || name != AMX_VARIANT))?;
    println!("cargo:folder={}", folder.display());
    Ok(())
}

/// Copies what is wanted; a link is copied as the file that it leads to.
fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if wanted(&name) {
            fs::copy(&path, to.join(&name))?;
        }
    }
    Ok(())
}

/// Gives the links that llama-cpp-sys-2 leaves in the folders of the build something to lead to: it takes a link that leads
/// nowhere for a missing one, and fails when it runs again and cannot make it.
fn resolve_links(profile: &Path, built: &Path) -> io::Result<()> {
    for folder in [profile.to_path_buf(), profile.join("deps"), profile.join("examples")] {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&folder)? {
            let link = entry?.path();
            let Ok(target) = fs::read_link(&link) else { continue };
            let wanted = folder.join(&target);
            let library = built.join("lib").join(&target);
            if target.parent() == Some(Path::new("")) && !wanted.exists() && library.exists() {
                let _ = fs::remove_file(&wanted);
                std::os::unix::fs::symlink(library, wanted)?;
            }
        }
    }
    Ok(())
}

/// Whether this is the name by which programs ask for a library: `libllama.so.0`, with the major version only. Of
/// `libllama-common`, the tools' part of llama.cpp, nothing is used.
fn is_shared_library(name: &str) -> bool {
    let version = name.split_once(".so.").map(|(_, version)| version);
    !name.starts_with("libllama-common")
        && version.is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether the C++ compiler keeps the stores before `ldtilecfg`: every one but GCC before 13.2.
fn amx_is_compiled_right() -> bool {
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    // Only GCC knows this option.
    let Ok(output) = Command::new(compiler).arg("-dumpfullversion").output() else { return true };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text.trim().split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    !output.status.success() || version == (0, 0) || version >= (13, 2)
}
