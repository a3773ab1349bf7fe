//! Reads secret files, and rejects those that other users can access.
//!
//! The user of the process is an argument, because only the operating system knows it and the core has no library for
//! that.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use access::{of_ours, of_ours_alone, private};

/// Reads a secret file that an operator configured. Symbolic links are followed, because Kubernetes secrets and
/// certbot use them; the link and the file must both belong to root or to `user`, the effective user id of this process.
/// On Windows, where a file has the access list of its folder and no owner of this kind, every file is accepted.
///
/// # Errors
/// Those of the operating system when the file cannot be read; `Other` when it belongs to another user, or when
/// others can read or write it. The group may read a file of root: that is how secrets are mounted into a service.
pub fn read_private_file(path: &Path, user: u32) -> io::Result<String> {
    if let Ok(link) = fs::symlink_metadata(path) {
        of_ours(path, &link, user)?;
    }
    let mut file = File::open(path)?;
    // Checked on the open file, because the path may have been replaced since.
    let found = file.metadata()?;
    of_ours(path, &found, user)?;
    private(path, &found)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Reads a secret file that this program created for itself: only its own user may access it, and the path must not
/// be a symbolic link.
///
/// # Errors
/// Those of [`read_private_file`].
pub fn read_own_file(path: &Path, user: u32) -> io::Result<String> {
    if fs::symlink_metadata(path)?.is_symlink() {
        let path = path.display();
        return Err(io::Error::other(format!("{path} is a symbolic link, expected the file itself")));
    }
    of_ours_alone(path, &fs::metadata(path)?)?;
    read_private_file(path, user)
}

/// Owner and mode of a file.
#[cfg(unix)]
mod access {
    use std::fs::Metadata;
    use std::io;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    /// Permission bits of a file mode: access by others, by its group, and write access by its group.
    const OTHERS: u32 = 0o007;
    const GROUP: u32 = 0o070;
    const GROUP_WRITE: u32 = 0o020;
    const ROOT: u32 = 0;

    /// Checks that root or this user owns the file.
    pub(super) fn of_ours(path: &Path, found: &Metadata, user: u32) -> io::Result<()> {
        if found.uid() == ROOT || found.uid() == user {
            return Ok(());
        }
        let (path, uid) = (path.display(), found.uid());
        Err(io::Error::other(format!(
            "{path} belongs to the user {uid}, expected root or the user of this process"
        )))
    }

    /// Checks that nobody but its owner has access, and the group of a file of root may read it.
    pub(super) fn private(path: &Path, found: &Metadata) -> io::Result<()> {
        closed_to(path, found, OTHERS | if found.uid() == ROOT { GROUP_WRITE } else { GROUP })
    }

    /// Checks that nobody but its owner has access.
    pub(super) fn of_ours_alone(path: &Path, found: &Metadata) -> io::Result<()> {
        closed_to(path, found, OTHERS | GROUP)
    }

    fn closed_to(path: &Path, found: &Metadata, refused: u32) -> io::Result<()> {
        if found.mode() & refused == 0 {
            return Ok(());
        }
        let (path, mode) = (path.display(), found.mode() & 0o7777);
        Err(io::Error::other(format!(
            "others have access to {path} (mode {mode:04o}): run `chmod 600 {path}`"
        )))
    }
}

/// Accepts every file: on Windows a file has the access list of the folder that it is in, and no mode.
#[cfg(not(unix))]
mod access {
    use std::fs::Metadata;
    use std::io;
    use std::path::Path;

    pub(super) fn of_ours(_: &Path, _: &Metadata, _: u32) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn private(_: &Path, _: &Metadata) -> io::Result<()> {
        Ok(())
    }

    pub(super) use private as of_ours_alone;
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::*;

    /// Returns the user of this process: the owner of what it creates.
    fn user() -> u32 {
        tempfile::tempfile().unwrap().metadata().unwrap().uid()
    }

    fn with_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn file_accessible_by_others_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "secret").unwrap();
        for mode in [0o600, 0o400] {
            with_mode(&path, mode);
            assert_eq!(read_private_file(&path, user()).unwrap(), "secret");
            assert_eq!(read_own_file(&path, user()).unwrap(), "secret");
        }
        for mode in [0o604, 0o602, 0o620, 0o666, 0o644] {
            with_mode(&path, mode);
            for read in [read_private_file, read_own_file] {
                let e = read(&path, user()).unwrap_err().to_string();
                assert!(e.contains(&format!("run `chmod 600 {}`", path.display())), "{mode:o}: {e}");
            }
        }
    }

    #[test]
    fn group_may_read_files_of_root_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "secret").unwrap();
        with_mode(&path, 0o640);
        assert_eq!(read_private_file(&path, user()).is_ok(), user() == 0);
        assert!(read_own_file(&path, user()).is_err());
    }

    #[test]
    fn links_are_followed_for_configured_files_only() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("key"), folder.path().join("link"));
        fs::write(&path, "secret").unwrap();
        with_mode(&path, 0o600);
        symlink(&path, &link).unwrap();
        assert_eq!(read_private_file(&link, user()).unwrap(), "secret");
        assert!(read_own_file(&link, user()).unwrap_err().to_string().contains("symbolic link"));
    }

    #[test]
    fn file_of_another_user_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "secret").unwrap();
        with_mode(&path, 0o600);
        // Only root can give a file away. Other users cannot create a foreign file: root's files are allowed.
        if user() == 0 {
            chown(&path, Some(65_534), None).unwrap();
            assert!(
                read_private_file(&path, user())
                    .unwrap_err()
                    .to_string()
                    .contains("belongs to the user 65534")
            );
        }
    }
}
