//! What the rules found, with the evidence for it and what may be done about it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth doing something about.
    Warning,
    /// Do something now.
    Critical,
}

impl Severity {
    /// In lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One measured value that a finding rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Where it stands in the snapshot, such as `host.memory.used_percent`.
    pub metric: String,
    /// The measured value, in `unit`.
    pub value: f64,
    /// Its unit: `percent`, `bytes`, `bytes/s`, `ms`, `celsius`, `hours`, `count` ...
    pub unit: String,
    /// The bound it was held against, in `unit`; none for context that was not judged.
    pub threshold: Option<f64>,
    /// Since when it has been past its bound, where history tells.
    pub since: Option<DateTime<Utc>>,
}

/// Something that may be done: safe to read, never run by the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// What it does, one sentence.
    pub text: String,
    /// A command or a setting to look at; none where words are all there is.
    pub command: Option<String>,
}

/// What one rule found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule and, where it can hold for several things, which: `disk_space:/var`.
    pub id: String,
    /// The rule that found it.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: `memory`, `disk /var`, `container web`.
    pub resource: String,
    /// One sentence with the figures, written by the rule.
    pub summary: String,
    /// What it rests on, the decisive value first.
    pub evidence: Vec<Evidence>,
    /// What may be done, the safest first.
    pub remedies: Vec<Remedy>,
}
