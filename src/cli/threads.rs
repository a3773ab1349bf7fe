//! How the embedded model's threads wait for each other.
//!
//! By default OpenMP's wait in a busy loop. On a machine whose processors are taken that is ruinous: one thread burns the
//! time in which the other could have gone on. OpenMP reads its settings when the program is loaded, before any line of
//! it runs, so the program starts itself once more with the one that matters (GNU libgomp manual, OMP_WAIT_POLICY).

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Settings by which an operator may have decided already.
const DECIDED: [&str; 2] = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"];

/// Goes on in the same process with threads that sleep while they wait. Where that cannot be done they wait busily.
pub(crate) fn wait_patiently() {
    if !cfg!(feature = "llama-cpp") || DECIDED.iter().any(|name| std::env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut again = Command::new(program);
    again.arg0(arguments.next().unwrap_or_default()).args(arguments).env("OMP_WAIT_POLICY", "passive");
    // Returns only when it fails.
    let e = again.exec();
    tracing::debug!(error = %e, "the threads of the model wait busily");
}
