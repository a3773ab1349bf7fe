//! Fair scheduling of claims: round-robin across owners, shared by all databases.
//!
//! A queue partition holds the due tasks of one owner, one agent and one priority in the order of `run_at`.
//! The queue's index sorts by partition, and the database skips from the first task of one partition to the
//! first of the next without reading the tasks in between (a skip scan). The cost of a claim therefore
//! depends on the number of partitions that it visits, not on their length.
//!
//! One list in the order of due times would be a simpler claim, and right where all tasks have one owner:
//! with several, an owner who submits 100,000 tasks at once would delay everybody else until they are done.
//! Weights per owner would need a counter that every claim updates, and so would make claims wait for each
//! other; they would be right if owners paid for different shares.

use std::collections::VecDeque;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sutazai_core::adapter::ConcurrencyBudget;
use sutazai_core::domain::{TaskId, UserId, scheduling_key};
use sutazai_core::ports::ClaimRequest;
use uuid::Uuid;

use crate::error::StoreResult;

/// Batch size of the skip scan over queue partitions. One query for all of them would read every partition of
/// a database with very many owners, although a claim often needs only the first few.
pub(crate) const PAGE: usize = 256;

/// Key of a queue partition; partitions are sorted by it. The owner is the nil UUID for tasks without an
/// owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionKey {
    /// Owner of the tasks, or nil.
    pub(crate) owner: Uuid,
    /// Agent that runs the tasks.
    pub(crate) agent: String,
    /// Priority of the tasks; -1 sorts before all partitions of an owner.
    pub(crate) priority: i16,
}

impl PartitionKey {
    /// Returns the key that sorts before all partitions of this owner.
    fn before(owner: Uuid) -> Self {
        Self { owner, agent: String::new(), priority: -1 }
    }

    fn owner(&self) -> Option<UserId> {
        (!self.owner.is_nil()).then_some(UserId(self.owner))
    }
}

/// A task in a partition: when it is due, and its id.
pub(crate) type Due = (DateTime<Utc>, TaskId);

/// Place of a task in the queue of its owner, as [`scheduling_key`] returns it.
pub(crate) type SchedulingKey = (DateTime<Utc>, DateTime<Utc>, TaskId);

/// A queue partition together with the tasks that were read from its front.
#[derive(Debug)]
pub(crate) struct Partition {
    /// Key of this partition.
    pub(crate) key: PartitionKey,
    /// Tasks that were read and not taken yet.
    waiting: VecDeque<Due>,
    /// The last task that was read: the next read continues after it.
    last: Due,
    /// True if the partition may contain more tasks after `last`.
    more: bool,
}

impl Partition {
    /// Creates a partition of which only the first task was read.
    pub(crate) fn new(key: PartitionKey, head: Due) -> Self {
        Self { key, waiting: [head].into(), last: head, more: true }
    }
}

/// The queue of an open transaction, read partition by partition.
#[async_trait]
pub(crate) trait QueuePartitions: Send {
    /// Returns the next [`PAGE`] partitions after `key`, due or not, of all agents; fewer only at the end of
    /// the queue.
    async fn partitions_after(&mut self, key: &PartitionKey) -> StoreResult<Vec<Partition>>;

    /// Returns at most `limit` tasks of this partition that are due by `now` and come after `last`.
    async fn due_in(
        &mut self,
        key: &PartitionKey,
        last: Due,
        now: DateTime<Utc>,
        limit: usize,
    ) -> StoreResult<Vec<Due>>;

    /// Returns how many tasks are processing, by owner and agent.
    async fn running(&mut self) -> StoreResult<Vec<(Option<UserId>, String, u32)>>;
}

/// The due partitions of one owner.
#[derive(Debug)]
pub(crate) struct OwnerPartitions {
    owner: Option<UserId>,
    /// Partitions whose first task is due.
    pub(crate) partitions: Vec<Partition>,
}

