//! Stream tickets, which replace a credential in the URL of a stream.

use serde::Serialize;
use utoipa::ToSchema;

/// Ticket for one stream.
#[derive(Serialize, ToSchema)]
#[schema(as = Ticket)]
pub(crate) struct TicketView {
    /// Value of the query parameter `ticket` of one stream.
    pub(crate) ticket: String,
    /// Lifetime of the ticket in seconds.
    pub(crate) expires_in: u64,
}
