//! Message bus port, through which other programs learn of task events.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::BusMessage;
use crate::error::Result;

/// Publisher of messages to any number of consumers.
///
/// # Contract
/// - Published messages reach their subscribers unchanged and in order.
/// - An unroutable message does not block later ones.
/// - Messages of concurrent calls are all delivered, each call's in its order.
/// - `ping` reports whether the bus can be reached.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait MessageBus: Debug + Send + Sync + 'static {
    /// Publishes messages in order. `Ok` means that the bus has confirmed all of them and does not lose them.
    ///
    /// # Errors
    /// `Unavailable`; some messages may have been published by then, so the caller publishes all of them again.
    async fn publish(&self, messages: &[BusMessage]) -> Result<()>;

    /// Checks that the bus responds now.
    ///
    /// # Errors
    /// `Unavailable` if it does not respond.
    async fn ping(&self) -> Result<()>;
}
