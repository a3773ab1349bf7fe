//! How a rule writes its finding down: whose it is, the evidence with the decisive value first, what may be done.

use chrono::{DateTime, Utc};
use sutazai_core::domain::{Evidence, Finding, Remedy, Severity};

use super::rule::Rule;

/// A finding that is being written.
pub(super) struct Draft(Finding);

impl Draft {
    /// Of this rule, about this resource. Names of others in it must have been cleaned.
    pub(super) fn new(rule: &Rule, severity: Severity, resource: impl Into<String>) -> Self {
        Self(Finding {
            id: rule.name.to_owned(),
            rule: rule.name.to_owned(),
            severity,
            resource: resource.into(),
            summary: String::new(),
            evidence: Vec::new(),
            remedies: Vec::new(),
        })
    }

    /// Which of several things it is about, cleaned, for the id.
    pub(super) fn about(mut self, what: &str) -> Self {
        self.0.id = format!("{}:{what}", self.0.rule);
        self
    }

    /// A value that was held against a bound.
    pub(super) fn judged(mut self, metric: impl Into<String>, value: f64, unit: &str, bound: f64) -> Self {
        self.0.evidence.push(evidence(metric.into(), value, unit, Some(bound)));
        self
    }

    /// A value that was not judged but belongs to the picture.
    pub(super) fn context(mut self, metric: impl Into<String>, value: f64, unit: &str) -> Self {
        self.0.evidence.push(evidence(metric.into(), value, unit, None));
        self
    }

    /// Since when the value written last is past its bound.
    pub(super) fn since(mut self, since: Option<DateTime<Utc>>) -> Self {
        if let Some(last) = self.0.evidence.last_mut() {
            last.since = since;
        }
        self
    }

    /// What may be done, where words are all there is.
    pub(super) fn advice(mut self, text: &str) -> Self {
        self.0.remedies.push(Remedy { text: text.to_owned(), command: None });
        self
    }

    /// What may be done, with a command to look at.
    pub(super) fn command(mut self, text: &str, command: impl Into<String>) -> Self {
        self.0.remedies.push(Remedy { text: text.to_owned(), command: Some(command.into()) });
        self
    }

    /// As [`Draft::command`], with the command left out where its argument cannot be trusted.
    pub(super) fn command_if(mut self, text: &str, command: Option<String>) -> Self {
        self.0.remedies.push(Remedy { text: text.to_owned(), command });
        self
    }

    /// The finding, with its sentence.
    pub(super) fn says(mut self, summary: impl Into<String>) -> Finding {
        self.0.summary = summary.into();
        self.0
    }
}

fn evidence(metric: String, value: f64, unit: &str, threshold: Option<f64>) -> Evidence {
    Evidence { metric, value, unit: unit.to_owned(), threshold, since: None }
}
