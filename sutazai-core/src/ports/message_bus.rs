//! The way out for what other programs want to hear of.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::TraceContext;
use crate::error::Result;

/// One message, as it goes over the bus.
#[derive(Debug, Clone, PartialEq)]
pub struct BusMessage {
    /// The same each time the same thing is said, so that whoever hears it twice can tell.
    pub id: String,
    /// What it is about, in words separated by dots: who listens chooses by it.
    pub topic: String,
    /// JSON.
    pub body: String,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
}

/// Carries messages to whoever listens.
///
/// # Contract
/// - Who listens hears what is published, whole, and in its order.
/// - A message that nobody listens for hinders none after it.
/// - What many publish at the same time is all heard, each call's in its order.
/// - `reach` says whether the bus is there.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait MessageBus: Debug + Send + Sync + 'static {
    /// Hands these over, in order. Done means that the bus has all of them and does not lose them.
    ///
    /// # Errors
    /// `Unavailable`; some may have been handed over then, so publish all of them again.
    async fn publish(&self, messages: &[BusMessage]) -> Result<()>;

    /// Whether the bus answers now.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn reach(&self) -> Result<()>;
}
