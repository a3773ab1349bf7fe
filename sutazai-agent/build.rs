//! Collects the shared libraries of llama.cpp in one folder next to the programs, `sutazai-native`.
//!
//! llama.cpp is linked as shared libraries, so that the kernels for one processor are selected at program start. Cargo
//! leaves them in several build folders; a program that is started directly, or copied with its folder, needs them in
//! one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// Name of the folder next to the programs.
const LIBRARY_FOLDER: &str = "sutazai-native";

/// Library of the variant with AMX. GCC before 13.2 drops the stores before `ldtilecfg` (llama.cpp #20824), so that its
/// build crashes or computes wrong results.
const AMX_VARIANT: &str = "libggml-cpu-sapphirerapids.so";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CXX");
    // Only DT_RPATH takes precedence over LD_LIBRARY_PATH; with DT_RUNPATH another libllama.so could be loaded instead.
    println!(
        "cargo:rustc-link-arg-bins=-Wl,--disable-new-dtags,-rpath,$ORIGIN/{LIBRARY_FOLDER}:$ORIGIN/../lib/sutazai"
    );
    println!("cargo:rustc-link-arg-tests=-Wl,--disable-new-dtags,-rpath,$ORIGIN/../{LIBRARY_FOLDER}");
    println!("cargo:rustc-link-arg-benches=-Wl,--disable-new-dtags,-rpath,$ORIGIN/../{LIBRARY_FOLDER}");
    let Some(backends) = env::var_os("DEP_LLAMA_BACKENDS_DIR").map(PathBuf::from) else { return Ok(()) };
    let built = backends.parent().unwrap_or(Path::new("."));
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    // OUT_DIR is <profile>/build/<package>/out.
    let profile = out.ancestors().nth(3).unwrap_or(&out);
    let folder = profile.join(LIBRARY_FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for lib in ["lib", "lib64"].map(|name| built.join(name)) {
        copy(&lib, &folder, is_shared_library)?;
    }
    resolve_links(profile, built)?;
    let amx_works = compiler_builds_amx_correctly();
    copy(&backends, &folder, |name| name.ends_with(".so") && (amx_works || name != AMX_VARIANT))?;
    println!("cargo:folder={}", folder.display());
    Ok(())
}

/// Copies the entries that satisfy `wanted`; a symbolic link is copied as its target file.
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

/// Repairs dangling links that llama-cpp-sys-2 leaves in the build folders. Its build script takes a dangling link for
/// a missing one, and fails on its next run because it cannot create it.
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

/// Returns whether `name` is the name under which programs load a library, with the major version only, such as
/// `libllama.so.0`. Excludes `libllama-common`, which belongs to llama.cpp's tools.
fn is_shared_library(name: &str) -> bool {
    let version = name.split_once(".so.").map(|(_, version)| version);
    !name.starts_with("libllama-common")
        && version.is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns whether the C++ compiler keeps the stores before `ldtilecfg`: every one except GCC before 13.2.
fn compiler_builds_amx_correctly() -> bool {
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    // Only GCC supports this option.
    let Ok(output) = Command::new(compiler).arg("-dumpfullversion").output() else { return true };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text.trim().split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    !output.status.success() || version == (0, 0) || version >= (13, 2)
}
