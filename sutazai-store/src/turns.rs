//! Whose tasks a claim takes: the rules of taking turns, the same over every database.
//!
//! A lane is what is due of one owner, one agent and one priority, in the order of `run_at`. The queue's index has the
//! lanes one after the other, and a database steps from the head of one to the head of the next without reading what
//! stands in between. So the cost of a claim is that of the lanes it visits, however long they are.

use std::collections::VecDeque;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sutazai_core::domain::{Room, TaskId, UserId, rank};
use sutazai_core::ports::ClaimRequest;
use uuid::Uuid;

use crate::fault::Outcome;

/// So many lanes are visited at a time.
pub(crate) const PAGE: usize = 256;

/// What tells one lane from another; lanes stand in this order. The owner is nil for nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LaneKey {
    /// Whose tasks they are.
    pub(crate) owner: Uuid,
    /// Who does them.
    pub(crate) agent: String,
    /// Their priority; -1 stands before all lanes.
    pub(crate) priority: i16,
}

impl LaneKey {
    /// Before all lanes of this owner.
    fn before(owner: Uuid) -> Self {
        Self { owner, agent: String::new(), priority: -1 }
    }

    fn owner(&self) -> Option<UserId> {
        (!self.owner.is_nil()).then_some(UserId(self.owner))
    }
}

/// A task in a lane: when it is due, and its key.
pub(crate) type Due = (DateTime<Utc>, TaskId);

/// A lane with the first of its tasks.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Which one.
    pub(crate) key: LaneKey,
    /// The tasks that were read and not taken.
    waiting: VecDeque<Due>,
    /// The last that was read.
    last: Due,
    /// Whether there may be others after it.
    more: bool,
}

impl Lane {
    /// With its head.
    pub(crate) fn new(key: LaneKey, head: Due) -> Self {
        Self { key, waiting: [head].into(), last: head, more: true }
    }
}

/// The queue of an open transaction, lane by lane.
#[async_trait]
pub(crate) trait Lanes: Send {
    /// The [`PAGE`] lanes that follow, due or not, of all agents; fewer only at the end.
    async fn lanes_after(&mut self, key: &LaneKey) -> Outcome<Vec<Lane>>;

    /// At most `limit` tasks of this lane that are due by `now` and stand after `last`.
    async fn due_in(
        &mut self,
        key: &LaneKey,
        last: Due,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Outcome<Vec<Due>>;

    /// How many tasks run, by owner and agent.
    async fn running(&mut self) -> Outcome<Vec<(Option<UserId>, String, u32)>>;
}

/// The due lanes of one owner.
#[derive(Debug)]
pub(crate) struct Turn {
    owner: Option<UserId>,
    /// Those whose head is due.
    pub(crate) lanes: Vec<Lane>,
}

/// The due lanes of the owners whose turn it is, in that order: of as many owners as are wanted and have room, or of all.
pub(crate) async fn turns<L: Lanes>(
    rows: &mut L,
    request: &ClaimRequest,
    room: &Room<'_>,
) -> Outcome<Vec<Turn>> {
    let after = request.after.map_or(Uuid::nil(), |owner| owner.0);
    let successor = after.as_u128().checked_add(1).map(Uuid::from_u128);
    // Who has room now may have none when it is their turn, if others have used up what an agent may do.
    let enough = if request.limits.per_agent.is_empty() { request.limit as usize } else { usize::MAX };
    let mut turns: Vec<Turn> = Vec::new();
    // Round the circle: those after `after`, then from the first one up to it.
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
            // Of the last owner there may be more lanes on the next page.
            if turns.len() > enough {
                turns.truncate(enough);
                return Ok(turns);
            }
        }
    }
    turns.truncate(enough);
    Ok(turns)
}

/// The tasks that a claim takes, in the order of the turns. Nobody else may claim before the transaction ends.
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
    /// Whose turn it is.
    #[cfg(feature = "postgres")]
    pub(crate) fn owner(&self) -> Option<UserId> {
        self.owner
    }

    /// The owner's next task within the room that there is, and its lane.
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
