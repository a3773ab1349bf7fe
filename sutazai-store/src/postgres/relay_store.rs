//! [`RelayStore`] over PostgreSQL: one row for the position, and the outbox; each call is one statement.

use std::sync::LazyLock;

use async_trait::async_trait;
use sqlx::PgConnection;
use sutazai_core::domain::{EventOffset, InstanceId, later};
use sutazai_core::ports::{OutboxMessage, RelayClaim, RelayStore};
use sutazai_core::{Error, Result};

use super::columns::{bound, insert};
use super::database::Database;
use super::error::StoreResult;
use super::outbox;
use crate::columns::{Entity, ONLY_ROW, RelayPosition, decode, overwritten, relay_columns};
use crate::tables::{OUTBOX, RELAY};

/// Position of the relay in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresRelayStore {
    database: Database,
}

impl PostgresRelayStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl RelayStore for PostgresRelayStore {
    async fn acquire(&self, claim: &RelayClaim, begin: EventOffset) -> Result<Option<EventOffset>> {
        self.database
            .run(RELAY.update(), (*claim, begin), |connection, (claim, begin)| {
                Box::pin(acquire(connection, claim, *begin))
            })
            .await
    }

    async fn advance(&self, claim: &RelayClaim, position: EventOffset) -> Result<()> {
        const ADVANCE: &str = "UPDATE relay SET position = $1, held_until = $2 WHERE holder = $3";
        let input = (*claim, position);
        let moved = self.database.run(RELAY.update(), input, |connection, (claim, position)| {
            Box::pin(async move {
                let done = sqlx::query(ADVANCE)
                    .bind(position.to_string())
                    .bind(later(claim.now, claim.lease))
                    .bind(claim.holder.0)
                    .execute(connection)
                    .await?;
                Ok(done.rows_affected())
            })
        });
        match moved.await? {
            0 => Err(Error::conflict("another process holds the relay")),
            _ => Ok(()),
        }
    }

    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>> {
        self.database
            .run(OUTBOX.select(), limit, |connection, limit| Box::pin(outbox::first(connection, *limit)))
            .await
    }

    async fn delete_published(&self, numbers: &[u64]) -> Result<()> {
        self.database
            .run(OUTBOX.delete(), numbers.to_vec(), |connection, numbers| {
                Box::pin(outbox::delete_published(connection, numbers))
            })
            .await
    }

    async fn release(&self, holder: InstanceId) -> Result<()> {
        const LET_GO: &str = "UPDATE relay SET holder = NULL WHERE holder = $1";
        let done = self.database.run(RELAY.update(), holder, |connection, holder| {
            Box::pin(async move { Ok(sqlx::query(LET_GO).bind(holder.0).execute(connection).await?) })
        });
        done.await.map(drop)
    }
}

async fn acquire(
    connection: &mut PgConnection,
    claim: &RelayClaim,
    begin: EventOffset,
) -> StoreResult<Option<EventOffset>> {
    static HOLD: LazyLock<String> = LazyLock::new(|| {
        let (insert, hold) =
            (insert::<RelayPosition>("relay", &["id"]), overwritten(RelayPosition::changes()));
        let (columns, now) = (relay_columns!(), RelayPosition::COLUMNS.len() + 2);
        format!(
            "{insert} ON CONFLICT (id) DO UPDATE SET {hold} \
             WHERE relay.holder IS NULL OR relay.holder = excluded.holder OR relay.held_until <= ${now} \
             RETURNING {columns}"
        )
    });
    let first = RelayPosition {
        position: begin,
        holder: Some(claim.holder),
        held_until: later(claim.now, claim.lease),
    };
    let hold = sqlx::query_with(HOLD.as_str(), bound(&first)?).bind(ONLY_ROW).bind(claim.now);
    let row = hold.fetch_optional(connection).await?;
    row.map(|row| decode(&row).map(|relay: RelayPosition| relay.position)).transpose()
}
