//! Tickets.

use serde::Serialize;
use utoipa::ToSchema;

/// A ticket.
#[derive(Serialize, ToSchema)]
#[schema(as = Ticket)]
pub(crate) struct TicketView {
    /// For the parameter `ticket` of one stream.
    pub(crate) ticket: String,
    /// Seconds that it is good.
    pub(crate) expires_in: u64,
}
