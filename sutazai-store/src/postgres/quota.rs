//! Advisory locks of writes that count what an owner has before they add to it.
//!
//! A count sees what was committed before its statement began, so the lock is taken by an earlier statement
//! of the same transaction, which releases it when it ends. A counter would be locked by its own update,
//! but could drift from what it counts.

use sqlx::PgConnection;
use sutazai_core::domain::UserId;

use super::error::StoreResult;

/// Counted resources. The number is the first of the two keys of an advisory lock: "su" in ASCII, then one
/// for each.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counted {
    ApiKeys = 0x7375_0001,
    Documents = 0x7375_0002,
    Conversations = 0x7375_0003,
    Schedules = 0x7375_0004,
    Tasks = 0x7375_0005,
    Admins = 0x7375_0006,
    Invitations = 0x7375_0007,
    Messages = 0x7375_0008,
}

/// Waits until no other transaction counts this resource of these owners.
pub(super) async fn lock(connection: &mut PgConnection, what: Counted, owners: &[UserId]) -> StoreResult<()> {
    // Locked in the order of the keys: transactions that take locks in one order cannot deadlock.
    const LOCK: &str = "\
        SELECT count(pg_advisory_xact_lock($1, key)) FROM (
            SELECT DISTINCT hashtext(owner::text) AS key FROM unnest($2::uuid[]) AS owner ORDER BY 1 OFFSET 0
        ) AS keys";
    let owners: Vec<_> = owners.iter().map(|owner| owner.0).collect();
    sqlx::query(LOCK).bind(what as i32).bind(owners).execute(connection).await?;
    Ok(())
}

/// Waits until no other transaction counts this resource, which has no owners.
pub(super) async fn lock_all(connection: &mut PgConnection, what: Counted) -> StoreResult<()> {
    const LOCK: &str = "SELECT pg_advisory_xact_lock($1, 0)";
    sqlx::query(LOCK).bind(what as i32).execute(connection).await?;
    Ok(())
}
