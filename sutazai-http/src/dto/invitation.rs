//! Invitations that allow one registration each.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_core::domain::{Invitation, InvitationId, UserId};
use sutazai_core::identity::CreatedInvitation;
use utoipa::ToSchema;

/// Default lifetime of an invitation in hours.
const DEFAULT_HOURS: u32 = 72;

/// Request to create an invitation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateInvitation {
    /// Lifetime of the invitation in hours.
    #[serde(default = "default_hours")]
    #[schema(minimum = 1, maximum = 720, default = 72)]
    pub(crate) hours: u32,
}

impl Default for CreateInvitation {
    fn default() -> Self {
        Self { hours: DEFAULT_HOURS }
    }
}

fn default_hours() -> u32 {
    DEFAULT_HOURS
}

/// Invitation without its text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invitation)]
pub(crate) struct InvitationView {
    #[schema(value_type = Uuid)]
    id: InvitationId,
    /// Admin who created it; null when it was created on the command line.
    #[schema(value_type = Option<Uuid>)]
    created_by: Option<UserId>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl From<Invitation> for InvitationView {
    fn from(invitation: Invitation) -> Self {
        let Invitation { id, created_by, created_at, expires_at, .. } = invitation;
        Self { id, created_by, created_at, expires_at }
    }
}

/// List of invitations, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvitationList {
    items: Vec<InvitationView>,
}

impl From<Vec<Invitation>> for InvitationList {
    fn from(invitations: Vec<Invitation>) -> Self {
        Self { items: invitations.into_iter().map(InvitationView::from).collect() }
    }
}

/// Created invitation with its text.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedInvitation)]
pub(crate) struct CreatedInvitationView {
    #[serde(flatten)]
    view: InvitationView,
    /// Text to register with; it is never shown again.
    invitation: String,
}

impl From<CreatedInvitation> for CreatedInvitationView {
    fn from(created: CreatedInvitation) -> Self {
        Self { view: created.invitation.into(), invitation: created.text }
    }
}
