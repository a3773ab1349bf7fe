//! Schemas of the sections of a snapshot: the types of `domain::metric` for the OpenAPI description.

use utoipa::openapi::schema::{Array, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};

use Kind::{Flag, List, Maybe, Number, One, Signed, Text, Whole};

mod containers;
mod host;

/// Type of a field.
pub(super) enum Kind {
    Text,
    /// Integer, at least 0.
    Whole,
    Signed,
    Number,
    Flag,
    /// Reference to one of [`types`].
    One(&'static str),
    List(&'static Kind),
    /// Nullable: null when the value is not available.
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

/// Names and types of the sections of a snapshot.
pub(super) const SECTIONS: &[(&str, Kind)] = &[
    ("host", One("HostMetrics")),
    ("pressure", One("PressureMetrics")),
    ("cgroup", One("CgroupMetrics")),
    ("containers", One("ContainerMetrics")),
    ("gpus", List(&One("GpuMetrics"))),
];

/// Field of a type: name, type, description.
type Field = (&'static str, Kind, &'static str);

/// Type: name, description, fields.
type Fields = (&'static str, &'static str, &'static [Field]);

/// Returns all types that occur in a section.
pub(super) fn types() -> impl Iterator<Item = &'static Fields> {
    host::TYPES.iter().chain(TYPES).chain(containers::TYPES)
}

/// Types of the sections except the host and the containers.
const TYPES: &[Fields] = &[
    (
        "MissingFigures",
        "Figures that could not be read; the others of the section are there.",
        &[
            (
                "figures",
                List(&Text),
                "Metric paths of the figures, such as `host.memory.used_percent`, or of a group, such as `host.disks`.",
            ),
            ("reason", Text, "Reason, with the file or the interface that could not be read."),
        ],
    ),
    (
        "EarlierValue",
        "Value of an earlier reading of the same source.",
        &[
            ("series", Text, "The series, named as in the metric history: `host.disks[/].used_bytes`."),
            ("seconds_ago", Number, "Seconds before this snapshot."),
            ("value", Number, "The value, in the unit of the series."),
        ],
    ),
    (
        "PressureMetrics",
        "Pressure stall information (`/proc/pressure`), by resource.",
        &[
            ("cpu", Maybe(&One("Pressure")), "Processor; null when it cannot be read."),
            ("memory", Maybe(&One("Pressure")), "Memory; null when it cannot be read."),
            ("io", Maybe(&One("Pressure")), "Input and output; null when it cannot be read."),
            ("missing", List(&One("MissingFigures")), "Resources whose pressure could not be read."),
        ],
    ),
    (
        "Pressure",
        "Share of the time in which tasks were stalled on one resource.",
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
        "Control group of this process.",
        &[
            ("version", Whole, "1 or 2."),
            ("path", Text, "Path of the group."),
            (
                "cpu_limit_cores",
                Maybe(&Number),
                "Limit of processors, such as 1.5; null: no limit, or listed in `missing`.",
            ),
            (
                "throttled_periods",
                Maybe(&Whole),
                "Scheduling periods in which the group was throttled, since its creation.",
            ),
            ("periods", Maybe(&Whole), "Scheduling periods since its creation."),
            (
                "memory_limit_bytes",
                Maybe(&Whole),
                "Limit of memory in bytes; null: no limit, or listed in `missing`.",
            ),
            (
                "memory_high_bytes",
                Maybe(&Whole),
                "Memory above which the kernel throttles and reclaims, in bytes (`memory.high`).",
            ),
            (
                "memory_used_bytes",
                Maybe(&Whole),
                "Memory in use in bytes, without droppable page cache: of the group that sets the lower \
                 of both limits.",
            ),
            ("oom_kills", Maybe(&Whole), "Processes of the group that were killed for lack of memory."),
            ("pids_limit", Maybe(&Whole), "Limit of processes; null: no limit, or listed in `missing`."),
            ("pids", Maybe(&Whole), "Number of processes."),
            (
                "other_cpu_seconds",
                Maybe(&Number),
                "Processor time in seconds that the group used since its creation, without that of this process.",
            ),
            ("earlier", List(&One("EarlierValue")), "Earlier readings of values whose change is evaluated."),
            ("missing", List(&One("MissingFigures")), "Figures that could not be read."),
        ],
    ),
    (
        "GpuMetrics",
        "GPU; values that its driver does not report are null.",
        &[
            ("index", Whole, "Position on the bus, from 0."),
            ("name", Maybe(&Text), "Name that the driver reports."),
            ("used_percent", Maybe(&Number), "Busy share, 0 to 100."),
            ("memory_total_bytes", Maybe(&Whole), "Total memory in bytes."),
            ("memory_used_bytes", Maybe(&Whole), "Memory in use, in bytes."),
            ("celsius", Maybe(&Number), "Degrees Celsius."),
            ("missing", List(&One("MissingFigures")), "Figures that the driver did not provide."),
        ],
    ),
];
