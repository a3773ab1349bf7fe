//! Schemas of the section `containers`.

use super::Fields;
use super::Kind::{Flag, List, Maybe, Number, One, Signed, Text, Whole};

/// Types that occur in the section.
pub(super) const TYPES: &[Fields] = &[
    (
        "ContainerMetrics",
        "Containers of one container engine.",
        &[
            ("engine", Text, "The engine and its version."),
            ("running", Whole, "Number of running containers."),
            ("total", Whole, "Number of containers."),
            ("containers", List(&One("ContainerInfo")), "All containers, running ones first."),
            ("earlier", List(&One("EarlierValue")), "Earlier readings of values whose change is evaluated."),
            ("missing", List(&One("MissingFigures")), "Figures that the engine did not provide."),
        ],
    ),
    (
        "ContainerInfo",
        "Container.",
        &[
            ("id", Text, "The first 12 characters of its id."),
            ("name", Text, "Name. Untrusted text: chosen by whoever started the container."),
            ("image", Text, "Image. Untrusted text."),
            ("state", Text, "`running`, `exited`, `restarting`, `paused` ..."),
            ("health", Maybe(&Text), "`healthy`, `unhealthy` or `starting`; null without a health check."),
            (
                "cpu_percent",
                Maybe(&Number),
                "Share of one processor over the sampling interval; over 100 with several.",
            ),
            ("cpu_limit_cores", Maybe(&Number), "Limit of processors; null: no limit."),
            ("memory_used_bytes", Maybe(&Whole), "Memory in use in bytes, as `docker stats` counts it."),
            ("memory_limit_bytes", Maybe(&Whole), "Limit of memory in bytes; null: no limit."),
            (
                "memory_used_percent",
                Maybe(&Number),
                "Used share of its limit, 0 to 100; null without a limit.",
            ),
            ("pids", Maybe(&Whole), "Number of processes and threads."),
            ("pids_limit", Maybe(&Whole), "Limit of processes and threads; null: no limit."),
            (
                "restarts",
                Maybe(&Whole),
                "Number of restarts by the engine; null when it did not describe the container.",
            ),
            (
                "oom_killed",
                Maybe(&Flag),
                "True if its latest run was killed for lack of memory; null when the engine did not describe the \
                 container.",
            ),
            ("exit_code", Maybe(&Signed), "Exit code of its latest run, once that has ended."),
            (
                "started_seconds_ago",
                Maybe(&Whole),
                "Seconds since its latest run began; null when the engine does not report it.",
            ),
            (
                "finished_seconds_ago",
                Maybe(&Whole),
                "Seconds since a run of it last ended; null when none has ended or the engine does not report it.",
            ),
        ],
    ),
];
