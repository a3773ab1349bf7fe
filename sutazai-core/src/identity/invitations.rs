//! Invitations: who has one may register where nobody else may.

use std::fmt;

use chrono::TimeDelta;

use crate::domain::{Caller, Invitation, InvitationId};
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::identity::secret::{hex, random, sha256};

/// The beginning of every invitation.
const PREFIX: &str = "sutazai_invite_";
/// The longest life of an invitation, in hours.
const MAX_HOURS: u32 = 30 * 24;

/// An invitation that was just made: the one time that its text is seen.
#[derive(Clone, PartialEq, Eq)]
pub struct CreatedInvitation {
    /// As it stands in the store.
    pub invitation: Invitation,
    /// What the invited person registers with.
    pub text: String,
}

impl fmt::Debug for CreatedInvitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedInvitation").field("invitation", &self.invitation).finish_non_exhaustive()
    }
}

impl Identity {
    /// Makes an invitation that is good for one registration within so many hours.
    ///
    /// # Errors
    /// `InvalidInput` naming `hours` when they are not 1 to 720; `Conflict` when 100 invitations are open.
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

    /// The invitations that are good now, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn invitations(&self) -> Result<Vec<Invitation>> {
        self.store.invitations(self.clock.now()).await
    }

    /// Removes an invitation.
    ///
    /// # Errors
    /// `NotFound`, also for one that was used.
    pub async fn delete_invitation(&self, id: InvitationId) -> Result<()> {
        self.store.delete_invitation(id).await
    }
}