/// Returns the due partitions, grouped by owner in round-robin order, of the owners that have capacity under
/// the limits: of as many owners as the claim has room for, or of all.
pub(crate) async fn owners<L: QueuePartitions>(
    rows: &mut L,
    request: &ClaimRequest,
    budget: &ConcurrencyBudget<'_>,
) -> StoreResult<Vec<OwnerPartitions>> {
    let after = request.after.map_or(Uuid::nil(), |owner| owner.0);
    let successor = after.as_u128().checked_add(1).map(Uuid::from_u128);
    // With limits per agent an owner may find no capacity left when its round comes, because the owners
    // before it have used it up; then the others must be known too, and all partitions are read.
    let enough = if request.limits.per_agent.is_empty() { request.limit as usize } else { usize::MAX };
    let mut owners: Vec<OwnerPartitions> = Vec::new();
    // The round robin in two ranges: the owners after the cursor, then those from the first one up to it.
    for (begin, end) in [(successor, Uuid::max()), (Some(Uuid::nil()), after)] {
        let Some(begin) = begin else { continue };
        let mut key = PartitionKey::before(begin);
        loop {
            let page = rows.partitions_after(&key).await?;
            let last = page.len() < PAGE;
            key = page.last().map_or(key, |partition| partition.key.clone());
            let beyond = page.iter().any(|partition| partition.key.owner > end);
            for partition in page.into_iter().filter(|partition| partition.key.owner <= end) {
                let owner = partition.key.owner();
                if partition.last.0 > request.now
                    || !request.agents.contains(&partition.key.agent)
                    || !budget.has(owner, &partition.key.agent)
                {
                    continue;
                }
                match owners.last_mut().filter(|owner_partitions| owner_partitions.owner == owner) {
                    Some(owner_partitions) => owner_partitions.partitions.push(partition),
                    None => owners.push(OwnerPartitions { owner, partitions: vec![partition] }),
                }
            }
            if last || beyond {
                break;
            }
            // The last owner may have more partitions in the next batch, so one owner more than needed must
            // have been seen.
            if owners.len() > enough {
                owners.truncate(enough);
                return Ok(owners);
            }
        }
    }
    owners.truncate(enough);
    Ok(owners)
}

/// Chooses the tasks of a claim, in round-robin order. Without a lock that
/// keeps other claims out until the transaction ends, these are only candidates that must be checked again: two
/// claims could choose the same task, or use the same remaining capacity.
pub(crate) async fn pick<L: QueuePartitions>(
    rows: &mut L,
    request: &ClaimRequest,
) -> StoreResult<Vec<TaskId>> {
    let running = if request.limits.are_set() { rows.running().await? } else { Vec::new() };
    let mut budget = ConcurrencyBudget::new(&request.limits, running);
    let mut owners = owners(rows, request, &budget).await?;
    let limit = request.limit as usize;
    let share = limit.div_ceil(owners.len().max(1));
    let mut picked = Vec::new();
    loop {
        let before = picked.len();
        for owner_partitions in &mut owners {
            if picked.len() == limit {
                return Ok(picked);
            }
            let Some((partition, id)) = owner_partitions.next(rows, &budget, request.now, share).await?
            else {
                continue;
            };
            budget.take(owner_partitions.owner, &owner_partitions.partitions[partition].key.agent);
            owner_partitions.partitions[partition].waiting.pop_front();
            picked.push(id);
        }
        if picked.len() == before {
            return Ok(picked);
        }
    }
}

impl OwnerPartitions {
    /// Returns the owner of these partitions.
    #[cfg(feature = "postgres")]
    pub(crate) fn owner(&self) -> Option<UserId> {
        self.owner
    }

    /// Returns the owner's next task that the limits allow, and the index of its partition.
    async fn next<L: QueuePartitions>(
        &mut self,
        rows: &mut L,
        budget: &ConcurrencyBudget<'_>,
        now: DateTime<Utc>,
        share: usize,
    ) -> StoreResult<Option<(usize, TaskId)>> {
        let mut best = None;
        for (index, partition) in self.partitions.iter_mut().enumerate() {
            if !budget.has(self.owner, &partition.key.agent) {
                continue;
            }
            if partition.waiting.is_empty() && partition.more {
                let due = rows.due_in(&partition.key, partition.last, now, share).await?;
                partition.more = due.len() == share;
                partition.last = due.last().copied().unwrap_or(partition.last);
                partition.waiting.extend(due);
            }
            let Some((run_at, id)) = partition.waiting.front().copied() else { continue };
            let key = scheduling_key(u8::try_from(partition.key.priority).unwrap_or_default(), run_at, id);
            if best.is_none_or(|(least, _)| key < least) {
                best = Some((key, index));
            }
        }
        Ok(best.map(|((_, _, id), index)| (index, id)))
    }
}
