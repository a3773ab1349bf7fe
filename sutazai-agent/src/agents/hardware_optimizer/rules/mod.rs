//! Rules about problems of a machine, each judged from a snapshot and its history alone.
//!
//! `examine` runs every rule of the list and returns the findings, worst first, each with the authored sentences that a
//! text about it is composed of, and for each rule how many things it judged or why it could not be run. Values that were
//! not measured are never judged. Each rule also describes itself: its
//! meaning, its conditions and bounds, and their origin, as `docs/rules.md` repeats them. A new rule is a constant and a
//! function in the file of its subject, a line here and a row there.

pub(super) use draft::{Found, first_choices};
pub(super) use examine::{Examined, descriptors, examine, find};
pub(super) use figures::forms;
pub(super) use rule::Rule;
pub(super) use tmpfs::is_in_memory;
pub(super) use trends::Trends;

mod bounds;
mod cgroup;
mod container_states;
mod containers;
mod coverage;
mod cpu;
mod deleted_files;
mod device;
mod disk;
mod draft;
mod examine;
mod figures;
mod files;
mod forecast;
mod gpu;
mod headroom;
mod judged;
mod kills;
mod lately;
mod limits;
mod memory;
mod mounts;
mod names;
mod network;
mod processes;
mod rule;
#[cfg(test)]
pub(super) mod sample;
mod sensors;
mod sustained;
mod swap;
mod tcp;
#[cfg(test)]
mod tests;
mod tmpfs;
mod trends;

/// All rules; findings of one severity are listed in this order.
pub(super) const RULES: &[Rule] = &[
    memory::MEMORY_PRESSURE,
    memory::MEMORY_LOW,
    memory::HUGE_PAGES_UNUSED,
    kills::OOM_KILLS,
    kills::GROUP_OOM_KILLS,
    swap::SWAP_TRAFFIC,
    swap::SWAP_FULL,
    cpu::CPU_SATURATION,
    cpu::CPU_PRESSURE,
    cpu::HIGH_LOAD,
    cpu::STEAL,
    cpu::IOWAIT,
    disk::DISK_SPACE,
    forecast::DISK_TREND_FULL,
    tmpfs::TMPFS_SPACE,
    disk::INODES,
    deleted_files::DELETED_FILES,
    disk::DISK_READ_ONLY,
    mounts::MOUNT_UNANSWERED,
    device::DISK_SLOW,
    device::IO_PRESSURE,
    cgroup::CGROUP_MEMORY_NEAR_LIMIT,
    cgroup::CGROUP_OOM_KILLS,
    cgroup::CPU_THROTTLED,
    cgroup::PIDS_NEAR_LIMIT,
    container_states::CONTAINER_OOM_KILLED,
    container_states::CONTAINER_RESTARTING,
    container_states::CONTAINER_UNHEALTHY,
    containers::CONTAINER_NEAR_LIMIT,
    containers::CONTAINER_PIDS_NEAR_LIMIT,
    containers::CONTAINER_CPU_NEAR_LIMIT,
    containers::CONTAINER_NO_LIMIT,
    container_states::CONTAINER_EXITED,
    processes::PROCESS_GROWS,
    processes::BLOCKED_PROCESSES,
    processes::ZOMBIES,
    files::OPEN_FILES_MACHINE,
    files::OPEN_FILES_PROCESS,
    network::NETWORK_ERRORS,
    network::NETWORK_DROPS,
    network::NETWORK_LINK_CHANGES,
    tcp::TCP_RETRANSMISSIONS,
    limits::LISTEN_QUEUE_FULL,
    tcp::LISTEN_OVERFLOWS,
    limits::LOCAL_PORTS_NEAR_LIMIT,
    limits::TIME_WAIT_NEAR_LIMIT,
    limits::CONNECTION_TRACKING_NEAR_LIMIT,
    limits::MACHINE_TASKS_NEAR_LIMIT,
    limits::USER_TASKS_NEAR_LIMIT,
    limits::GROUP_TASKS_NEAR_LIMIT,
    limits::INOTIFY_NEAR_LIMIT,
    sensors::HIGH_TEMPERATURE,
    gpu::GPU_TEMPERATURE,
    gpu::GPU_MEMORY,
    sensors::CLOCK_UNSYNCHRONIZED,
    sensors::CLOCK_SKEW,
    processes::PROCESS_HOGS_MEMORY,
    processes::PROCESS_HOGS_CPU,
    swap::NO_SWAP,
    headroom::HEADROOM,
];
