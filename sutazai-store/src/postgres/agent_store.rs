//! [`AgentStore`] over PostgreSQL: each call is one statement.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};
use sutazai_core::Result;
use sutazai_core::ports::AgentStore;

use super::database::Database;
use super::error::StoreResult;
use super::time::Times;
use crate::tables::AGENTS;

/// Last heartbeats of agents in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresAgentStore {
    database: Database,
}

impl PostgresAgentStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl AgentStore for PostgresAgentStore {
    async fn record_heartbeats(&self, agents: &[String], at: DateTime<Utc>) -> Result<()> {
        // Written in the order of the names: transactions that lock rows in one order cannot deadlock.
        const SEEN: &str = "\
            INSERT INTO agents (name, last_seen_at) SELECT name, $2 FROM unnest($1::text[]) AS name ORDER BY name
            ON CONFLICT (name) DO UPDATE SET last_seen_at = greatest(agents.last_seen_at, excluded.last_seen_at)";
        let input = (agents.to_vec(), at);
        let done = self.database.run(AGENTS.insert(), input, |connection, (agents, at)| {
            Box::pin(async move { Ok(sqlx::query(SEEN).bind(agents).bind(at).execute(connection).await?) })
        });
        done.await.map(drop)
    }

    async fn last_heartbeats(&self, agents: &[String]) -> Result<Vec<Option<DateTime<Utc>>>> {
        let agents = agents.to_vec();
        self.database
            .run(AGENTS.select(), agents, |connection, agents| Box::pin(last_heartbeats(connection, agents)))
            .await
    }
}

async fn last_heartbeats(
    connection: &mut PgConnection,
    agents: &[String],
) -> StoreResult<Vec<Option<DateTime<Utc>>>> {
    const READ: &str = "SELECT name, last_seen_at FROM agents WHERE name = ANY($1)";
    let rows = sqlx::query(READ).bind(agents).fetch_all(connection).await?;
    let seen = rows.iter().map(|row| Ok((row.try_get(0)?, row.time(1)?)));
    let seen = seen.collect::<StoreResult<HashMap<&str, DateTime<Utc>>>>()?;
    Ok(agents.iter().map(|agent| seen.get(agent.as_str()).copied()).collect())
}
