//! The result of the hardware-optimizer: what was measured, found and recommended, and how the texts were checked.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::finding::{Finding, Severity};
use super::metric::Snapshot;
use super::model_permission::ModelPermission;

/// Who wrote a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GeneratedBy {
    /// A model, within the language of the finding.
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
    /// The recommendation: the rule's statement of the finding, then what to do.
    pub text: String,
    /// Who wrote the text.
    pub text_by: GeneratedBy,
    /// Commands or settings to look at, from the finding's remedies only.
    pub commands: Vec<String>,
}

/// What is checked in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// A name that the finding is about.
    Name,
    /// A command of the finding's remedies.
    Command,
}

impl AssertionKind {
    /// In lower case.
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

/// A part of a text that was found to be supported by the evidence, and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assertion {
    /// What it is.
    pub kind: AssertionKind,
    /// The words, as they are in the text.
    pub text: String,
    /// Its first character in the text, counted in characters from 0.
    pub start: usize,
    /// The character after its last.
    pub end: usize,
}

/// What was checked in the text of one recommendation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedText {
    /// The finding that the text is about.
    pub finding_id: String,
    /// The permission under which a model wrote the text; none for the rules' own text.
    pub permission: Option<ModelPermission>,
    /// What the text asserts, in its order; a sentence comes before its parts.
    pub assertions: Vec<Assertion>,
}

/// Why a text of a model was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionReason {
    /// It has words, figures, names or commands that the evidence does not allow.
    NotInLanguage,
    /// The model itself finds the text improbable.
    NotFluent,
    /// It says the same twice.
    Repetitive,
    /// It reached the token limit.
    BrokenOff,
    /// Another model wrote it than the one that has the permission.
    OtherModel,
}

impl RejectionReason {
    /// For people.
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

/// A text of a model that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedAttempt {
    /// The finding that it was about; none for the summary.
    pub finding_id: Option<String>,
    /// Which attempt at that text it was, from 1.
    pub attempt: u32,
    /// Why it was refused.
    pub reason: RejectionReason,
    /// Its first words that do not fit, or its beginning; at most 80 characters.
    pub excerpt: String,
}

/// How the texts were checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grounding {
    /// What the model may do; empty where no model was asked.
    pub permissions: Vec<ModelPermission>,
    /// One for each recommendation, in the same order.
    pub texts: Vec<CheckedText>,
    /// Texts of the model that were refused.
    pub refused: Vec<RefusedAttempt>,
}

impl Grounding {
    /// How many texts a model wrote under this permission.
    pub fn written_under(&self, permission: ModelPermission) -> usize {
        self.texts.iter().filter(|text| text.permission == Some(permission)).count()
    }

    /// How many texts are the rules' own.
    pub fn written_by_rules(&self) -> usize {
        self.texts.iter().filter(|text| text.permission.is_none()).count()
    }

    /// How many attempts were refused, for each reason that there was.
    pub fn refused_by_reason(&self) -> BTreeMap<RejectionReason, usize> {
        let mut counts = BTreeMap::new();
        for refused in &self.refused {
            *counts.entry(refused.reason).or_default() += 1;
        }
        counts
    }
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
    /// What the analysis had to do without, such as its history; one clause each, for people.
    #[serde(default)]
    pub notes: Vec<String>,
    /// One line over all findings, composed of the rules' own headlines.
    pub summary: String,
    /// How the texts were checked.
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
