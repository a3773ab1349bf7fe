//! Database file for one test, removed with it.

use std::path::PathBuf;

use sutazai_store::Stores;
use tempfile::TempDir;

/// Directory for a database that does not exist yet.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("sutazai.db")
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite://{}", self.file().display())
    }

    pub(crate) async fn open(&self) -> Stores {
        sutazai_store::open(&self.url()).await.unwrap()
    }
}
