//! Room for connections: each is an open file, and most systems allow a program 1,024 of them until it asks for more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the program has open beside its connections: the database, models, metrics.
const OWN: u64 = 200;

/// Asks for as many open files as the system lets anybody have, and says so in the log if that is too few.
pub(crate) fn make_room_for(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(e) = setrlimit(Resource::Nofile, all) {
        tracing::warn!(error = %e, "the limit of open files could not be raised");
    }
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OWN);
    if let Some(allowed) = getrlimit(Resource::Nofile).current
        && allowed < wanted
    {
        tracing::warn!(allowed, wanted, "fewer open files are allowed than MAX_CONNECTIONS may need");
    }
}
