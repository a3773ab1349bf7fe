//! Findings of the rules, with their evidence and possible remedies.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Severity of a finding, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know; nothing needs to be done.
    Info,
    /// A problem that should be solved.
    Warning,
    /// A problem that must be solved now.
    Critical,
}

impl Severity {
    /// Returns the name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One measured value that supports a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Metric path in the snapshot, such as `host.memory.used_percent`.
    pub metric: String,
    /// The measured value, in `unit`.
    pub value: f64,
    /// Unit of the value: `percent`, `bytes`, `bytes/s`, `ms`, `celsius`, `hours`, `count` ...
    pub unit: String,
    /// Threshold that the value was compared with, in `unit`; `None` for context that was not judged.
    pub threshold: Option<f64>,
    /// Time since which the value has been past its threshold, if the history shows it.
    pub since: Option<DateTime<Utc>>,
}

/// A suggested remedy: safe to read, never executed by the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remedy {
    /// Effect of the remedy, in one sentence.
    pub text: String,
    /// Command or setting to look at; `None` if the text is enough.
    pub command: Option<String>,
}

/// A problem or notable fact that one rule detected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Name of the rule, followed by the resource where the rule applies to several: `disk_space:/var`.
    pub id: String,
    /// Name of the rule that detected it.
    pub rule: String,
    /// Severity of the finding.
    pub severity: Severity,
    /// Resource concerned, such as `memory`, `disk /var` or `container web`.
    pub resource: String,
    /// One sentence with the measured values, written by the rule.
    pub summary: String,
    /// Supporting values, the decisive one first.
    pub evidence: Vec<Evidence>,
    /// Suggested remedies, the safest first.
    pub remedies: Vec<Remedy>,
}

impl Finding {
    /// Returns the size in bytes of the texts in the finding.
    pub(crate) fn text_bytes(&self) -> usize {
        let evidence = self.evidence.iter().map(|one| one.metric.len() + one.unit.len());
        let remedies = self.remedies.iter();
        let remedies = remedies.map(|one| one.text.len() + one.command.as_ref().map_or(0, String::len));
        let own = self.id.len() + self.rule.len() + self.resource.len() + self.summary.len();
        own + evidence.chain(remedies).sum::<usize>()
    }
}
