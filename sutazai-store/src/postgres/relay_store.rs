//! [`RelayStore`] over PostgreSQL: one row for the position, and the outbox; each call is one statement.

use async_trait::async_trait;
use sqlx::Row;
use sutazai_core::domain::{EventOffset, InstanceId, later};
use sutazai_core::ports::{OutboxMessage, RelayClaim, RelayStore};
use sutazai_core::{Error, Result};

use super::database::Database;
use super::outbox;
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
        const HOLD: &str = "\
            INSERT INTO relay (id, position, holder, held_until) VALUES (1, $1, $2, $3)
            ON CONFLICT (id) DO UPDATE SET holder = $2, held_until = $3
            WHERE relay.holder IS NULL OR relay.holder = $2 OR relay.held_until <= $4
            RETURNING position";
        let input = (*claim, begin);
        let held = self.database.run(RELAY.update(), input, |connection, (claim, begin)| {
            Box::pin(async move {
                let row = sqlx::query(HOLD)
                    .bind(begin.to_string())
                    .bind(claim.holder.0)
                    .bind(later(claim.now, claim.lease))
                    .bind(claim.now)
                    .fetch_optional(connection)
                    .await?;
                row.map(|row| Ok(row.try_get::<&str, _>(0)?.parse()?)).transpose()
            })
        });
        held.await
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
