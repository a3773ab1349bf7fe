//! Result of the hardware-optimizer: measurements, findings, recommendations, and the checks of its texts.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::{Finding, Severity};
use super::metric::Snapshot;
use super::model_permission::ModelPermission;

/// Author of a text of the analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GeneratedBy {
    /// A model, within the language of the finding.
    Model,
    /// The rules, with their own sentences.
    Rules,
}

/// Urgency of the whole analysis, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PriorityLevel {
    /// The machine needs no attention.
    Low,
    /// The machine should be watched.
    Medium,
    /// The machine needs attention soon.
    High,
    /// The machine needs attention now.
    Critical,
}

impl PriorityLevel {
    /// Derives the level from the highest of CPU, memory and disk percent: over 90 critical, over 70 high, over 50
    /// medium.
    pub fn from_percent(highest: f64) -> Self {
        match highest {
            p if p > 90.0 => Self::Critical,
            p if p > 70.0 => Self::High,
            p if p > 50.0 => Self::Medium,
            _ => Self::Low,
        }
    }

    /// Returns the minimum level for a finding of this severity.
    pub fn at_least_for(severity: Severity) -> Self {
        match severity {
            Severity::Critical => Self::Critical,
            Severity::Warning => Self::Medium,
            Severity::Info => Self::Low,
        }
    }

    /// Returns the name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Recommendation for one finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recommendation {
    /// Id of the finding.
    pub finding_id: String,
    /// Severity of the finding.
    pub severity: Severity,
    /// Resource that the finding concerns.
    pub resource: String,
    /// Text of the recommendation: the rule's statement of the finding, then what to do.
    pub text: String,
    /// Author of the text.
    pub text_by: GeneratedBy,
    /// Commands or settings to look at, only from the finding's remedies.
    pub commands: Vec<String>,
}

/// Kind of an assertion that is checked in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AssertionKind {
    /// A sentence of the rule that states the finding.
    Statement,
    /// A sentence of the rule on why the finding matters.
    Consequence,
    /// A sentence on what to do: the rule's own, or one of the language of advice about this finding.
    Advice,
    /// A measured number with its unit.
    Figure,
    /// A name that occurs in the finding.
    Name,
    /// A command of the finding's remedies.
    Command,
}

impl AssertionKind {
    /// Returns the name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::Consequence => "consequence",
            Self::Advice => "advice",
            Self::Figure => "figure",
            Self::Name => "name",
            Self::Command => "command",
        }
    }
}

/// A part of a text that the evidence supports, with its position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Assertion {
    /// Kind of the assertion.
    pub kind: AssertionKind,
    /// Words of the assertion, as they are in the text.
    pub text: String,
    /// Offset of its first character in the text, in characters from 0.
    pub start: usize,
    /// Offset behind its last character, in characters.
    pub end: usize,
    /// Index in the evidence of the finding of the value that a figure states, or of the first value about the thing that
    /// a name names; `None` for sentences and commands, and in analyses of earlier versions.
    #[serde(default)]
    pub evidence: Option<usize>,
}

/// Checked assertions of the text of one recommendation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckedText {
    /// Id of the finding that the text is about.
    pub finding_id: String,
    /// Permission under which a model wrote the text; `None` for the rules' own text.
    pub permission: Option<ModelPermission>,
    /// Assertions in their order in the text; a sentence precedes its parts.
    pub assertions: Vec<Assertion>,
}

/// Reason for rejecting a text of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RejectionReason {
    /// The text has words, figures, names or commands that the evidence does not support.
    NotInLanguage,
    /// The model itself rates the text as improbable.
    NotFluent,
    /// The text repeats itself.
    Repetitive,
    /// The text reached the token limit.
    BrokenOff,
    /// The text was written by another model than the one with the permission.
    OtherModel,
}

impl RejectionReason {
    /// Returns the reason in words, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotInLanguage => "not in the language of the evidence",
            Self::NotFluent => "not fluent",
            Self::Repetitive => "repetitive",
            Self::BrokenOff => "broken off",
            Self::OtherModel => "written by a model without permission",
        }
    }
}

/// A rejected text of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedAttempt {
    /// Id of the finding that it was about; `None` for the summary.
    pub finding_id: Option<String>,
    /// Number of the attempt at that text, from 1.
    pub attempt: u32,
    /// Reason for rejecting the text.
    pub reason: RejectionReason,
    /// First words that do not belong to the language, or the beginning of the text; at most 80 characters.
    pub excerpt: String,
}

/// Result of checking the texts of an analysis.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Grounding {
    /// Permissions of the model; empty if no model was asked.
    pub permissions: Vec<ModelPermission>,
    /// One entry per recommendation, in the same order.
    pub texts: Vec<CheckedText>,
    /// Texts of the model that were rejected.
    pub refused: Vec<RefusedAttempt>,
}

impl Grounding {
    /// Counts the texts that a model wrote under this permission.
    pub fn written_under(&self, permission: ModelPermission) -> usize {
        self.texts.iter().filter(|text| text.permission == Some(permission)).count()
    }

    /// Counts the texts that are the rules' own.
    pub fn written_by_rules(&self) -> usize {
        self.texts.iter().filter(|text| text.permission.is_none()).count()
    }

    /// Counts the rejected attempts by reason; reasons without one are left out.
    pub fn refused_by_reason(&self) -> BTreeMap<RejectionReason, usize> {
        let mut counts = BTreeMap::new();
        for refused in &self.refused {
            *counts.entry(refused.reason).or_default() += 1;
        }
        counts
    }
}

/// Extent to which a rule could be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckedRule {
    /// Name of the rule.
    pub rule: String,
    /// Number of things that the rule judged, such as disks; 1 for the machine as a whole.
    pub looked_at: u32,
    /// Reason for which it judged none, for people; `None` if it could be run, also if there was nothing of its kind.
    pub reason: Option<String>,
}

/// Model that took part in an analysis, with its token counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelUse {
    /// Name of the backend.
    pub backend: String,
    /// Name of the model.
    pub name: String,
    /// Duration of all generation, in milliseconds.
    pub duration_ms: u64,
    /// Number of prompt tokens.
    pub prompt_tokens: u32,
    /// Number of generated tokens.
    pub completion_tokens: u32,
    /// Reason why another model than the configured one wrote, or why texts are missing; `None` if neither holds.
    pub degraded: Option<String>,
}

/// Complete result of one analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Analysis {
    /// Name of the analyzed machine.
    pub host: String,
    /// Measurements that the analysis is based on.
    pub metrics: Snapshot,
    /// Findings of the rules, most severe first.
    pub findings: Vec<Finding>,
    /// Extent to which each rule could be run, in the order of the rules; empty in analyses of earlier versions.
    #[serde(default)]
    pub checked: Vec<CheckedRule>,
    /// One recommendation per finding, in the same order.
    pub recommendations: Vec<Recommendation>,
    /// Urgency of the whole analysis.
    pub priority_level: PriorityLevel,
    /// `model` if a model wrote at least one of the texts, else `rules`.
    pub generated_by: GeneratedBy,
    /// Model that took part; `None` if there was none.
    pub model: Option<ModelUse>,
    /// Reason why no model took part although one was wanted, for people.
    pub degraded: Option<String>,
    /// Inputs that the analysis lacked, such as its history; one clause each, for people.
    #[serde(default)]
    pub notes: Vec<String>,
    /// One line over all findings, composed of the rules' own headlines.
    pub summary: String,
    /// Result of checking the texts.
    pub grounding: Grounding,
    /// Time at which the analysis was finished.
    pub generated_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_changes_above_its_threshold() {
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
