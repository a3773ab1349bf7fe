//! What the queue lets run at once.

use std::collections::BTreeMap;

use sutazai_core::Error;
use sutazai_core::domain::ConcurrencyLimits;

use super::layers::Layers;

/// The largest limit.
const MOST: u32 = 100_000;

impl Layers {
    /// How many tasks of a user and of an agent run at once.
    pub(super) fn concurrency(&self, problems: &mut Vec<Error>) -> Option<ConcurrencyLimits> {
        let name = "MAX_TASKS_PER_USER";
        let per_owner = self.text(name).map(|_| self.number(name, (1, MOST), problems));
        let mut per_agent = BTreeMap::new();
        let name = "AGENT_CONCURRENCY";
        for entry in self.text(name).iter().flat_map(|text| text.split(',')) {
            let limit = entry.split_once('=').and_then(|(agent, most)| {
                let most = most.trim().parse::<u32>().ok().filter(|most| (1..=MOST).contains(most))?;
                Some((agent.trim().to_owned(), most)).filter(|(agent, _)| !agent.is_empty())
            });
            let Some((agent, most)) = limit else {
                let why = format!("expected agent=1 to agent={MOST}, separated by commas, got {entry:?}");
                problems.push(Error::invalid(name, why));
                return None;
            };
            per_agent.insert(agent, most);
        }
        let per_owner = match per_owner {
            Some(most) => Some(most?),
            None => None,
        };
        Some(ConcurrencyLimits { per_owner, per_agent })
    }
}
