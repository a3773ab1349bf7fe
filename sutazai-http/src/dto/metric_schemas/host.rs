//! Schemas of the section `host`.

use super::Fields;
use super::Kind::{Flag, List, Maybe, Number, One, Text, Whole};

/// Types that occur in the section, without those of other sections too.
pub(super) const TYPES: &[Fields] = &[
    (
        "HostMetrics",
        "CPU, memory, disks, network and processes of the machine.",
        &[
            ("hostname", Text, "Host name."),
            ("kernel", Text, "Kernel release."),
            ("system", Maybe(&Text), "Operating system with its version; null when it cannot be read."),
            ("uptime_seconds", Maybe(&Whole), "Seconds since boot; null when they cannot be read."),
            ("cpu", One("CpuMetrics"), "Processor time."),
            ("memory", One("MemoryMetrics"), "Main memory."),
            ("swap", One("SwapMetrics"), "Swap space."),
            (
                "disks",
                List(&One("DiskMetrics")),
                "File systems on real disks and those in memory that are over half full, by mount point.",
            ),
            ("unanswered_mounts", List(&One("UnansweredMount")), "Mounts that did not respond in time."),
            ("devices", List(&One("DeviceMetrics")), "Block devices."),
            ("networks", List(&One("NetworkMetrics")), "Network interfaces without loopback."),
            ("processes", Maybe(&One("ProcessMetrics")), "Processes; null when they cannot be listed."),
            (
                "temperatures",
                List(&One("TemperatureMetrics")),
                "Temperatures of the sensors that can be read.",
            ),
            ("files", Maybe(&One("FileMetrics")), "Open files of the whole machine."),
            (
                "clock",
                Maybe(&One("ClockMetrics")),
                "Error of the system clock; null when the kernel does not report it.",
            ),
            ("kills", One("KillMetrics"), "Processes that the kernel killed for lack of memory."),
            (
                "tcp",
                Maybe(&One("TcpMetrics")),
                "TCP counters of this network namespace; null when the kernel has none.",
            ),
            ("limits", List(&One("LimitUse")), "Kernel limits that are at least half used."),
            ("earlier", List(&One("EarlierValue")), "Earlier readings of values whose change is evaluated."),
            ("missing", List(&One("MissingFigures")), "Figures that could not be read."),
        ],
    ),
    (
        "TcpMetrics",
        "Counters of TCP since boot.",
        &[
            (
                "segments_sent",
                Maybe(&Whole),
                "Segments sent, without retransmissions; null when it cannot be read.",
            ),
            ("retransmitted", Maybe(&Whole), "Segments retransmitted; null when it cannot be read."),
            (
                "listen_overflows",
                Maybe(&Whole),
                "Connections refused because the queue of a listening socket was full.",
            ),
        ],
    ),
    (
        "LimitUse",
        "Use of one kernel limit.",
        &[
            (
                "limit",
                Text,
                "`machine_tasks`, `group_tasks`, `user_tasks`, `inotify_instances`, `inotify_watches`, \
                 `tracked_connections`, `time_wait_connections`, `ephemeral_ports` or `listen_queue`.",
            ),
            (
                "of",
                Maybe(&Text),
                "Scope: path of a control group, number of a user or port, or an address; null for the machine.",
            ),
            ("used", Whole, "In use now."),
            ("allowed", Whole, "Value of the limit."),
        ],
    ),
    (
        "CpuMetrics",
        "Processor time over the sampling interval.",
        &[
            ("cores", Whole, "Logical processors."),
            ("model", Maybe(&Text), "Model of the processor; null when it cannot be read."),
            (
                "used_percent",
                Maybe(&Number),
                "Busy share of all processors, 0 to 100; null when it cannot be read.",
            ),
            (
                "per_core_percent",
                List(&Number),
                "Busy share of each processor, 0 to 100; empty when it cannot be read.",
            ),
            (
                "iowait_percent",
                Maybe(&Number),
                "Share waiting for disks, 0 to 100; null when it cannot be read.",
            ),
            (
                "steal_percent",
                Maybe(&Number),
                "Share taken by the hypervisor, 0 to 100; null when it cannot be read.",
            ),
            (
                "load",
                Maybe(&List(&Number)),
                "Run queue averages over 1, 5 and 15 minutes; null on a system without them.",
            ),
            ("interval_seconds", Number, "Length of the sampling interval in seconds."),
        ],
    ),
    (
        "MemoryMetrics",
        "Main memory in bytes.",
        &[
            ("total_bytes", Maybe(&Whole), "Total size; null when it cannot be read."),
            ("used_bytes", Maybe(&Whole), "`total_bytes - available_bytes`; null when either is unknown."),
            (
                "available_bytes",
                Maybe(&Whole),
                "Available without swapping: `MemAvailable` plus what ZFS's cache holds above its minimum; null when \
                 either cannot be read.",
            ),
            ("used_percent", Maybe(&Number), "Used share, 0 to 100; null when it is unknown."),
            (
                "oom_kills",
                Maybe(&Whole),
                "Processes killed for lack of memory since boot (`oom_kill` of `/proc/vmstat`).",
            ),
            ("huge_pages_bytes", Maybe(&Whole), "Reserved for huge pages, in bytes, whether in use or not."),
            ("huge_pages_free_bytes", Maybe(&Whole), "Reserved for huge pages and unused, in bytes."),
        ],
    ),
    (
        "KillMetrics",
        "Processes that the kernel killed for lack of memory, in addition to their total since boot.",
        &[
            (
                "in_groups",
                Maybe(&Whole),
                "Kills since boot in control groups that reached their own limit; null unless all groups count them.",
            ),
            (
                "logged",
                Maybe(&List(&One("KillInfo"))),
                "Kills in the kernel's log, oldest first; null when the log cannot be read.",
            ),
        ],
    ),
    (
        "KillInfo",
        "One kill for lack of memory.",
        &[
            ("seconds_ago", Whole, "Seconds before this snapshot."),
            ("pid", Whole, "Process id."),
            ("process", Text, "Name of the process. Untrusted text: any program may set it."),
            (
                "group",
                Maybe(&Text),
                "Control group whose limit was reached; null when the machine itself was out of memory.",
            ),
        ],
    ),
    (
        "SwapMetrics",
        "Swap space.",
        &[
            (
                "total_bytes",
                Maybe(&Whole),
                "Total size in bytes; 0 without swap; null when it cannot be read.",
            ),
            ("used_bytes", Maybe(&Whole), "Used space in bytes; null when it cannot be read."),
            (
                "used_percent",
                Maybe(&Number),
                "Used share, 0 to 100; 0 without swap; null when it cannot be read.",
            ),
            (
                "in_bytes_per_second",
                Maybe(&Number),
                "Bytes read back from swap per second over the sampling interval; null when the kernel does not count them.",
            ),
            (
                "out_bytes_per_second",
                Maybe(&Number),
                "Bytes written to swap per second over the sampling interval; null when the kernel does not count them.",
            ),
            (
                "in_memory",
                Maybe(&Flag),
                "True if all swap is compressed memory (zram) and none is on a disk; null when the swap areas cannot be \
                 listed.",
            ),
        ],
    ),
    (
        "DiskMetrics",
        "One mounted file system.",
        &[
            ("mount", Text, "Mount point."),
            ("device", Text, "Device or source."),
            ("filesystem", Text, "File-system type."),
            ("total_bytes", Whole, "Size in bytes."),
            ("used_bytes", Whole, "Used space in bytes."),
            ("available_bytes", Whole, "Free for ordinary users, in bytes."),
            ("used_percent", Number, "`used / (used + available)`, as `df` counts, 0 to 100."),
            (
                "inodes_used_percent",
                Maybe(&Number),
                "Inodes in use, 0 to 100; null when the file system does not count them.",
            ),
            ("read_only", Flag, "True if the file system is mounted read-only."),
            (
                "failed",
                Maybe(&Flag),
                "True if the kernel made a writable file system read-only, as it does after an error; null when unknown.",
            ),
            (
                "deleted_files",
                Maybe(&One("DeletedFiles")),
                "Space of deleted files that processes still have open.",
            ),
        ],
    ),
    (
        "DeletedFiles",
        "Space of deleted files that processes still have open: no folder shows them.",
        &[
            ("bytes", Whole, "Total size in bytes."),
            ("files", Whole, "Number of files."),
            ("pid", Whole, "Id of the process that holds the most space."),
            ("process", Text, "Name of that process. Untrusted text: any program may set it."),
            ("process_bytes", Whole, "Size of the deleted files that this process has open, in bytes."),
        ],
    ),
    (
        "UnansweredMount",
        "Mount that did not respond in time.",
        &[
            ("mount", Text, "Mount point."),
            ("device", Text, "Device or source."),
            ("filesystem", Text, "File-system type."),
            ("waited_seconds", Number, "Time limit of the query, in seconds."),
        ],
    ),
    (
        "DeviceMetrics",
        "One block device over the sampling interval.",
        &[
            ("name", Text, "Kernel name, such as `sda`."),
            ("read_bytes_per_second", Number, "Bytes read per second."),
            ("written_bytes_per_second", Number, "Bytes written per second."),
            ("operations_per_second", Number, "Requests completed per second."),
            (
                "latency_ms",
                Maybe(&Number),
                "Mean duration of a request in milliseconds; null when there was no request.",
            ),
            ("busy_percent", Number, "Share of the time with at least one request in flight, 0 to 100."),
        ],
    ),
    (
        "NetworkMetrics",
        "One network interface.",
        &[
            ("interface", Text, "Name of the interface."),
            ("received_bytes_per_second", Number, "Bytes received per second over the sampling interval."),
            ("sent_bytes_per_second", Number, "Bytes sent per second over the sampling interval."),
            ("packets", Whole, "Packets since boot, in both directions."),
            ("errors", Whole, "Faulty packets since boot, in both directions."),
            (
                "drops",
                Maybe(&Whole),
                "Packets dropped by the interface since boot, in both directions; null when unknown.",
            ),
            (
                "queue_drops",
                Maybe(&Whole),
                "Packets dropped by its queues since they were created, in both directions; null when unknown.",
            ),
            (
                "carrier_changes",
                Maybe(&Whole),
                "Number of link state changes since the interface was created; null when unknown.",
            ),
        ],
    ),
    (
        "ProcessMetrics",
        "Processes of the machine.",
        &[
            ("count", Whole, "Number of processes."),
            (
                "zombies",
                Maybe(&Whole),
                "Number of processes that have ended but were not waited for; null on a system without this state.",
            ),
            (
                "lasting_zombies",
                Maybe(&Whole),
                "Number of zombies that were zombies at the last two earlier readings as well; null without an earlier reading.",
            ),
            (
                "zombie_parents",
                List(&One("ZombieParent")),
                "Parents of the zombies, those with the most lasting zombies first, at most five.",
            ),
            (
                "blocked",
                Maybe(&Whole),
                "Number of processes in uninterruptible sleep (state D), without those in frozen control groups; null on a \
                 system that does not report this state.",
            ),
            (
                "frozen",
                Maybe(&Whole),
                "Number of processes that are stopped by a signal or in a frozen control group; null on a system that does \
                 not report this state.",
            ),
            (
                "top",
                List(&One("ProcessInfo")),
                "At most fifteen processes that use the most CPU time or memory, grow the most, or are nearest to their limit \
                 of open files; most memory first.",
            ),
        ],
    ),
    (
        "ZombieParent",
        "Process with children that it has not waited for.",
        &[
            ("pid", Whole, "Process id."),
            ("name", Text, "Name in the kernel. Untrusted text: any program may set it."),
            ("zombies", Whole, "Number of its zombies."),
            (
                "lasting_zombies",
                Maybe(&Whole),
                "Number of its zombies that were zombies at the last two earlier readings as well; null without an earlier reading.",
            ),
        ],
    ),
    (
        "ProcessInfo",
        "One process.",
        &[
            ("pid", Whole, "Process id."),
            ("name", Text, "Name in the kernel. Untrusted text: any program may set it."),
            (
                "cpu_percent",
                Number,
                "Share of one processor over the sampling interval; over 100 with several threads.",
            ),
            ("memory_bytes", Whole, "Resident memory in bytes."),
            (
                "own_memory_bytes",
                Maybe(&Whole),
                "Part that the kernel cannot drop, in bytes: anonymous and shared memory, without mapped files.",
            ),
            ("open_files", Maybe(&Whole), "Open file descriptors; null when they cannot be counted."),
            ("open_files_limit", Maybe(&Whole), "Limit of open file descriptors."),
            (
                "age_seconds",
                Maybe(&Whole),
                "Seconds since it started; null when the times of the process and of the machine are inconsistent.",
            ),
        ],
    ),
    (
        "TemperatureMetrics",
        "One temperature sensor.",
        &[
            ("label", Text, "Name of the sensor."),
            ("celsius", Number, "Degrees Celsius."),
            (
                "critical_celsius",
                Maybe(&Number),
                "Temperature that the vendor considers critical; null when the sensor does not report it.",
            ),
        ],
    ),
    (
        "FileMetrics",
        "Open files of the whole machine (`/proc/sys/fs/file-nr`).",
        &[("open", Whole, "Open files."), ("limit", Whole, "The kernel's limit.")],
    ),
    (
        "ClockMetrics",
        "State of the kernel's clock (`adjtimex(2)`).",
        &[
            ("synchronized", Flag, "True if a time service reports that it keeps the clock synchronized."),
            ("max_error_ms", Number, "Maximum error that the kernel assumes, in milliseconds."),
            (
                "service",
                Maybe(&Text),
                "Name of a running time service; null when none was found. Some services never update the kernel's state.",
            ),
        ],
    ),
];
