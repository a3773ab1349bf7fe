//! Secret files of the user of this process.

use std::io;
use std::path::Path;

use sutazai_core::adapter;

/// Reads a secret file that an operator configured.
///
/// # Errors
/// Those of [`adapter::read_private_file`].
pub(super) fn read_private_file(path: &Path) -> io::Result<String> {
    adapter::read_private_file(path, user())
}

/// Reads a secret file that this program created.
///
/// # Errors
/// Those of [`adapter::read_own_file`].
#[cfg(feature = "http")]
pub(crate) fn read_own_file(path: &Path) -> io::Result<String> {
    adapter::read_own_file(path, user())
}

/// Returns the effective user id of this process.
#[cfg(unix)]
fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns 0, because this system has no user ids.
#[cfg(not(unix))]
fn user() -> u32 {
    0
}
