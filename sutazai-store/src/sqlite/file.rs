//! The file of a database: its address, its creation, its access mode.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use sutazai_core::{Error, Result};

/// Free space that the disk must have before a database is opened: the index of the log takes 32 KiB at
/// first, and the first write some pages of the log.
const MIN_FREE_BYTES: usize = 128 << 10;

/// Returns the file that `sqlite:///absolute/path.db` names.
///
/// # Errors
/// `InvalidInput` for a path that is not absolute, names no file, or has options.
pub(crate) fn path(url: &str) -> Result<PathBuf> {
    let path = url.strip_prefix("sqlite://").unwrap_or(url);
    let names_a_file = path.starts_with('/') && !path.ends_with('/') && !path.contains(['?', '#']);
    if names_a_file {
        return Ok(PathBuf::from(path));
    }
    Err(Error::invalid(
        "DATABASE_URL",
        format!("expected the absolute path of a file, as in sqlite:///absolute/path.db, got {url:?}"),
    ))
}

/// Creates the file and its directory for the current user only, if they are missing.
pub(super) fn make(path: &Path) -> Result<()> {
    let unavailable = |e: std::io::Error| {
        let detail = format!("{}: {e}", path.display());
        Error::unavailable("the database cannot be opened").with_detail(detail).with_source(e)
    };
    if let Some(directory) = path.parent() {
        private_folders().recursive(true).create(directory).map_err(unavailable)?;
    }
    // Whoever can place a link here would choose which file is written, or whose mode is changed.
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        let detail = format!("{} is a symbolic link, expected the file itself", path.display());
        return Err(Error::unavailable("the database cannot be opened").with_detail(detail));
    }
    private_files().write(true).create(true).truncate(false).open(path).map_err(unavailable)?;
    check_free_space(path)
}

/// Checks that the disk has space for the index of the log.
///
/// SQLite maps the index into memory: if the file system has no space for one of its pages, writing to it
/// kills the process with SIGBUS. The space is allocated by a temporary file, since `statvfs` knows nothing
/// of quotas.
fn check_free_space(path: &Path) -> Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("-room-{}", std::process::id()));
    let taken = private_files()
        .write(true)
        .create_new(true)
        .open(&name)
        .and_then(|mut file| file.write_all(&[1; MIN_FREE_BYTES]));
    // The file exists even if it was not written completely. Removing it fails only if it does not exist.
    let _ = fs::remove_file(&name);
    match taken {
        Ok(()) => Ok(()),
        // A concurrent start in this process has the file and gets the result of the check.
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => {
            let full = matches!(e.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
            let message =
                if full { "the disk of the database is full" } else { "the database cannot be opened" };
            let detail = format!("{}: {e}", path.display());
            Err(Error::unavailable(message).with_detail(detail).with_source(e))
        }
    }
}

/// Returns options that create folders for the current user only. On Windows a folder has the access list of the one
/// that it is in, which for a user's own folders names nobody else.
fn private_folders() -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has a mode"))]
    let mut options = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut options, 0o700);
    options
}

/// Returns options that create files for the current user only, as [`private_folders`] does.
fn private_files() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has a mode"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Does nothing: there is no mode, only the access list of the folder.
#[cfg(not(unix))]
pub(super) fn restrict_access(_path: &Path) -> Result<()> {
    Ok(())
}

/// Removes the access of other users to an existing database and to the files next to it.
#[cfg(unix)]
pub(super) fn restrict_access(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let file = Path::new(&name);
        let Ok(found) = fs::symlink_metadata(file) else { continue };
        if found.permissions().mode() & 0o077 == 0 {
            continue;
        }
        let file = file.display();
        fs::set_permissions(&name, fs::Permissions::from_mode(0o600)).map_err(|e| {
            let detail = format!("other users have access to {file}: run `chmod 600 {file}` ({e})");
            Error::unavailable("the database cannot be used").with_detail(detail).with_source(e)
        })?;
        tracing::warn!(%file, "database was accessible to other users; mode set to 0600");
    }
    Ok(())
}
