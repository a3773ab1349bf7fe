//! Definition of a rule, its description, and the limit of its findings.

use sutazai_core::domain::{RuleDescriptor, Severity};

use super::draft::{Draft, Found};
use super::judged::Judged;

pub(in crate::agents::hardware_optimizer) use super::trends::Facts;

/// Rule that examines a snapshot for one kind of problem.
pub(in crate::agents::hardware_optimizer) struct Rule {
    /// Stable name in snake case.
    pub(in crate::agents::hardware_optimizer) name: &'static str,
    /// Short name for people.
    pub(super) title: &'static str,
    /// Meaning of a finding, and the cases that the rule leaves out.
    pub(super) meaning: &'static str,
    /// Conditions of an informative finding, a warning and a critical finding; empty if there is no such finding.
    pub(super) conditions: [&'static str; 3],
    /// Origin of the bounds; empty for a rule without bounds.
    pub(super) source: &'static str,
    /// Values that are compared with bounds, the decisive one first.
    pub(super) judged: &'static [Judged],
    /// Figures without which the rule cannot be run, as `missing` of a section names them.
    pub(super) needs: &'static [&'static str],
    /// Returns the findings; values that were not measured give none.
    pub(in crate::agents::hardware_optimizer) check: fn(&Facts<'_>) -> Vec<Found>,
}

/// Maximum number of findings of one rule.
const MAX_FINDINGS_PER_RULE: usize = 5;

/// Wording of the finding that covers those beyond the maximum of a rule.
pub(super) struct Rest {
    /// Path of the metric that lists the things.
    pub(super) metric: &'static str,
    /// Noun for the things, in the plural.
    pub(super) things: &'static str,
    /// Problem of the things; completes "things that are".
    pub(super) are: &'static str,
    /// Sentence on why the problem matters.
    pub(super) consequence: &'static str,
    /// Remedy that shows all of the things.
    pub(super) text: &'static str,
    /// Command that shows all of the things.
    pub(super) command: &'static str,
    /// Advice to use the command, which `{command}` stands for.
    pub(super) advice: &'static str,
}

impl Rule {
    /// Returns the description of the rule as data.
    pub(super) fn describe(&self) -> RuleDescriptor {
        let words = |words: &str| Some(words.to_owned()).filter(|words| !words.is_empty());
        let [info, warning, critical] = self.conditions.map(words);
        RuleDescriptor {
            id: self.name.to_owned(),
            title: self.title.to_owned(),
            meaning: self.meaning.to_owned(),
            info,
            warning,
            critical,
            source: words(self.source),
            metrics: self.judged.iter().map(Judged::describe).collect(),
        }
    }

    /// Returns the worst findings, at most five; if there are more, the fifth covers all the others.
    pub(super) fn worst(&self, mut found: Vec<Found>, rest: &Rest) -> Vec<Found> {
        found.sort_by(|one, other| {
            (other.finding.severity.cmp(&one.finding.severity)).then(excess(other).total_cmp(&excess(one)))
        });
        if found.len() <= MAX_FINDINGS_PER_RULE {
            return found;
        }
        let left = found.split_off(MAX_FINDINGS_PER_RULE - 1);
        let severity = left.iter().map(|found| found.finding.severity).max().unwrap_or(Severity::Info);
        let resource = format!("{} more {}", left.len(), rest.things);
        let draft = Draft::new(self, severity, resource.clone())
            .about("more")
            .context(rest.metric, left.len() as f64, "count")
            .statements([
                format!("There are {resource} that are {}.", rest.are),
                format!("In addition to those that are named, {resource} are {}.", rest.are),
            ])
            .consequences(&[rest.consequence, "Problems of one kind often have one common cause."])
            .command(rest.text, rest.command, rest.advice)
            .advice("Begin with the ones that are named, because they are the worst.")
            .advice("Look for a cause that they have in common, such as one program or one setting.");
        found.push(draft.finish(format!("more {} are {}", rest.things, rest.are)));
        found
    }
}

/// Returns the ratio between the decisive value and its bound, at least one; the value itself when there is no bound.
fn excess(found: &Found) -> f64 {
    let Some(evidence) = found.finding.evidence.first() else { return 0.0 };
    match evidence.threshold {
        Some(bound) if bound > 0.0 => (evidence.value / bound).max(bound / evidence.value),
        _ => evidence.value,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use sutazai_core::domain::Snapshot;

    use super::super::trends::Trends;
    use super::*;

    /// Returns the severity that this rule alone assigns to the snapshot; `None` without a finding.
    pub(in super::super) fn grade(rule: &Rule, snapshot: &Snapshot) -> Option<Severity> {
        grade_with(rule, snapshot, &Trends::default())
    }

    pub(in super::super) fn grade_with(
        rule: &Rule,
        snapshot: &Snapshot,
        trends: &Trends,
    ) -> Option<Severity> {
        (rule.check)(&Facts::new(snapshot, trends)).iter().map(|found| found.finding.severity).max()
    }
}
