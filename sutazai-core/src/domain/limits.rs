//! Concurrency limits of operators, and the remaining concurrency while a claim is assembled.

use std::collections::{BTreeMap, HashMap};

use super::id::UserId;
use crate::error::{Error, Result};

/// Maximum numbers of concurrently running tasks over all processes that share the store and these settings. Unlimited
/// by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConcurrencyLimits {
    /// Maximum per owner; tasks without an owner count as those of one owner.
    pub per_owner: Option<u32>,
    /// Maximum of each agent listed here, by agent name.
    pub per_agent: BTreeMap<String, u32>,
}

impl ConcurrencyLimits {
    /// Returns whether any limit is set.
    pub fn are_set(&self) -> bool {
        self.per_owner.is_some() || !self.per_agent.is_empty()
    }

    /// Checks that every limit allows at least one task.
    ///
    /// # Errors
    /// `InvalidInput` naming `per_owner` or the agent whose limit is 0.
    pub fn validate(&self) -> Result<()> {
        let zero = |field: &str| Error::invalid(field, "expected at least 1, got 0");
        if self.per_owner == Some(0) {
            return Err(zero("per_owner"));
        }
        self.per_agent.iter().find(|(_, most)| **most == 0).map_or(Ok(()), |(agent, _)| Err(zero(agent)))
    }
}

/// Remaining concurrency under the per-owner and per-agent limits.
#[derive(Debug)]
pub struct ConcurrencyBudget<'l> {
    limits: &'l ConcurrencyLimits,
    owners: HashMap<Option<UserId>, u32>,
    agents: HashMap<String, u32>,
}

impl<'l> ConcurrencyBudget<'l> {
    /// Creates the remaining concurrency from the running tasks, counted by owner and agent.
    pub fn new(
        limits: &'l ConcurrencyLimits,
        running: impl IntoIterator<Item = (Option<UserId>, String, u32)>,
    ) -> Self {
        let mut budget = Self { limits, owners: HashMap::new(), agents: HashMap::new() };
        for (owner, agent, count) in running {
            *budget.owners.entry(owner).or_default() += count;
            *budget.agents.entry(agent).or_default() += count;
        }
        budget
    }

    /// Returns whether one more task of this owner and agent may run.
    pub fn has(&self, owner: Option<UserId>, agent: &str) -> bool {
        let of_owner = self.owners.get(&owner).copied().unwrap_or_default();
        let of_agent = self.agents.get(agent).copied().unwrap_or_default();
        self.limits.per_owner.is_none_or(|most| of_owner < most)
            && self.limits.per_agent.get(agent).is_none_or(|most| of_agent < *most)
    }

    /// Counts one more running task of this owner and agent.
    pub fn take(&mut self, owner: Option<UserId>, agent: &str) {
        if self.limits.are_set() {
            *self.owners.entry(owner).or_default() += 1;
            *self.agents.entry(agent.to_owned()).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_of_zero_is_refused() {
        let mut limits = ConcurrencyLimits::default();
        assert!(!limits.are_set() && limits.validate().is_ok());
        limits.per_agent.insert("echo".into(), 0);
        assert_eq!(limits.validate().unwrap_err().field(), Some("echo"));
        limits.per_owner = Some(0);
        assert_eq!(limits.validate().unwrap_err().field(), Some("per_owner"));
    }

    #[test]
    fn running_tasks_reduce_remaining_concurrency() {
        let (ada, eve) = (Some(UserId::new()), Some(UserId::new()));
        let limits = ConcurrencyLimits { per_owner: Some(2), per_agent: [("echo".to_owned(), 2)].into() };
        let mut budget =
            ConcurrencyBudget::new(&limits, [(ada, "upper".to_owned(), 1), (eve, "echo".to_owned(), 1)]);
        assert!(budget.has(ada, "echo") && budget.has(None, "upper"));
        budget.take(ada, "echo");
        assert!(!budget.has(ada, "upper"), "two of one owner");
        assert!(!budget.has(eve, "echo") && budget.has(eve, "upper"), "two of one agent");
    }
}
