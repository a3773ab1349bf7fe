//! Invitations to register an account.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};
use sutazai_core::Error;
use sutazai_core::domain::{Invitation, InvitationId, MAX_INVITATIONS, quota};

use super::columns::{bound, insert};
use super::error::StoreResult;
use super::quota::{Counted, lock_all};
use crate::columns::{decode, invitation_columns};

/// Adds an invitation and deletes those that have expired.
///
/// # Errors
/// `Conflict` when there are [`MAX_INVITATIONS`] already.
pub(super) async fn create(connection: &mut PgConnection, invitation: &Invitation) -> StoreResult<()> {
    const DELETE_EXPIRED: &str = "DELETE FROM invitations WHERE expires_at <= $1";
    const COUNT: &str = "SELECT count(*) FROM invitations";
    static INSERT: LazyLock<String> = LazyLock::new(|| insert::<Invitation>("invitations", &[]));
    lock_all(connection, Counted::Invitations).await?;
    sqlx::query(DELETE_EXPIRED).bind(invitation.created_at).execute(&mut *connection).await?;
    let count: i64 = sqlx::query(COUNT).fetch_one(&mut *connection).await?.try_get(0)?;
    if count >= i64::from(MAX_INVITATIONS) {
        Err(quota::too_many_invitations())?;
    }
    sqlx::query_with(INSERT.as_str(), bound(invitation)?).execute(connection).await?;
    Ok(())
}

/// Returns the invitations that have not expired, newest first.
pub(super) async fn list(connection: &mut PgConnection, now: DateTime<Utc>) -> StoreResult<Vec<Invitation>> {
    const GOOD: &str =
        concat!("SELECT ", invitation_columns!(), " FROM invitations WHERE expires_at > $1 ORDER BY id DESC");
    sqlx::query(GOOD).bind(now).fetch_all(connection).await?.iter().map(decode).collect()
}

/// Deletes an invitation by id.
///
/// # Errors
/// `NotFound` for an unknown one.
pub(super) async fn delete(connection: &mut PgConnection, id: InvitationId) -> StoreResult<()> {
    let delete = sqlx::query("DELETE FROM invitations WHERE id = $1").bind(id.0);
    if delete.execute(connection).await?.rows_affected() == 0 {
        Err(Error::not_found(format!("invitation {id}")))?;
    }
    Ok(())
}

/// Uses up the invitation with this hash: deletes it.
///
/// # Errors
/// `Forbidden` for one that is unknown, used or expired.
pub(super) async fn spend(connection: &mut PgConnection, hash: &str, now: DateTime<Utc>) -> StoreResult<()> {
    let spend = sqlx::query("DELETE FROM invitations WHERE hash = $1 AND expires_at > $2");
    if spend.bind(hash).bind(now).execute(connection).await?.rows_affected() == 0 {
        Err(quota::bad_invitation())?;
    }
    Ok(())
}
