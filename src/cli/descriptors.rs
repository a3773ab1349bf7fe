//! Limit of open files: each connection needs one, and most systems allow a process 1,024 until it asks for more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors that the program needs in addition to its connections: database, models, metrics.
const RESERVED_DESCRIPTORS: u64 = 200;

/// Raises the limit of open files to the maximum that the system allows; logs a warning if that is too low for
/// `connections`.
pub(crate) fn make_room_for(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(e) = setrlimit(Resource::Nofile, all) {
        tracing::warn!(error = %e, "open file limit not raised");
    }
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(RESERVED_DESCRIPTORS);
    if let Some(allowed) = getrlimit(Resource::Nofile).current
        && allowed < wanted
    {
        tracing::warn!(allowed, wanted, "open file limit too low for MAX_CONNECTIONS");
    }
}
