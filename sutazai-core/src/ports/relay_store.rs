//! How far the events of a store have been passed on, and by whom.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::message_bus::BusMessage;
use crate::domain::{EventPosition, WorkerId};
use crate::error::Result;

/// Who wants to pass events on, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayClaim {
    /// Who.
    pub holder: WorkerId,
    /// How long from `now`, unless it is prolonged.
    pub lease: Duration,
    /// The time.
    pub now: DateTime<Utc>,
}

/// A message about a task that is there no more.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftMessage {
    /// Which one; a later one of the same task has a larger number.
    pub number: u64,
    /// The message.
    pub message: BusMessage,
}

/// The one relay of a store: of all processes one at a time passes events on.
///
/// # Contract
/// - The first `hold` ever begins at the position that it names; every later one goes on where `advance` was last.
/// - Of several who ask one holds; it may hold again, which prolongs its lease, and others may not.
/// - When the lease has run out, or was let go, another may hold, from where the one before it was.
/// - `advance` by who holds moves the position and prolongs the lease; by anybody else it is `Conflict` and changes nothing.
/// - A task that is removed (`delete` or `prune` of the [`TaskStore`](super::TaskStore) of the same database) while an event of it stands after the position leaves the messages about all its events in the outbox, in their order; one whose events have all been passed on leaves none, nor does any before the first `hold` ever. `take_out` removes those that it names, and no other.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait RelayStore: Debug + Send + Sync + 'static {
    /// Takes or keeps the relay; gives where it stands, or nothing when another holds it.
    async fn hold(&self, claim: &RelayClaim, begin: EventPosition) -> Result<Option<EventPosition>>;

    /// Writes down that everything up to this position was passed on.
    ///
    /// # Errors
    /// `Conflict` when another holds the relay.
    async fn advance(&self, claim: &RelayClaim, position: EventPosition) -> Result<()>;

    /// The first messages in the outbox, in the order of their numbers, at most `limit`.
    async fn outbox(&self, limit: u32) -> Result<Vec<LeftMessage>>;

    /// Removes what has been passed on from the outbox.
    async fn take_out(&self, numbers: &[u64]) -> Result<()>;

    /// Lets go of the relay, if it is this holder's, so that another need not wait for the lease.
    async fn let_go(&self, holder: WorkerId) -> Result<()>;
}
