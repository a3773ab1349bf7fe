//! State kept between starts: digests of model files, and CPU variants that crashed with a model on this machine.
//!
//! Both are caches. A file that cannot be read or written only makes the next start slower, so the problem is logged
//! and the start continues.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use data_encoding::HEXLOWER;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sutazai_core::Result;

use super::file;

const DIGESTS_FILE: &str = "model-digests.json";
const VARIANTS_FILE: &str = "cpu-variants.json";

/// Cached digest, with the size and modification time of the file it was computed from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Digested {
    bytes: u64,
    modified_ns: u64,
    digest: String,
}

/// State folder of a [`ModelLauncher`](super::ModelLauncher).
#[derive(Debug, Clone)]
pub(super) struct State(pub(super) Option<PathBuf>);

impl State {
    /// Returns the SHA-256 digest of a model file, as `sha256:` and hexadecimal digits. It is computed once for each
    /// version of the file, told apart by size and modification time.
    ///
    /// # Errors
    /// `InvalidInput` naming `MODEL_BACKENDS` when the file cannot be read.
    pub(super) fn digest(&self, path: &Path) -> Result<String> {
        let unreadable = |e: io::Error| file::unusable(path, &format!("it cannot be read: {e}"));
        let path = fs::canonicalize(path).map_err(unreadable)?;
        let about = fs::metadata(&path).map_err(unreadable)?;
        let modified =
            about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let modified_ns = u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX);
        let key = path.to_string_lossy().into_owned();
        let mut known: BTreeMap<String, Digested> = self.read(DIGESTS_FILE);
        let same =
            known.get(&key).filter(|known| (known.bytes, known.modified_ns) == (about.len(), modified_ns));
        if let Some(same) = same {
            return Ok(same.digest.clone());
        }
        let digest = format!("sha256:{}", HEXLOWER.encode(&hash(&path).map_err(unreadable)?));
        known.insert(key, Digested { bytes: about.len(), modified_ns, digest: digest.clone() });
        self.write(DIGESTS_FILE, &known);
        Ok(digest)
    }

    /// Returns the CPU variants that crashed with this model on this processor.
    pub(super) fn crashed_variants(&self, model_digest: &str) -> Vec<String> {
        let mut known: BTreeMap<String, Vec<String>> = self.read(VARIANTS_FILE);
        known.remove(&variant_key(model_digest)).unwrap_or_default()
    }

    /// Stores the crashed variants of this model for later starts.
    pub(super) fn remember_crashed_variants(&self, model_digest: &str, variants: &[String]) {
        let mut known: BTreeMap<String, Vec<String>> = self.read(VARIANTS_FILE);
        known.insert(variant_key(model_digest), variants.to_vec());
        self.write(VARIANTS_FILE, &known);
    }

    fn read<T: DeserializeOwned + Default>(&self, name: &str) -> T {
        let Some(folder) = &self.0 else { return T::default() };
        let path = folder.join(name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return T::default(),
            Err(e) => {
                tracing::warn!(path = %path.display(), error = %e, "model state not read");
                return T::default();
            }
        };
        serde_json::from_slice(&text).unwrap_or_else(|e| {
            tracing::warn!(path = %path.display(), error = %e, "model state is damaged; starting without it");
            T::default()
        })
    }

    /// Replaces the file atomically, so that readers never see a partial one.
    fn write(&self, name: &str, value: &impl Serialize) {
        let Some(folder) = &self.0 else { return };
        let path = folder.join(name);
        let temporary = folder.join(format!("{name}.{}", std::process::id()));
        let write = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            fs::write(&temporary, serde_json::to_vec_pretty(value)?)?;
            fs::rename(&temporary, &path)
        };
        if let Err(e) = write() {
            tracing::warn!(path = %path.display(), error = %e, "model state not written");
        }
    }
}

fn hash(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().to_vec()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// Returns the key of crashed variants: model, processor and program version, since a change of any of them may make
/// the variant work.
fn variant_key(model_digest: &str) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let about = |name: &str| cpu.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    let parts = [model_digest, &about("model name"), &about("flags"), env!("CARGO_PKG_VERSION")];
    HEXLOWER.encode(&Sha256::digest(parts.join("\n"))[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_follows_the_content_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (model, state) = (folder.path().join("m.gguf"), State(Some(folder.path().join("state"))));
        fs::write(&model, "abc").unwrap();
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(state.digest(&model).unwrap(), abc);
        assert_eq!(state.digest(&model).unwrap(), abc);
        fs::write(&model, "abcd").unwrap();
        assert_ne!(state.digest(&model).unwrap(), abc);
        let e = state.digest(&folder.path().join("none.gguf")).unwrap_err();
        assert_eq!(e.field(), Some("MODEL_BACKENDS"));
    }

    #[test]
    fn damaged_or_missing_state_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let state = State(Some(folder.path().to_path_buf()));
        assert!(state.crashed_variants("sha256:00").is_empty());
        state.remember_crashed_variants("sha256:00", &["zen4".into()]);
        assert_eq!(state.crashed_variants("sha256:00"), ["zen4"]);
        assert!(state.crashed_variants("sha256:01").is_empty());
        fs::write(folder.path().join(VARIANTS_FILE), "{").unwrap();
        assert!(state.crashed_variants("sha256:00").is_empty());
        assert!(State(None).crashed_variants("sha256:00").is_empty());
    }
}
