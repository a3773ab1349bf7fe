//! Loader of the CPU kernels that fit this processor.
//!
//! ggml ships one library per generation of processors (`libggml-cpu-haswell.so`, ...), and the best one that this
//! processor can run is loaded. The libraries are next to the base library, wherever the dynamic loader found that, so that
//! programs, wheels and images need no setting for them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sutazai_core::{Error, Result};

/// Prefix of the library that all variants depend on: `libggml-base.so.0`, or `libggml-base-sutazai.so.0` in a wheel.
const BASE_LIBRARY: &str = "libggml-base";

/// Prefix of the variants' libraries; the variant's name and `.so` follow.
const VARIANT_PREFIX: &str = "libggml-cpu-";

/// Loads the best CPU variant that is not excluded and returns its name. Later calls return the result of the first.
///
/// # Errors
/// `Unavailable` when no variant is found or none runs on this processor.
pub(super) fn load(excluded: &[String]) -> Result<Option<String>> {
    static LOADED: OnceLock<Result<Option<String>>> = OnceLock::new();
    LOADED.get_or_init(|| load_once(excluded)).clone()
}

fn load_once(excluded: &[String]) -> Result<Option<String>> {
    let folder = folder()?;
    let variants = variants(&folder);
    let allowed: Vec<_> = variants.iter().filter(|name| !excluded.contains(name)).collect();
    if allowed.is_empty() {
        let message = match variants.is_empty() {
            true => format!("no kernels of llama.cpp are in {}", folder.display()),
            false => {
                format!("every CPU variant of llama.cpp crashed on this machine: {}", excluded.join(", "))
            }
        };
        return Err(Error::unavailable(message));
    }
    if allowed.len() == variants.len() {
        llama_cpp_2::llama_backend::load_backends_from_path(&folder);
    } else {
        // ggml considers all libraries of a folder, so it gets a folder of links without the excluded ones.
        let links = Links::create(&folder, &allowed)?;
        llama_cpp_2::llama_backend::load_backends_from_path(&links.0);
    }
    match loaded_variant() {
        Some(name) => Ok(Some(name)),
        None => Err(Error::unavailable(format!(
            "none of the CPU variants of llama.cpp in {} runs on this processor",
            folder.display()
        ))),
    }
}

/// Finds the folder that holds the variants.
fn folder() -> Result<PathBuf> {
    let base = mapped_files().into_iter().find(|path| file_name(path).starts_with(BASE_LIBRARY));
    let folder = base.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    let folder =
        folder.ok_or_else(|| Error::unavailable(format!("{BASE_LIBRARY} is not loaded in this process")))?;
    // Cargo's build folder keeps the variants in a folder next to that of the other libraries.
    let built = folder.parent().map(|parent| parent.join("backends"));
    match built.filter(|built| variants(&folder).is_empty() && built.is_dir()) {
        Some(built) => Ok(built),
        None => Ok(folder),
    }
}

/// Lists the names of the variants in a folder.
fn variants(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| variant(&entry.path())).collect()
}

/// Returns the variant whose library is loaded.
fn loaded_variant() -> Option<String> {
    mapped_files().iter().find_map(|path| variant(path))
}

fn variant(library: &Path) -> Option<String> {
    let name = file_name(library);
    Some(name.strip_prefix(VARIANT_PREFIX)?.strip_suffix(".so")?.to_owned())
}

fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// Lists the files that are mapped into this process.
fn mapped_files() -> BTreeSet<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    // The path is the sixth column and may contain spaces itself.
    maps.lines().filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..]))).collect()
}

/// Temporary folder of links to libraries. It is removed on drop, which does not affect mapped libraries.
struct Links(PathBuf);

impl Links {
    fn create(from: &Path, variants: &[&String]) -> Result<Self> {
        let failed = |e| Error::unavailable("the kernels of llama.cpp could not be linked").with_source(e);
        let name = format!("sutazai-kernels-{}-{:x}", std::process::id(), rand::random::<u64>());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).map_err(failed)?;
        let links = Self(folder);
        for variant in variants {
            let library = format!("{VARIANT_PREFIX}{variant}.so");
            std::os::unix::fs::symlink(from.join(&library), links.0.join(&library)).map_err(failed)?;
        }
        Ok(links)
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
