//! Signing key of tokens when none is configured.

use std::fs;
use std::io::Write;
use std::path::Path;

use data_encoding::HEXLOWER;
use rand::RngCore;
use sutazai_core::{Error, Result};

use super::data_folder;
use crate::config::{Config, Environment, Secret, read_own_file};

/// Reads the signing key next to the database, or generates it on first use, readable by its owner only. In production
/// a missing key is an error.
pub(super) fn kept_secret(config: &Config) -> Result<Secret> {
    if config.environment == Environment::Production {
        return Err(Error::invalid("JWT_SECRET_KEY", "must be set when ENVIRONMENT is production"));
    }
    let folder = data_folder(config).ok_or_else(|| {
        Error::invalid(
            "JWT_SECRET_KEY",
            "must be set when DATABASE_URL is not an SQLite file to keep one next to",
        )
    })?;
    let path = folder.join("jwt_secret_key");
    let failed = |e: std::io::Error| {
        Error::unavailable(format!("cannot keep a signing key in {}: {e}", path.display()))
            .with_field("JWT_SECRET_KEY")
    };
    match owner_only(&path) {
        Ok(mut file) => {
            let mut bytes = [0_u8; 32];
            rand::rng().fill_bytes(&mut bytes);
            let text = HEXLOWER.encode(&bytes);
            file.write_all(text.as_bytes()).map_err(failed)?;
            Ok(Secret::new(text))
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            read_own_file(&path).map(|text| Secret::new(text.trim())).map_err(failed)
        }
        Err(e) => Err(failed(e)),
    }
}

fn owner_only(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
