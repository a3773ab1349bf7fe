//! The result of the hardware-optimizer: what was measured, found and recommended, and how far it was checked.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::finding::{Finding, Severity};
use super::metric::Snapshot;

/// Who wrote a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GeneratedBy {
    /// A model; every claim in it was checked.
    Model,
    /// The rules' own sentences.
    Rules,
}

/// How pressing the whole is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PriorityLevel {
    /// Nothing presses.
    Low,
    /// Keep an eye on it.
    Medium,
    /// Act soon.
    High,
    /// Act now.
    Critical,
}

impl PriorityLevel {
    /// From the highest of CPU, memory and disk percent: over 90 critical, over 70 high, over 50 medium.
    pub fn from_percent(highest: f64) -> Self {
        match highest {
            p if p > 90.0 => Self::Critical,
            p if p > 70.0 => Self::High,
            p if p > 50.0 => Self::Medium,
            _ => Self::Low,
        }
    }

    /// The level that a finding of this severity calls for at least.
    pub fn at_least_for(severity: Severity) -> Self {
        match severity {
            Severity::Critical => Self::Critical,
            Severity::Warning => Self::Medium,
            Severity::Info => Self::Low,
        }
    }

    /// In lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What to do about one finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The finding it answers.
    pub finding_id: String,
    /// How bad that is.
    pub severity: Severity,
    /// What it is about.
    pub resource: String,
    /// The recommendation, every claim checked.
    pub text: String,
    /// Who wrote the text.
    pub text_by: GeneratedBy,
    /// Commands or settings to look at, from the finding's remedies only.
    pub commands: Vec<String>,
}

/// How far the texts were checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grounding {
    /// Numbers, names, units, paths and commands in the texts that were accepted.
    pub claims: u32,
    /// How many of them the evidence supports. Always all, or there is a fault.
    pub supported: u32,
    /// Texts that the model had to write again.
    pub rewritten: u32,
    /// Texts that were replaced by the rules' sentence.
    pub replaced: u32,
}

/// Which model took part, and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelUse {
    /// The backend.
    pub backend: String,
    /// The model.
    pub name: String,
    /// How long it wrote, in milliseconds.
    pub duration_ms: u64,
    /// Tokens read.
    pub prompt_tokens: u32,
    /// Tokens written.
    pub completion_tokens: u32,
    /// Why this is not the configured model, or why texts are missing; none when all is as asked.
    pub degraded: Option<String>,
}

/// The result of one analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// Name of the machine that was analyzed.
    pub host: String,
    /// What was measured.
    pub metrics: Snapshot,
    /// What the rules found, worst first.
    pub findings: Vec<Finding>,
    /// One for each finding, in the same order.
    pub recommendations: Vec<Recommendation>,
    /// How pressing the whole is.
    pub priority_level: PriorityLevel,
    /// `model` if a model wrote at least one of the texts.
    pub generated_by: GeneratedBy,
    /// Which model took part; none if there was none.
    pub model: Option<ModelUse>,
    /// Why no model took part where one was wanted, for people.
    pub degraded: Option<String>,
    /// How far the texts were checked.
    pub grounding: Grounding,
    /// When it was finished.
    pub generated_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_change_over_their_bounds() {
        for (percent, level) in [
            (50.0, PriorityLevel::Low),
            (50.1, PriorityLevel::Medium),
            (70.0, PriorityLevel::Medium),
            (70.1, PriorityLevel::High),
            (90.0, PriorityLevel::High),
            (90.1, PriorityLevel::Critical),
        ] {
            assert_eq!(PriorityLevel::from_percent(percent), level, "{percent}");
        }
    }
}
