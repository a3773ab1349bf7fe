//! Builder of findings: the evidence with the decisive value first, the remedies and the authored sentences.

use chrono::{DateTime, Utc};
use sutazai_core::domain::{Evidence, Finding, Remedy, Severity};

use super::rule::Rule;

/// Finding together with its authored sentences.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::agents::hardware_optimizer) struct Found {
    /// Finding as it is published.
    pub(in crate::agents::hardware_optimizer) finding: Finding,
    /// Sentences that a text about the finding is composed of.
    pub(in crate::agents::hardware_optimizer) texts: Texts,
}

/// Authored sentences about one finding.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::agents::hardware_optimizer) struct Texts {
    /// Statements of the finding with its figures; the first is `Finding::summary`.
    pub(in crate::agents::hardware_optimizer) statements: Vec<String>,
    /// Sentences on why it matters, each true for this evidence. They may hold `[a|b]` synonym choices, but no digits,
    /// names or commands.
    pub(in crate::agents::hardware_optimizer) consequences: Vec<String>,
    /// Advice as complete sentences, the safest first; commands are in backquotes.
    pub(in crate::agents::hardware_optimizer) advice: Vec<String>,
    /// Short clause for the one-line summary over all findings, such as `memory is nearly used up`.
    pub(in crate::agents::hardware_optimizer) headline: String,
}

impl Texts {
    /// Composes the authored text: the first statement, consequence and advice, each synonym choice resolved to its
    /// first.
    pub(in crate::agents::hardware_optimizer) fn rules_text(&self) -> String {
        let consequence = self.consequences.first().map(|sentence| first_choices(sentence));
        let parts = [self.statements.first().cloned(), consequence, self.advice.first().cloned()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// Resolves each `[a|b]` of a sentence to `a`.
pub(in crate::agents::hardware_optimizer) fn first_choices(sentence: &str) -> String {
    let mut resolved = String::with_capacity(sentence.len());
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('[') {
        let (choices, behind) = after.split_once(']').unwrap_or((after, ""));
        resolved.push_str(before);
        resolved.push_str(choices.split('|').next().unwrap_or_default());
        rest = behind;
    }
    resolved + rest
}

/// Finding that is under construction.
pub(super) struct Draft(Found);

impl Draft {
    /// Starts a finding of `rule` about `resource`; names of untrusted origin in it must have been cleaned.
    pub(super) fn new(rule: &Rule, severity: Severity, resource: impl Into<String>) -> Self {
        let finding = Finding {
            id: rule.name.to_owned(),
            rule: rule.name.to_owned(),
            severity,
            resource: resource.into(),
            summary: String::new(),
            evidence: Vec::new(),
            remedies: Vec::new(),
        };
        Self(Found { finding, texts: Texts::default() })
    }

    /// Sets which of several things the finding is about, as a cleaned name for the id.
    pub(super) fn about(mut self, what: &str) -> Self {
        self.0.finding.id = format!("{}:{what}", self.0.finding.rule);
        self
    }

    /// Adds a value that was compared with a bound.
    pub(super) fn judged(mut self, metric: impl Into<String>, value: f64, unit: &str, bound: f64) -> Self {
        self.0.finding.evidence.push(evidence(metric.into(), value, unit, Some(bound)));
        self
    }

    /// Adds a value that was not judged but helps to understand the finding.
    pub(super) fn context(mut self, metric: impl Into<String>, value: f64, unit: &str) -> Self {
        self.0.finding.evidence.push(evidence(metric.into(), value, unit, None));
        self
    }

    /// Sets the time since which the last added value has been past its bound.
    pub(super) fn since(mut self, since: Option<DateTime<Utc>>) -> Self {
        if let Some(last) = self.0.finding.evidence.last_mut() {
            last.since = since;
        }
        self
    }

    /// Adds statements of the finding with its figures; the first of all becomes the summary.
    pub(super) fn statements<const N: usize>(mut self, statements: [String; N]) -> Self {
        self.0.texts.statements.extend(statements);
        self
    }

    /// Adds sentences on why it matters, each true for this evidence.
    pub(super) fn consequences(mut self, consequences: &[&str]) -> Self {
        self.0.texts.consequences.extend(consequences.iter().map(|&sentence| sentence.to_owned()));
        self
    }

    /// Adds a remedy with a command, and the advice to use it; `{command}` in the advice stands for the command.
    pub(super) fn command(self, text: &str, command: impl Into<String>, advice: &str) -> Self {
        self.command_if(text, Some(command.into()), advice)
    }

    /// Works like [`Draft::command`]; without a command, because its argument is unsafe, the remedy text is the advice.
    pub(super) fn command_if(mut self, text: &str, command: Option<String>, advice: &str) -> Self {
        let advice = match &command {
            Some(command) => advice.replace("{command}", &format!("`{command}`")),
            None => text.to_owned(),
        };
        self.0.finding.remedies.push(Remedy { text: text.to_owned(), command });
        self.advice(advice)
    }

    /// Adds a remedy without a command, which is advice too.
    pub(super) fn remedy(mut self, text: &str) -> Self {
        self.0.finding.remedies.push(Remedy { text: text.to_owned(), command: None });
        self.advice(text)
    }

    /// Adds advice that is not among the published remedies.
    pub(super) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.0.texts.advice.push(advice.into());
        self
    }

    /// Completes the finding with its clause for the summary over all findings.
    pub(super) fn finish(mut self, headline: impl Into<String>) -> Found {
        self.0.finding.summary = self.0.texts.statements.first().cloned().unwrap_or_default();
        self.0.texts.headline = headline.into();
        self.0
    }
}

fn evidence(metric: String, value: f64, unit: &str, threshold: Option<f64>) -> Evidence {
    Evidence { metric, value, unit: unit.to_owned(), threshold, since: None }
}
