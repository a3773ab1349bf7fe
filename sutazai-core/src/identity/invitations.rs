//! Invitations: their holders may register where registration is otherwise closed.

use std::fmt;

use chrono::TimeDelta;

use crate::domain::{Caller, Invitation, InvitationId};
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::identity::secret::{hex, random, sha256};

/// Prefix of every invitation.
const PREFIX: &str = "sutazai_invite_";
/// Maximum lifetime of an invitation in hours.
const MAX_HOURS: u32 = 30 * 24;

/// A newly created invitation; the only time that its plaintext is available.
#[derive(Clone, PartialEq, Eq)]
pub struct CreatedInvitation {
    /// The invitation as stored.
    pub invitation: Invitation,
    /// The plaintext with which the invited person registers.
    pub text: String,
}

impl fmt::Debug for CreatedInvitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedInvitation").field("invitation", &self.invitation).finish_non_exhaustive()
    }
}

impl Identity {
    /// Creates an invitation for one registration, valid for this number of hours.
    ///
    /// # Errors
    /// `InvalidInput` naming `hours` if it is not 1 to 720; `Conflict` if 100 invitations are open.
    pub async fn invite(&self, caller: &Caller, hours: u32) -> Result<CreatedInvitation> {
        if !(1..=MAX_HOURS).contains(&hours) {
            return Err(Error::invalid("hours", format!("expected 1 to {MAX_HOURS}, got {hours}")));
        }
        let (now, text) = (self.clock.now(), format!("{PREFIX}{}", hex(&random())));
        let invitation = Invitation {
            id: InvitationId::new(),
            hash: sha256(&text),
            created_by: caller.owner(),
            created_at: now,
            expires_at: now + TimeDelta::hours(hours.into()),
        };
        self.store.create_invitation(&invitation).await?;
        tracing::info!(invitation = %invitation.id, "invitation created");
        Ok(CreatedInvitation { invitation, text })
    }

    /// Returns the valid invitations, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn invitations(&self) -> Result<Vec<Invitation>> {
        self.store.invitations(self.clock.now()).await
    }

    /// Removes the invitation with this id.
    ///
    /// # Errors
    /// `NotFound`, also for one that was used.
    pub async fn delete_invitation(&self, id: InvitationId) -> Result<()> {
        self.store.delete_invitation(id).await
    }
}
