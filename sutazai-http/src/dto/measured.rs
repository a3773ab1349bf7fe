//! What the sections of a snapshot hold: the types of `domain::metric`, as the document tells them.

use utoipa::openapi::schema::{Array, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};

use Kind::{Flag, List, Maybe, Number, One, Signed, Text, Whole};

/// What a field holds.
pub(super) enum Kind {
    Text,
    /// From 0 on.
    Whole,
    Signed,
    Number,
    Flag,
    /// One of [`TYPES`].
    One(&'static str),
    List(&'static Kind),
    /// Null when it is not to be had.
    Maybe(&'static Kind),
}

impl Kind {
    pub(super) fn schema(&self) -> RefOr<Schema> {
        let of = |kind: Type| ObjectBuilder::new().schema_type(kind);
        match self {
            Text => of(Type::String).into(),
            Whole => of(Type::Integer).minimum(Some(0)).into(),
            Signed => of(Type::Integer).into(),
            Number => of(Type::Number).into(),
            Flag => of(Type::Boolean).into(),
            One(name) => Ref::from_schema_name(*name).into(),
            List(kind) => Array::new(kind.schema()).into(),
            Maybe(kind) => OneOfBuilder::new().item(kind.schema()).item(of(Type::Null)).into(),
        }
    }
}

/// The sections of a snapshot.
pub(super) const SECTIONS: &[(&str, Kind)] = &[
    ("host", One("HostMetrics")),
    ("pressure", One("PressureMetrics")),
    ("cgroup", One("CgroupMetrics")),
    ("containers", One("ContainerMetrics")),
    ("gpus", List(&One("GpuMetrics"))),
];

/// A field: its name, what it holds, what it is.
type Field = (&'static str, Kind, &'static str);

/// A type: its name, what it is, its fields.
type Fields = (&'static str, &'static str, &'static [Field]);

/// All types that a section is made of.
pub(super) const TYPES: &[Fields] = &[
    (
        "HostMetrics",
        "CPU, memory, disks, network and processes of the machine.",
        &[
            ("hostname", Text, "Host name."),
            ("kernel", Text, "Kernel release."),
            ("uptime_seconds", Maybe(&Whole), "Seconds since boot, where they can be read."),
            ("cpu", One("CpuMetrics"), "Processor time."),
            ("memory", One("MemoryMetrics"), "Main memory."),
            ("swap", One("SwapMetrics"), "Swap space."),
            (
                "disks",
                List(&One("DiskMetrics")),
                "File systems on real disks and those in memory that are over half full, by mount point.",
            ),
            (
                "unanswered_mounts",
                List(&One("UnansweredMount")),
                "Mounts that did not say in time how full they are.",
            ),
            ("devices", List(&One("DeviceMetrics")), "Block devices."),
            ("networks", List(&One("NetworkMetrics")), "Network interfaces, loopback left out."),
            ("processes", One("ProcessMetrics"), "Processes."),
            ("temperatures", List(&One("TemperatureMetrics")), "Temperatures, where sensors can be read."),
            ("files", Maybe(&One("FileMetrics")), "Open files of the whole machine."),
            (
                "clock",
                Maybe(&One("ClockMetrics")),
                "How far the system clock may be off, where the kernel says so.",
            ),
            ("kills", One("KillMetrics"), "Processes that the kernel killed for lack of memory."),
            ("tcp", Maybe(&One("TcpMetrics")), "TCP of this network namespace, where the kernel counts it."),
            ("limits", List(&One("LimitUse")), "Limits of the kernel of which at least half is used."),
            (
                "earlier",
                List(&One("EarlierValue")),
                "Earlier readings of values that are judged by how they change.",
            ),
        ],
    ),
    (
        "EarlierValue",
        "A value as it was at an earlier reading of the same source.",
        &[
            ("series", Text, "The series, named as in the metric history: `host.disks[/].used_bytes`."),
            ("seconds_ago", Number, "Seconds before this snapshot."),
            ("value", Number, "The value, in the unit of the series."),
        ],
    ),
    (
        "TcpMetrics",
        "Counters of TCP since boot.",
        &[
            ("segments_sent", Whole, "Segments sent, repeated ones left out."),
            ("retransmitted", Whole, "Segments sent again."),
            (
                "listen_overflows",
                Maybe(&Whole),
                "Connections refused because the queue of a listening socket was full.",
            ),
        ],
    ),
    (
        "LimitUse",
        "How much of one limit of the kernel is used.",
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
                "Whose: the path of a control group, the number of a user or a port, an address; null of the machine.",
            ),
            ("used", Whole, "In use now."),
            ("allowed", Whole, "Allowed at most."),
        ],
    ),
    (
        "CpuMetrics",
        "Processor time over the sampling interval.",
        &[
            ("cores", Whole, "Logical processors."),
            ("used_percent", Number, "Busy share of all of them, 0 to 100."),
            ("per_core_percent", List(&Number), "Busy share of each, 0 to 100."),
            ("iowait_percent", Number, "Share waiting for disks, 0 to 100."),
            ("steal_percent", Number, "Share taken by the hypervisor, 0 to 100."),
            ("load", List(&Number), "Run queue averages over 1, 5 and 15 minutes."),
            ("interval_seconds", Number, "Length of the sampling interval in seconds."),
        ],
    ),
    (
        "MemoryMetrics",
        "Main memory in bytes.",
        &[
            ("total_bytes", Whole, "All of it."),
            ("used_bytes", Whole, "`total_bytes - available_bytes`."),
            (
                "available_bytes",
                Whole,
                "What can be had without swapping: `MemAvailable`, and what ZFS's cache holds above its minimum.",
            ),
            ("used_percent", Number, "Used share, 0 to 100."),
            (
                "oom_kills",
                Maybe(&Whole),
                "Processes killed for want of memory since boot (`oom_kill` of `/proc/vmstat`).",
            ),
            ("huge_pages_bytes", Maybe(&Whole), "Reserved for huge pages, in bytes, whether in use or not."),
            (
                "huge_pages_free_bytes",
                Maybe(&Whole),
                "Reserved for huge pages and in use by nothing, in bytes.",
            ),
        ],
    ),
    (
        "KillMetrics",
        "Processes that the kernel killed for lack of memory, apart from their number since boot.",
        &[
            (
                "in_groups",
                Maybe(&Whole),
                "Kills since boot in control groups that reached their own limit, where all groups count them.",
            ),
            (
                "logged",
                Maybe(&List(&One("KillInfo"))),
                "Kills that the kernel's log still has, oldest first; null where the log cannot be read.",
            ),
        ],
    ),
    (
        "KillInfo",
        "One kill for lack of memory.",
        &[
            ("seconds_ago", Whole, "Seconds before this snapshot."),
            ("pid", Whole, "Number of the process."),
            ("process", Text, "Its name. Untrusted text: any program may set it."),
            (
                "group",
                Maybe(&Text),
                "The control group whose limit was reached; null where the machine had no memory left.",
            ),
        ],
    ),
    (
        "SwapMetrics",
        "Swap space.",
        &[
            ("total_bytes", Whole, "All of it, in bytes; 0 where there is none."),
            ("used_bytes", Whole, "In use, in bytes."),
            ("used_percent", Number, "Used share, 0 to 100; 0 where there is none."),
            (
                "in_bytes_per_second",
                Maybe(&Number),
                "Bytes a second read back from swap over the sampling interval, where the kernel counts them.",
            ),
            (
                "out_bytes_per_second",
                Maybe(&Number),
                "Bytes a second written to swap over the sampling interval, where the kernel counts them.",
            ),
            ("in_memory", Flag, "All of it is compressed memory (zram) and none on a disk."),
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
            ("used_bytes", Whole, "In use, in bytes."),
            ("available_bytes", Whole, "Free for ordinary users, in bytes."),
            ("used_percent", Number, "`used / (used + available)`, as `df` counts, 0 to 100."),
            (
                "inodes_used_percent",
                Maybe(&Number),
                "Inodes in use, 0 to 100, where the file system counts them.",
            ),
            ("read_only", Flag, "Cannot be written now."),
            (
                "failed",
                Flag,
                "Mounted for writing, and made read-only by the kernel since, as it does after an error.",
            ),
            (
                "deleted_files",
                Maybe(&One("DeletedFiles")),
                "What deleted files hold that processes still have open.",
            ),
        ],
    ),
    (
        "DeletedFiles",
        "Space of deleted files that processes still have open: no folder shows them.",
        &[
            ("bytes", Whole, "What all of them hold, in bytes."),
            ("files", Whole, "How many there are."),
            ("pid", Whole, "Number of the process that holds most."),
            ("process", Text, "Name of that process. Untrusted text: any program may set it."),
            ("process_bytes", Whole, "What that process holds, in bytes."),
        ],
    ),
    (
        "UnansweredMount",
        "A mount that did not say in time how full it is.",
        &[
            ("mount", Text, "Mount point."),
            ("device", Text, "Device or source."),
            ("filesystem", Text, "File-system type."),
            ("waited_seconds", Number, "How long it had for its answer, in seconds."),
        ],
    ),
    (
        "DeviceMetrics",
        "One block device over the sampling interval.",
        &[
            ("name", Text, "Kernel name, such as `sda`."),
            ("read_bytes_per_second", Number, "Bytes a second read."),
            ("written_bytes_per_second", Number, "Bytes a second written."),
            ("operations_per_second", Number, "Requests ended a second."),
            (
                "latency_ms",
                Maybe(&Number),
                "Mean time a request took, in milliseconds; none when there was no request.",
            ),
            ("busy_percent", Number, "Share of the time with a request under way, 0 to 100."),
        ],
    ),
    (
        "NetworkMetrics",
        "One network interface.",
        &[
            ("interface", Text, "Its name."),
            ("received_bytes_per_second", Number, "Bytes a second received over the sampling interval."),
            ("sent_bytes_per_second", Number, "Bytes a second sent over the sampling interval."),
            ("packets", Whole, "Packets since boot, both ways."),
            ("errors", Whole, "Faulty packets since boot, both ways."),
            ("drops", Whole, "Packets dropped by the interface since boot, both ways."),
            (
                "queue_drops",
                Maybe(&Whole),
                "Packets dropped by its queues since they were set up, both ways, where the kernel tells.",
            ),
            (
                "carrier_changes",
                Maybe(&Whole),
                "How often its link went up or down since it was set up, where the kernel tells.",
            ),
        ],
    ),
    (
        "ProcessMetrics",
        "Processes of the machine.",
        &[
            ("count", Whole, "How many there are."),
            ("zombies", Whole, "How many have ended but were not waited for."),
            (
                "zombie_parents",
                List(&One("ZombieParent")),
                "Parents of the zombies, those with most zombies first, at most five.",
            ),
            (
                "blocked",
                Whole,
                "How many wait in the kernel and cannot be interrupted (state D), those in frozen control groups left \
                 out.",
            ),
            ("frozen", Whole, "How many are stopped by a signal or in a frozen control group."),
            (
                "top",
                List(&One("ProcessInfo")),
                "Those that use most processor time and most memory, that grow most, or that are nearest to their limit \
                 of open files; at most fifteen, most memory first.",
            ),
        ],
    ),
    (
        "ZombieParent",
        "A process with children that it has not waited for.",
        &[
            ("pid", Whole, "Its number."),
            ("name", Text, "Its name as the kernel has it. Untrusted text: any program may set it."),
            ("zombies", Whole, "Its zombies."),
        ],
    ),
    (
        "ProcessInfo",
        "One process.",
        &[
            ("pid", Whole, "Its number."),
            ("name", Text, "Its name as the kernel has it. Untrusted text: any program may set it."),
            (
                "cpu_percent",
                Number,
                "Share of one processor over the sampling interval; over 100 with several threads.",
            ),
            ("memory_bytes", Whole, "Resident memory in bytes."),
            (
                "own_memory_bytes",
                Maybe(&Whole),
                "What of it the kernel cannot drop, in bytes: anonymous and shared memory, without mapped files.",
            ),
            ("open_files", Maybe(&Whole), "Open file descriptors, where they can be counted."),
            ("open_files_limit", Maybe(&Whole), "Its limit of open file descriptors."),
            (
                "age_seconds",
                Maybe(&Whole),
                "Seconds since it began; null where the times of the process and of the machine do not agree.",
            ),
        ],
    ),
    (
        "TemperatureMetrics",
        "One temperature sensor.",
        &[
            ("label", Text, "What is measured."),
            ("celsius", Number, "Degrees Celsius."),
            (
                "critical_celsius",
                Maybe(&Number),
                "From where the maker calls it critical, where the sensor says so.",
            ),
        ],
    ),
    (
        "FileMetrics",
        "Open files of the whole machine (`/proc/sys/fs/file-nr`).",
        &[("open", Whole, "Open now."), ("limit", Whole, "The kernel's limit.")],
    ),
    (
        "ClockMetrics",
        "What the kernel says of its clock (`adjtimex(2)`).",
        &[
            ("synchronized", Flag, "Whether the kernel was told that a time service keeps it in step."),
            ("max_error_ms", Number, "The greatest error the kernel reckons with, in milliseconds."),
            (
                "service",
                Maybe(&Text),
                "Name of a time service that runs, where one was seen. Some never tell the kernel.",
            ),
        ],
    ),
    (
        "PressureMetrics",
        "Pressure stall information (`/proc/pressure`), by resource.",
        &[
            ("cpu", One("Pressure"), "Processor."),
            ("memory", One("Pressure"), "Memory."),
            ("io", One("Pressure"), "Input and output."),
        ],
    ),
    (
        "Pressure",
        "Share of the time in which work was stalled for want of one resource.",
        &[
            ("some_avg10", Number, "At least one task stalled, mean over 10 seconds, 0 to 100."),
            ("some_avg60", Number, "At least one task stalled, mean over 60 seconds, 0 to 100."),
            (
                "full_avg10",
                Maybe(&Number),
                "All tasks stalled at once, mean over 10 seconds, 0 to 100; the kernel has none for the processor.",
            ),
            ("full_avg60", Maybe(&Number), "All tasks stalled at once, mean over 60 seconds, 0 to 100."),
        ],
    ),
    (
        "CgroupMetrics",
        "The control group that this process lives in.",
        &[
            ("version", Whole, "1 or 2."),
            ("path", Text, "Path of the group."),
            ("cpu_limit_cores", Maybe(&Number), "Processors it may use, such as 1.5; none: no limit."),
            (
                "throttled_periods",
                Maybe(&Whole),
                "Scheduling periods in which it was throttled, since it began.",
            ),
            ("periods", Maybe(&Whole), "Scheduling periods since it began."),
            ("memory_limit_bytes", Maybe(&Whole), "Memory it may use, in bytes; none: no limit."),
            (
                "memory_high_bytes",
                Maybe(&Whole),
                "Memory above which the kernel slows it down and takes memory back, in bytes (`memory.high`).",
            ),
            (
                "memory_used_bytes",
                Maybe(&Whole),
                "Memory in use, in bytes, page cache that can be dropped left out: of the group that sets the lower \
                 of both limits.",
            ),
            ("oom_kills", Maybe(&Whole), "Processes of it killed for want of memory."),
            ("pids_limit", Maybe(&Whole), "Processes it may have; none: no limit."),
            ("pids", Maybe(&Whole), "Processes it has."),
        ],
    ),
    (
        "ContainerMetrics",
        "Containers of one engine.",
        &[
            ("engine", Text, "The engine and its version."),
            ("running", Whole, "How many run."),
            ("total", Whole, "How many there are."),
            ("containers", List(&One("ContainerInfo")), "Each one, running ones first."),
        ],
    ),
    (
        "ContainerInfo",
        "One container.",
        &[
            ("id", Text, "The first 12 characters of its id."),
            ("name", Text, "Its name. Untrusted text: whoever started it chose it."),
            ("image", Text, "Its image. Untrusted text."),
            ("state", Text, "`running`, `exited`, `restarting`, `paused` ..."),
            ("health", Maybe(&Text), "`healthy`, `unhealthy`, `starting`, where it has a health check."),
            (
                "cpu_percent",
                Maybe(&Number),
                "Share of one processor over the sampling interval; over 100 with several.",
            ),
            ("cpu_limit_cores", Maybe(&Number), "Processors it may use; none: no limit."),
            ("memory_used_bytes", Maybe(&Whole), "Memory in use, in bytes, as `docker stats` counts."),
            ("memory_limit_bytes", Maybe(&Whole), "Memory it may use, in bytes; none: no limit."),
            (
                "memory_used_percent",
                Maybe(&Number),
                "Used share of its limit, 0 to 100; none without a limit.",
            ),
            ("pids", Maybe(&Whole), "Processes and threads it has."),
            ("pids_limit", Maybe(&Whole), "Processes and threads it may have; none: no limit."),
            ("restarts", Whole, "How often the engine has started it again."),
            ("oom_killed", Flag, "Its latest run was ended for want of memory."),
            ("exit_code", Maybe(&Signed), "Exit code of its latest run, once ended."),
        ],
    ),
    (
        "GpuMetrics",
        "One GPU; null is what its driver does not give.",
        &[
            ("index", Whole, "Position on the bus, from 0."),
            ("name", Maybe(&Text), "What the driver calls it."),
            ("used_percent", Maybe(&Number), "Busy share, 0 to 100."),
            ("memory_total_bytes", Maybe(&Whole), "Its memory in bytes."),
            ("memory_used_bytes", Maybe(&Whole), "Memory in use, in bytes."),
            ("celsius", Maybe(&Number), "Degrees Celsius."),
        ],
    ),
];
