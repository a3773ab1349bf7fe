//! Sandbox of a model's child process, entered before it reads a model file.
//!
//! Native code parses the file, which may be a download, and processes texts of untrusted callers. The child therefore
//! keeps no descriptor of its parent, opens no socket, starts no program, and leaves no core dump with conversations in
//! it.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::RawFd;

use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// System calls that a model does not need: sockets, execution of programs, access to other processes.
const DENIED_SYSTEM_CALLS: [libc::c_long; 17] = [
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_io_uring_setup,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_mount,
    libc::SYS_unshare,
    libc::SYS_setns,
];

/// Out-of-memory score adjustment of the child, of -1000 to 1000: the kernel kills it rather than its parent.
const OOM_SCORE_ADJUSTMENT: &str = "500";

/// Niceness of the child above its parent's, in steps of nice(2). Its threads compute for seconds without a pause, and
/// on a machine with few cores they would delay requests that need no model.
const NICENESS: i32 = 5;

/// Closes every descriptor above standard error that the child inherited.
pub(super) fn close_inherited_descriptors() {
    let names = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<RawFd> = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The descriptor of this listing has been closed already, so errors are expected.
        let _ = nix::unistd::close(descriptor);
    }
}

/// Asks the kernel to kill this process when the thread of the parent that started it ends. The end of standard input
/// signals the same, but nobody reads it while native code hangs.
pub(super) fn end_with_parent() {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
}

/// Raises the niceness of this process by [`NICENESS`]; a failure leaves it unchanged.
pub(super) fn be_nice() {
    let _ = rustix::process::nice(NICENESS);
}

/// Limits private memory to `bytes` if given, disables core dumps and raises the out-of-memory score.
///
/// # Errors
/// The kernel's, for a limit that it rejects.
pub(super) fn limit_memory(bytes: Option<u64>) -> std::io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJUSTMENT);
    // `RLIMIT_DATA` counts private writable memory only. The model file is mapped, and the kernel can drop its pages.
    let limit = bytes.map(|bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) });
    limit.map_or(Ok(()), |limit| setrlimit(Resource::Data, limit).map_err(Into::into))
}

/// Denies the system calls in [`DENIED_SYSTEM_CALLS`] to all threads; they then fail with `EPERM`.
///
/// # Errors
/// The reason why the filter cannot be installed: a kernel without seccomp, or an emulator.
pub(super) fn deny_system_calls() -> Result<(), String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let rules: BTreeMap<_, _> = DENIED_SYSTEM_CALLS.into_iter().map(|call| (call, Vec::new())).collect();
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| text(&e))?;
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        architecture,
    )
    .map_err(|e| text(&e))?;
    let program: BpfProgram = filter.try_into().map_err(|e: seccompiler::BackendError| text(&e))?;
    seccompiler::apply_filter_all_threads(&program).map_err(|e| text(&e))
}
