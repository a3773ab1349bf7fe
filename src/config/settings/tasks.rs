//! Settings: workers, quotas and retention.

use sutazai_core::engine::{DEFAULT_LEASE, DEFAULT_SHUTDOWN_GRACE, default_workers};

use super::setting::{Fallback, Setting, Values, seconds};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "WORKERS",
        values: Values::Number { min: 0, max: 1_024 },
        default: Fallback::Computed(|| default_workers().to_string()),
        help: "tasks that run at once; 0 (serve only) leaves them to other processes",
    },
    Setting {
        name: "LEASE_SECONDS",
        values: Values::Number { min: 1, max: 3_600 },
        default: Fallback::Computed(|| seconds(DEFAULT_LEASE)),
        help: "time after which other processes claim the tasks of a dead process",
    },
    Setting {
        name: "SHUTDOWN_GRACE_SECONDS",
        values: Values::Number { min: 0, max: 3_600 },
        default: Fallback::Computed(|| seconds(DEFAULT_SHUTDOWN_GRACE)),
        help: "time that running tasks get after SIGTERM before they are released",
    },
    Setting {
        name: "MAX_TASKS_PER_USER",
        values: Values::Number { min: 1, max: 100_000 },
        default: Fallback::Unset("no limit"),
        help: "tasks of one user that run at once in all processes",
    },
    Setting {
        name: "AGENT_CONCURRENCY",
        values: Values::Text("agent=1 to agent=100000, separated by commas"),
        default: Fallback::Unset("no limit"),
        help: "tasks of an agent that run at once in all processes",
    },
    Setting {
        name: "MAX_PENDING_TASKS_PER_USER",
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("10000"),
        help: "tasks of one user that may wait for a worker",
    },
    Setting {
        name: "TASKS_KEEP_DAYS",
        values: Values::Number { min: 1, max: 3_650 },
        default: Fallback::Unset("forever"),
        help: "retention of completed and cancelled tasks",
    },
    Setting {
        name: "DEAD_LETTER_KEEP_DAYS",
        values: Values::Number { min: 1, max: 3_650 },
        default: Fallback::Unset("forever"),
        help: "retention of failed tasks",
    },
    Setting {
        name: "MAX_CONVERSATIONS_PER_USER",
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("1000"),
        help: "conversations of one user",
    },
    Setting {
        name: "MAX_MESSAGES_PER_USER",
        values: Values::Number { min: 1, max: 100_000_000 },
        default: Fallback::Fixed("100000"),
        help: "messages in all conversations of one user",
    },
    Setting {
        name: "MAX_MESSAGE_MB_PER_USER",
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("100"),
        help: "megabytes of messages in all conversations of one user",
    },
    Setting {
        name: "MAX_DOCUMENTS_PER_USER",
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("1000"),
        help: "documents of one user",
    },
    Setting {
        name: "MAX_DOCUMENT_MB_PER_USER",
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Fixed("500"),
        help: "megabytes of files that one user may have uploaded",
    },
];
