//! [`AgentStore`] over PostgreSQL: each call is one statement.

use std::collections::HashMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sutazai_core::Result;
use sutazai_core::ports::AgentStore;

use super::columns::{bound_many, insert_many};
use super::database::Database;
use super::error::StoreResult;
use crate::columns::{AgentHeartbeat, agent_columns, decode};
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
        static SEEN: LazyLock<String> = LazyLock::new(|| {
            let insert = insert_many::<AgentHeartbeat>("agents");
            format!(
                "{insert} ORDER BY name ON CONFLICT (name) \
                 DO UPDATE SET last_seen_at = greatest(agents.last_seen_at, excluded.last_seen_at)"
            )
        });
        let heartbeat = |name: &String| AgentHeartbeat { name: name.clone(), last_seen_at: at };
        let heartbeats: Vec<AgentHeartbeat> = agents.iter().map(heartbeat).collect();
        let done = self.database.run(AGENTS.insert(), heartbeats, |connection, heartbeats| {
            Box::pin(async move {
                let heartbeats = bound_many(&heartbeats.iter().collect::<Vec<_>>())?;
                Ok(sqlx::query_with(SEEN.as_str(), heartbeats).execute(connection).await?)
            })
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
    const READ: &str = concat!("SELECT ", agent_columns!(), " FROM agents WHERE name = ANY($1)");
    let rows = sqlx::query(READ).bind(agents).fetch_all(connection).await?;
    let seen = rows.iter().map(|row| decode(row).map(|seen: AgentHeartbeat| (seen.name, seen.last_seen_at)));
    let seen = seen.collect::<StoreResult<HashMap<String, DateTime<Utc>>>>()?;
    Ok(agents.iter().map(|agent| seen.get(agent).copied()).collect())
}
