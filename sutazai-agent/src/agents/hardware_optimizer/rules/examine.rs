//! Run of all rules over one snapshot.

use std::cmp::Reverse;
use std::collections::HashSet;

use sutazai_core::domain::{CheckedRule, RuleDescriptor, Snapshot};

use super::draft::Found;
use super::rule::{Facts, Rule};
use super::trends::Trends;
use super::{RULES, coverage};

/// Returns the descriptions of all rules, in their order.
pub(in crate::agents::hardware_optimizer) fn descriptors() -> Vec<RuleDescriptor> {
    RULES.iter().map(Rule::describe).collect()
}

/// Result of running all rules.
#[derive(Debug, Default)]
pub(in crate::agents::hardware_optimizer) struct Examined {
    /// Findings, worst first and then in the order of the rules; each id is unique.
    pub(in crate::agents::hardware_optimizer) found: Vec<Found>,
    /// Extent to which each rule could be run, in the order of the rules.
    pub(in crate::agents::hardware_optimizer) checked: Vec<CheckedRule>,
}

/// Runs all rules over one snapshot.
pub(in crate::agents::hardware_optimizer) fn examine(snapshot: &Snapshot, trends: &Trends) -> Examined {
    let mut facts = Facts::new(snapshot, trends);
    let mut found = Vec::new();
    let mut checked = Vec::with_capacity(RULES.len());
    for rule in RULES {
        let new = (rule.check)(&facts);
        checked.push(coverage::of(rule, &facts));
        facts.worst_found = new.iter().map(|found| found.finding.severity).chain(facts.worst_found).max();
        found.extend(new);
    }
    // A figure that is not finite has no meaning in a sentence and no representation in JSON.
    found.retain(|found| found.finding.evidence.iter().all(|evidence| evidence.value.is_finite()));
    found.sort_by_key(|found| Reverse(found.finding.severity));
    let mut seen = HashSet::new();
    for Found { finding, .. } in &mut found {
        let id = finding.id.clone();
        let numbered = (2..).map(|number| format!("{id}:{number}"));
        let mut ids = std::iter::once(id.clone()).chain(numbered);
        if let Some(free) = ids.find(|id| !seen.contains(id)) {
            seen.insert(free.clone());
            finding.id = free;
        }
    }
    Examined { found, checked }
}

/// Returns the findings of all rules.
pub(in crate::agents::hardware_optimizer) fn find(snapshot: &Snapshot, trends: &Trends) -> Vec<Found> {
    examine(snapshot, trends).found
}
