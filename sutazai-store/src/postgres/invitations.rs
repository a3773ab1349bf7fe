//! Invitations to register an account.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use sutazai_core::Error;
use sutazai_core::domain::{Invitation, InvitationId, MAX_INVITATIONS, UserId, quota};

use super::error::StoreResult;
use super::quota::{Counted, lock_all};

/// Adds an invitation and deletes those that have expired.
///
/// # Errors
/// `Conflict` when there are [`MAX_INVITATIONS`] already.
pub(super) async fn create(connection: &mut PgConnection, invitation: &Invitation) -> StoreResult<()> {
    const DELETE_EXPIRED: &str = "DELETE FROM invitations WHERE expires_at <= $1";
    const COUNT: &str = "SELECT count(*) FROM invitations";
    const INSERT: &str =
        "INSERT INTO invitations (id, hash, created_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)";
    lock_all(connection, Counted::Invitations).await?;
    sqlx::query(DELETE_EXPIRED).bind(invitation.created_at).execute(&mut *connection).await?;
    let count: i64 = sqlx::query(COUNT).fetch_one(&mut *connection).await?.try_get(0)?;
    if count >= i64::from(MAX_INVITATIONS) {
        Err(quota::too_many_invitations())?;
    }
    sqlx::query(INSERT)
        .bind(invitation.id.0)
        .bind(&invitation.hash)
        .bind(invitation.created_by.map(|user| user.0))
        .bind(invitation.created_at)
        .bind(invitation.expires_at)
        .execute(connection)
        .await?;
    Ok(())
}

/// Returns the invitations that have not expired, newest first.
pub(super) async fn list(connection: &mut PgConnection, now: DateTime<Utc>) -> StoreResult<Vec<Invitation>> {
    const GOOD: &str = "SELECT id, hash, created_by, created_at, expires_at FROM invitations \
                        WHERE expires_at > $1 ORDER BY id DESC";
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

fn decode(row: &PgRow) -> StoreResult<Invitation> {
    Ok(Invitation {
        id: InvitationId(row.try_get(0)?),
        hash: row.try_get(1)?,
        created_by: row.try_get::<Option<_>, _>(2)?.map(UserId),
        created_at: row.try_get(3)?,
        expires_at: row.try_get(4)?,
    })
}
