//! Fair scheduling of claims: round-robin across owners, shared by all databases.
//!
//! A queue partition holds the due tasks of one owner, one agent and one priority in the order of `run_at`.
//! The queue's index sorts by partition, and the database skips from the first task of one partition to the
//! first of the next without reading the tasks in between (a skip scan). The cost of a claim therefore
//! depends on the number of partitions that it visits, not on their length.

use std::collections::VecDeque;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sutazai_core::domain::{Room, TaskId, UserId, rank};
use sutazai_core::ports::ClaimRequest;
use uuid::Uuid;

use crate::fault::Outcome;

/// Batch size of the skip scan over queue partitions. One query for all of them would read every partition of
/// a database with very many owners, although a claim often needs only the first few.
pub(crate) const PAGE: usize = 256;

/// Key of a queue partition; partitions are sorted by it. The owner is the nil UUID for tasks without an
/// owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LaneKey {
    /// Owner of the tasks, or nil.
    pub(crate) owner: Uuid,
    /// Agent that runs the tasks.
    pub(crate) agent: String,
    /// Priority of the tasks; -1 sorts before all partitions of an owner.
    pub(crate) priority: i16,
}

impl LaneKey {
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

/// A queue partition together with the tasks that were read from its front.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Key of this partition.
    pub(crate) key: LaneKey,
    /// Tasks that were read and not taken yet.
    waiting: VecDeque<Due>,
    /// The last task that was read: the next read continues after it.
    last: Due,
    /// Whether the partition may hold more tasks after `last`.
    more: bool,
}

impl Lane {
    /// Creates a partition of which only the first task was read.
    pub(crate) fn new(key: LaneKey, head: Due) -> Self {
        Self { key, waiting: [head].into(), last: head, more: true }
    }
}

/// The queue of an open transaction, read partition by partition.
#[async_trait]
pub(crate) trait Lanes: Send {
    /// Returns the next [`PAGE`] partitions after `key`, due or not, of all agents; fewer only at the end of
    /// the queue.
    async fn lanes_after(&mut self, key: &LaneKey) -> Outcome<Vec<Lane>>;

    /// Returns at most `limit` tasks of this partition that are due by `now` and come after `last`.
    async fn due_in(
        &mut self,
        key: &LaneKey,
        last: Due,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Outcome<Vec<Due>>;

    /// Returns how many tasks are processing, by owner and agent.
    async fn running(&mut self) -> Outcome<Vec<(Option<UserId>, String, u32)>>;
}

/// The due partitions of one owner.
#[derive(Debug)]
pub(crate) struct Turn {
    owner: Option<UserId>,
    /// Partitions whose first task is due.
    pub(crate) lanes: Vec<Lane>,
}

/// Returns the due partitions, grouped by owner in round-robin order, of the owners that have capacity under
/// the limits: of as many owners as the claim has room for, or of all.
pub(crate) async fn turns<L: Lanes>(
    rows: &mut L,
    request: &ClaimRequest,
    room: &Room<'_>,
) -> Outcome<Vec<Turn>> {
    let after = request.after.map_or(Uuid::nil(), |owner| owner.0);
    let successor = after.as_u128().checked_add(1).map(Uuid::from_u128);
    // With limits per agent an owner may find no capacity left when its round comes, because the owners
    // before it have used it up; then the others must be known too, and all partitions are read.
    let enough = if request.limits.per_agent.is_empty() { request.limit as usize } else { usize::MAX };
    let mut turns: Vec<Turn> = Vec::new();
    // The round robin in two ranges: the owners after the cursor, then those from the first one up to it.
    for (begin, end) in [(successor, Uuid::max()), (Some(Uuid::nil()), after)] {
        let Some(begin) = begin else { continue };
        let mut key = LaneKey::before(begin);
        loop {
            let page = rows.lanes_after(&key).await?;
            let last = page.len() < PAGE;
            key = page.last().map_or(key, |lane| lane.key.clone());
            let beyond = page.iter().any(|lane| lane.key.owner > end);
            for lane in page.into_iter().filter(|lane| lane.key.owner <= end) {
                let owner = lane.key.owner();
                if lane.last.0 > request.now
                    || !request.agents.contains(&lane.key.agent)
                    || !room.has(owner, &lane.key.agent)
                {
                    continue;
                }
                match turns.last_mut().filter(|turn| turn.owner == owner) {
                    Some(turn) => turn.lanes.push(lane),
                    None => turns.push(Turn { owner, lanes: vec![lane] }),
                }
            }
            if last || beyond {
                break;
            }
            // The last owner may have more partitions in the next batch, so one owner more than needed must
            // have been seen.
            if turns.len() > enough {
                turns.truncate(enough);
                return Ok(turns);
            }
        }
    }
    turns.truncate(enough);
    Ok(turns)
}

/// Chooses the tasks of a claim, in round-robin order. Without a lock that
/// keeps other claims out until the transaction ends, these are only candidates that must be checked again: two
/// claims could choose the same task, or use the same remaining capacity.
pub(crate) async fn pick<L: Lanes>(rows: &mut L, request: &ClaimRequest) -> Outcome<Vec<TaskId>> {
    let running = if request.limits.are_set() { rows.running().await? } else { Vec::new() };
    let mut room = Room::new(&request.limits, running);
    let mut turns = turns(rows, request, &room).await?;
    let limit = request.limit as usize;
    let share = limit.div_ceil(turns.len().max(1));
    let mut picked = Vec::new();
    loop {
        let before = picked.len();
        for turn in &mut turns {
            if picked.len() == limit {
                return Ok(picked);
            }
            let Some((lane, id)) = turn.next(rows, &room, request.now, share).await? else { continue };
            room.take(turn.owner, &turn.lanes[lane].key.agent);
            turn.lanes[lane].waiting.pop_front();
            picked.push(id);
        }
        if picked.len() == before {
            return Ok(picked);
        }
    }
}

impl Turn {
    /// Returns the owner of these partitions.
    #[cfg(feature = "postgres")]
    pub(crate) fn owner(&self) -> Option<UserId> {
        self.owner
    }

    /// Returns the owner's next task that the limits allow, and the index of its partition.
    async fn next<L: Lanes>(
        &mut self,
        rows: &mut L,
        room: &Room<'_>,
        now: DateTime<Utc>,
        share: usize,
    ) -> Outcome<Option<(usize, TaskId)>> {
        let mut best = None;
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            if !room.has(self.owner, &lane.key.agent) {
                continue;
            }
            if lane.waiting.is_empty() && lane.more {
                let due = rows.due_in(&lane.key, lane.last, now, share).await?;
                lane.more = due.len() == share;
                lane.last = due.last().copied().unwrap_or(lane.last);
                lane.waiting.extend(due);
            }
            let Some((run_at, id)) = lane.waiting.front().copied() else { continue };
            let rank = rank(u8::try_from(lane.key.priority).unwrap_or_default(), run_at, id);
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, index));
            }
        }
        Ok(best.map(|((_, _, id), index)| (index, id)))
    }
}
