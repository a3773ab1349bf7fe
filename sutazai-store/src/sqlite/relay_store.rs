//! [`RelayStore`] over SQLite: one row for the position, and the outbox; each call is one statement.

use async_trait::async_trait;
use sqlx::Row;
use sutazai_core::domain::{EventOffset, InstanceId, later};
use sutazai_core::ports::{OutboxMessage, RelayClaim, RelayStore};
use sutazai_core::{Error, Result};

use super::database::Database;
use super::error::StoreResult;
use super::outbox;
use super::statement::nanos;
use super::writer::Transaction;
use crate::tables::{OUTBOX, RELAY};

/// Position of the relay in an SQLite file.
#[derive(Debug)]
pub(super) struct SqliteRelayStore {
    database: Database,
}

impl SqliteRelayStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl RelayStore for SqliteRelayStore {
    async fn acquire(&self, claim: &RelayClaim, begin: EventOffset) -> Result<Option<EventOffset>> {
        let claim = *claim;
        self.database.writer().run(RELAY.update(), move |tx| Box::pin(acquire(tx, claim, begin))).await
    }

    async fn advance(&self, claim: &RelayClaim, position: EventOffset) -> Result<()> {
        let claim = *claim;
        self.database.writer().run(RELAY.update(), move |tx| Box::pin(advance(tx, claim, position))).await
    }

    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>> {
        self.database
            .read(OUTBOX.select(), limit, |connection, limit| Box::pin(outbox::first(connection, *limit)))
            .await
    }

    async fn delete_published(&self, numbers: &[u64]) -> Result<()> {
        let numbers = numbers.to_vec();
        self.database
            .writer()
            .run(OUTBOX.delete(), move |tx| {
                Box::pin(async move { outbox::delete_published(tx, &numbers).await })
            })
            .await
    }

    async fn release(&self, holder: InstanceId) -> Result<()> {
        self.database.writer().run(RELAY.update(), move |tx| Box::pin(release(tx, holder))).await
    }
}

async fn acquire(
    tx: &mut Transaction,
    claim: RelayClaim,
    begin: EventOffset,
) -> StoreResult<Option<EventOffset>> {
    const HOLD: &str = "\
        INSERT INTO relay (id, position, holder, held_until) VALUES (1, ?1, ?2, ?3)
        ON CONFLICT (id) DO UPDATE SET holder = ?2, held_until = ?3
        WHERE relay.holder IS NULL OR relay.holder = ?2 OR relay.held_until <= ?4
        RETURNING position";
    let row = sqlx::query(HOLD)
        .bind(begin.to_string())
        .bind(claim.holder.0)
        .bind(nanos(later(claim.now, claim.lease)))
        .bind(nanos(claim.now))
        .fetch_optional(&mut tx.connection)
        .await?;
    row.map(|row| Ok(row.try_get::<&str, _>(0)?.parse()?)).transpose()
}

async fn advance(tx: &mut Transaction, claim: RelayClaim, position: EventOffset) -> StoreResult<()> {
    const ADVANCE: &str = "UPDATE relay SET position = ?, held_until = ? WHERE holder = ?";
    let done = sqlx::query(ADVANCE)
        .bind(position.to_string())
        .bind(nanos(later(claim.now, claim.lease)))
        .bind(claim.holder.0)
        .execute(&mut tx.connection)
        .await?;
    if done.rows_affected() == 0 {
        Err(Error::conflict("another process holds the relay"))?;
    }
    Ok(())
}

async fn release(tx: &mut Transaction, holder: InstanceId) -> StoreResult<()> {
    const LET_GO: &str = "UPDATE relay SET holder = NULL WHERE holder = ?";
    sqlx::query(LET_GO).bind(holder.0).execute(&mut tx.connection).await?;
    Ok(())
}
