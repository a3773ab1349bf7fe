//! Store of the relay's state: its position in the event log, its holder, and the outbox.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::{BusMessage, EventOffset, InstanceId};
use crate::error::Result;

/// Claim of an instance to the relay, with its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayClaim {
    /// Instance that claims the relay.
    pub holder: InstanceId,
    /// Duration of the lease from `now`, unless it is renewed.
    pub lease: Duration,
    /// Current time, by the clock of the store.
    pub now: DateTime<Utc>,
}

/// Outbox message about a task that has been deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxMessage {
    /// Number of the message; later messages of the same task have larger numbers.
    pub number: u64,
    /// The message to publish.
    pub message: BusMessage,
}

/// State of the one relay of a store: of all processes one at a time publishes events.
///
/// # Contract
/// - The first `acquire` ever starts at the position that it names; every later one continues where `advance` was last.
/// - Of several concurrent calls of `acquire` one succeeds; the holder may call it again, which renews its lease, and
///   others may not.
/// - After the lease has expired or was released, another instance may hold the relay and continues at its position.
/// - `advance` by the holder moves the position and renews the lease; by anybody else it is `Conflict` and changes
///   nothing.
/// - Deleting a task of which an event lies behind the position leaves the messages about all its events in the outbox,
///   in their order; `delete_published` removes the named ones only.
///
/// # Errors
/// Those of every [store](crate::ports#stores), and those that the methods name.
///
/// # Cancel safety
/// A call whose future is dropped has its whole effect or none, possibly after the drop; a read has no effect.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use sutazai_core::domain::{EventOffset, InstanceId};
/// use sutazai_core::memory::MemoryTaskStore;
/// use sutazai_core::ports::{Clock, RelayClaim, RelayStore, SystemClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sutazai_core::Result<()> {
/// let relays = MemoryTaskStore::new().relays();
/// let claim = |holder| RelayClaim { holder, lease: Duration::from_secs(15), now: SystemClock.now() };
/// let (first, second) = (InstanceId::new(), InstanceId::new());
/// assert_eq!(relays.acquire(&claim(first), EventOffset(0)).await?, Some(EventOffset(0)));
/// assert_eq!(relays.acquire(&claim(second), EventOffset(0)).await?, None, "one publishes at a time");
/// relays.advance(&claim(first), EventOffset(7)).await?;
/// relays.release(first).await?;
/// assert_eq!(relays.acquire(&claim(second), EventOffset(0)).await?, Some(EventOffset(7)));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait RelayStore: Debug + Send + Sync + 'static {
    /// Acquires or renews the relay and returns its position, or `None` if another instance holds it.
    ///
    /// # Cancel safety
    /// An instance whose future was dropped may hold the relay until its lease expires or it releases it.
    async fn acquire(&self, claim: &RelayClaim, begin: EventOffset) -> Result<Option<EventOffset>>;

    /// Records that all events up to this position have been published.
    ///
    /// # Errors
    /// `Conflict` if another instance holds the relay.
    async fn advance(&self, claim: &RelayClaim, position: EventOffset) -> Result<()>;

    /// Returns the first messages in the outbox, by ascending number, at most `limit`. `delete` and `prune` of the
    /// [`TaskStore`](super::TaskStore) of the same database write them; a task whose events have all been published
    /// leaves none, nor does any task deleted before the first `acquire` ever.
    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>>;

    /// Removes published messages from the outbox.
    async fn delete_published(&self, numbers: &[u64]) -> Result<()>;

    /// Releases the relay if this instance holds it, so that another need not wait for the lease to expire.
    async fn release(&self, holder: InstanceId) -> Result<()>;
}
