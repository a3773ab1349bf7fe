//! Loads the kernels that fit this processor.
//!
//! ggml comes as one library for each generation of processors (`libggml-cpu-haswell.so`, ...), of which the best that
//! this processor can run is loaded. They lie beside `libggml-base.so`, wherever the loader found that one, so a program,
//! a wheel and an image need no setting for them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sutazai_core::{Error, Result};

/// The library that all variants need.
const BASE: &str = "libggml-base.so";

/// How the libraries of variants begin; the variant's name follows, then `.so`.
const PREFIX: &str = "libggml-cpu-";

/// Loads the best CPU variant except the excluded ones; returns its name. Later calls return the first one's result.
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
        // ggml chooses among all libraries of a folder, so it is given a folder without the excluded ones.
        let links = Links::create(&folder, &allowed)?;
        llama_cpp_2::llama_backend::load_backends_from_path(&links.0);
    }
    match loaded() {
        Some(name) => Ok(Some(name)),
        None => Err(Error::unavailable(format!(
            "none of the CPU variants of llama.cpp in {} runs on this processor",
            folder.display()
        ))),
    }
}

/// The folder of the variants.
fn folder() -> Result<PathBuf> {
    let base = mapped().into_iter().find(|path| file_name(path).starts_with(BASE));
    let folder = base.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    let folder = folder.ok_or_else(|| Error::unavailable(format!("{BASE} is not loaded in this process")))?;
    // A build folder of cargo keeps the variants beside the folder of the other libraries.
    let built = folder.parent().map(|parent| parent.join("backends"));
    match built.filter(|built| variants(&folder).is_empty() && built.is_dir()) {
        Some(built) => Ok(built),
        None => Ok(folder),
    }
}

/// Names of the variants in a folder.
fn variants(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| variant(&entry.path())).collect()
}

/// The variant whose library is loaded.
fn loaded() -> Option<String> {
    mapped().iter().find_map(|path| variant(path))
}

fn variant(library: &Path) -> Option<String> {
    let name = file_name(library);
    Some(name.strip_prefix(PREFIX)?.strip_suffix(".so")?.to_owned())
}

fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// Files that are mapped into this process.
fn mapped() -> BTreeSet<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    // The path is the sixth column and may itself have spaces.
    maps.lines().filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..]))).collect()
}

/// A temporary folder of links to libraries; removed when it is dropped, which mapped libraries survive.
struct Links(PathBuf);

impl Links {
    fn create(from: &Path, variants: &[&String]) -> Result<Self> {
        let failed = |e| Error::unavailable("the kernels of llama.cpp could not be linked").with_source(e);
        let name = format!("sutazai-kernels-{}-{:x}", std::process::id(), rand::random::<u64>());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).map_err(failed)?;
        let links = Self(folder);
        for variant in variants {
            let library = format!("{PREFIX}{variant}.so");
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
