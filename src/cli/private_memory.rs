//! Protects the memory of a server, which contains keys and passwords.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Disables core dumps for this process and its children, and tracing by other processes of the same user (prctl(2),
/// `PR_SET_DUMPABLE`). Children that execute another program can be traced again. A failure is logged only.
pub(crate) fn keep_private() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let outcome = setrlimit(Resource::Core, none)
        .map_err(std::io::Error::from)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(std::io::Error::from));
    if let Err(e) = outcome {
        tracing::warn!(error = %e, "core dumps and tracing not disabled");
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn core_dumps_and_tracing_are_disabled() {
        keep_private();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
