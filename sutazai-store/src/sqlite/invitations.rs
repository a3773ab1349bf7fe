//! Invitations to register an account.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use sqlx::{Row, SqliteConnection};
use sutazai_core::Error;
use sutazai_core::domain::{Invitation, InvitationId, MAX_INVITATIONS, quota};

use super::columns::{bound, insert};
use super::error::StoreResult;
use super::statement::nanos;
use super::writer::Transaction;
use crate::columns::{decode, invitation_columns};

/// Adds an invitation and deletes those that have expired.
///
/// # Errors
/// `Conflict` when there are [`MAX_INVITATIONS`] already.
pub(super) async fn create(tx: &mut Transaction, invitation: Invitation) -> StoreResult<()> {
    const FORGET: &str = "DELETE FROM invitations WHERE expires_at <= ?";
    const COUNT: &str = "SELECT count(*) FROM invitations";
    static INSERT: LazyLock<String> = LazyLock::new(|| insert::<Invitation>("invitations", &[]));
    let connection = &mut tx.connection;
    sqlx::query(FORGET).bind(nanos(invitation.created_at)).execute(&mut *connection).await?;
    if sqlx::query(COUNT).fetch_one(&mut *connection).await?.try_get::<u32, _>(0)? >= MAX_INVITATIONS {
        Err(quota::too_many_invitations())?;
    }
    sqlx::query_with(INSERT.as_str(), bound(&invitation)?).execute(connection).await?;
    Ok(())
}

/// Returns the invitations that have not expired, newest first.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    now: DateTime<Utc>,
) -> StoreResult<Vec<Invitation>> {
    const GOOD: &str =
        concat!("SELECT ", invitation_columns!(), " FROM invitations WHERE expires_at > ? ORDER BY id DESC");
    let rows = sqlx::query(GOOD).bind(nanos(now)).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

/// Deletes an invitation by id.
///
/// # Errors
/// `NotFound` for an unknown one.
pub(super) async fn delete(tx: &mut Transaction, id: InvitationId) -> StoreResult<()> {
    let delete = sqlx::query("DELETE FROM invitations WHERE id = ?").bind(id.0);
    if delete.execute(&mut tx.connection).await?.rows_affected() == 0 {
        Err(Error::not_found(format!("invitation {id}")))?;
    }
    Ok(())
}

/// Uses up the invitation with this hash: deletes it.
///
/// # Errors
/// `Forbidden` for one that is unknown, used or expired.
pub(super) async fn spend(tx: &mut Transaction, hash: &str, now: DateTime<Utc>) -> StoreResult<()> {
    let spend = sqlx::query("DELETE FROM invitations WHERE hash = ? AND expires_at > ?");
    let spent = spend.bind(hash).bind(nanos(now)).execute(&mut tx.connection).await?;
    if spent.rows_affected() == 0 {
        Err(quota::bad_invitation())?;
    }
    Ok(())
}
