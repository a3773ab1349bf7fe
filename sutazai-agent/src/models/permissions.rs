//! Store of model permissions: the results of `sutazai models check`, in one JSON file keyed by the digest of the
//! weights.
//!
//! A permission belongs to the weights, not to a name: a renamed file keeps it, and another file under the same name
//! does not inherit it. For backends without digests the key is the backend's and the model's name. The file is
//! replaced atomically, so that readers never see a partial one.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_core::domain::{ModelInfo, ModelMeasurement, ModelPermission};
use sutazai_core::{Error, Result};

/// Measurements and permissions of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredModel {
    /// Backend that had the model when it was measured.
    pub backend: String,
    /// Name of the model in that backend.
    pub model: String,
    /// Time of the measurement.
    pub measured_at: DateTime<Utc>,
    /// Granted permissions, in ascending order.
    pub granted: Vec<ModelPermission>,
    /// Measured values behind the permissions.
    pub measurements: Vec<ModelMeasurement>,
}

/// File-based store of model measurements.
#[derive(Debug, Clone)]
pub struct PermissionStore {
    path: PathBuf,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    models: BTreeMap<String, MeasuredModel>,
}

impl PermissionStore {
    /// Creates a store on the file `path`, which need not exist. Reads nothing yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the measurements of a model; `None` if it was never measured.
    ///
    /// # Errors
    /// `Unavailable` naming the file when it cannot be read or parsed.
    pub fn of(&self, model: &ModelInfo) -> Result<Option<MeasuredModel>> {
        Ok(self.read()?.models.remove(&key(model)))
    }

    /// Stores the measurements of a model and replaces earlier ones. A file that cannot be parsed is kept next to the
    /// new one with the suffix `.damaged`.
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
        // The temporary name contains the process id, so that two processes never write to the same temporary file. The
        // last rename wins.
        let temporary = self.path.with_extension(format!("json.{}", std::process::id()));
        let mut file = fs::File::create(&temporary).map_err(failed)?;
        let text = serde_json::to_vec_pretty(stored).map_err(Error::json)?;
        file.write_all(&text).map_err(failed)?;
        // Synced before the rename, so that a power failure leaves either the old or the new file.
        file.sync_all().map_err(failed)?;
        fs::rename(&temporary, &self.path).map_err(failed)
    }

    fn failed(&self, what: &str, e: impl std::fmt::Display) -> Error {
        let detail = format!("{}: {e}", self.path.display());
        Error::unavailable(format!("the file of model permissions {what}")).with_detail(detail)
    }
}

/// Returns the key of a model: its digest, or else its backend and name.
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
    fn damaged_file_is_reported_and_kept_by_the_next_write() {
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
