//! [`RelayStore`] over SQLite: one row for the position, and the outbox; each call is one statement.

use std::sync::LazyLock;

use async_trait::async_trait;
use sutazai_core::domain::{EventOffset, InstanceId, later};
use sutazai_core::ports::{OutboxMessage, RelayClaim, RelayStore};
use sutazai_core::{Error, Result};

use super::columns::{bound, insert};
use super::database::Database;
use super::error::StoreResult;
use super::outbox;
use super::statement::nanos;
use super::writer::Transaction;
use crate::columns::{Entity, ONLY_ROW, RelayPosition, decode, overwritten, relay_columns};
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
    static HOLD: LazyLock<String> = LazyLock::new(|| {
        let (insert, hold) =
            (insert::<RelayPosition>("relay", &["id"]), overwritten(RelayPosition::changes()));
        let columns = relay_columns!();
        format!(
            "{insert} ON CONFLICT (id) DO UPDATE SET {hold} \
             WHERE relay.holder IS NULL OR relay.holder = excluded.holder OR relay.held_until <= ? \
             RETURNING {columns}"
        )
    });
    let first = RelayPosition {
        position: begin,
        holder: Some(claim.holder),
        held_until: later(claim.now, claim.lease),
    };
    let hold = sqlx::query_with(HOLD.as_str(), bound(&first)?).bind(ONLY_ROW).bind(nanos(claim.now));
    let row = hold.fetch_optional(&mut tx.connection).await?;
    row.map(|row| decode(&row).map(|relay: RelayPosition| relay.position)).transpose()
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
