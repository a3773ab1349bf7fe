//! What models have earned: measurements of `sutazai models check`, kept in one JSON file by the digest of the weights.
//!
//! A permission belongs to the weights, not to a name: the same file under another name keeps it, and another file under
//! the same name does not inherit it. Where a backend names no digest, its name and that of the model stand for one. The
//! file is replaced as a whole, so that a reader never sees half of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_core::domain::{ModelInfo, ModelMeasurement, ModelPermission};
use sutazai_core::{Error, Result};

/// What is known of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredModel {
    /// The backend that had the model then.
    pub backend: String,
    /// Its name there.
    pub model: String,
    /// When it was measured.
    pub measured_at: DateTime<Utc>,
    /// What it may do, in ascending order.
    pub granted: Vec<ModelPermission>,
    /// What was measured.
    pub measurements: Vec<ModelMeasurement>,
}

/// The stored measurements.
#[derive(Debug, Clone)]
pub struct PermissionStore {
    path: PathBuf,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    models: BTreeMap<String, MeasuredModel>,
}

impl PermissionStore {
    /// In this file. Nothing is read yet, and the file need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was measured of a model; none where nothing was.
    ///
    /// # Errors
    /// `Unavailable` naming the file when it cannot be read or understood.
    pub fn of(&self, model: &ModelInfo) -> Result<Option<MeasuredModel>> {
        Ok(self.read()?.models.remove(&key(model)))
    }

    /// Stores what was measured of a model, over what was known of it before. A file that cannot be understood is kept
    /// beside the new one with the ending `.damaged`.
    ///
    /// # Errors
    /// `Unavailable` naming the file when it cannot be written.
    pub fn record(&self, model: &ModelInfo, measured: MeasuredModel) -> Result<()> {
        let mut stored = match self.read() {
            Ok(stored) => stored,
            Err(e) => {
                let kept = self.path.with_extension("json.damaged");
                fs::rename(&self.path, &kept).map_err(|_| e)?;
                Stored::default()
            }
        };
        stored.models.insert(key(model), measured);
        self.write(&stored)
    }

    fn read(&self) -> Result<Stored> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Stored::default()),
            Err(e) => return Err(self.failed("cannot be read", e)),
        };
        serde_json::from_str(&text).map_err(|e| self.failed("is damaged", e))
    }

    fn write(&self, stored: &Stored) -> Result<()> {
        let failed = |e: std::io::Error| self.failed("cannot be written", e);
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        fs::create_dir_all(folder).map_err(failed)?;
        // A name of its own for each process: two that measure at once replace the file one after the other.
        let temporary = self.path.with_extension(format!("json.{}", std::process::id()));
        let mut file = fs::File::create(&temporary).map_err(failed)?;
        file.write_all(&serde_json::to_vec_pretty(stored)?).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&temporary, &self.path).map_err(failed)
    }

    fn failed(&self, what: &str, e: impl std::fmt::Display) -> Error {
        let detail = format!("{}: {e}", self.path.display());
        Error::unavailable(format!("the file of model permissions {what}")).with_detail(detail)
    }
}

/// What a model is known by: its digest, or its backend and name.
fn key(model: &ModelInfo) -> String {
    model.digest.clone().unwrap_or_else(|| format!("{}/{}", model.backend, model.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, digest: Option<&str>) -> ModelInfo {
        ModelInfo { digest: digest.map(str::to_owned), ..ModelInfo::new(name, "llama-cpp") }
    }

    fn measured(granted: &[ModelPermission]) -> MeasuredModel {
        MeasuredModel {
            backend: "llama-cpp".into(),
            model: "small".into(),
            measured_at: DateTime::UNIX_EPOCH,
            granted: granted.to_vec(),
            measurements: Vec::new(),
        }
    }

    #[test]
    fn permissions_follow_the_digest_not_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = PermissionStore::new(folder.path().join("data/permissions.json"));
        assert_eq!(store.of(&info("small", Some("sha256:1"))).unwrap(), None);
        let choose = measured(&[ModelPermission::Choose]);
        store.record(&info("small", Some("sha256:1")), choose.clone()).unwrap();
        assert_eq!(store.of(&info("renamed", Some("sha256:1"))).unwrap(), Some(choose));
        assert_eq!(store.of(&info("small", Some("sha256:2"))).unwrap(), None);
        assert_eq!(store.of(&info("small", None)).unwrap(), None);
        let word = measured(&[ModelPermission::Choose, ModelPermission::Word]);
        store.record(&info("small", None), word.clone()).unwrap();
        assert_eq!(store.of(&info("small", None)).unwrap(), Some(word));
        assert!(store.of(&info("small", Some("sha256:1"))).unwrap().is_some(), "the other entry was lost");
        let files = fs::read_dir(folder.path().join("data")).unwrap().count();
        assert_eq!(files, 1, "a temporary file was left");
    }

    #[test]
    fn a_damaged_file_is_named_and_kept_when_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("permissions.json");
        for text in ["", "{", "[]", "{\"models\": 3}"] {
            fs::write(&path, text).unwrap();
            let e = PermissionStore::new(&path).of(&info("small", None)).unwrap_err();
            assert!(e.to_string().contains("permissions.json") && e.message().contains("damaged"), "{e}");
        }
        let store = PermissionStore::new(&path);
        store.record(&info("small", None), measured(&[])).unwrap();
        assert_eq!(store.of(&info("small", None)).unwrap(), Some(measured(&[])));
        assert_eq!(fs::read_to_string(path.with_extension("json.damaged")).unwrap(), "{\"models\": 3}");
    }
}
