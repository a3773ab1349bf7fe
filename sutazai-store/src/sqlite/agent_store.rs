//! [`AgentStore`] in an SQLite database.

use std::sync::LazyLock;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;
use sutazai_core::Result;
use sutazai_core::ports::AgentStore;

use super::columns::{bound, insert};
use super::database::Database;
use super::error::StoreResult;
use super::writer::Transaction;
use crate::columns::{AgentHeartbeat, agent_columns, decode};
use crate::tables::AGENTS;

/// Last heartbeats of agents in an SQLite file.
#[derive(Debug)]
pub(super) struct SqliteAgentStore {
    database: Database,
}

impl SqliteAgentStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl AgentStore for SqliteAgentStore {
    async fn record_heartbeats(&self, agents: &[String], at: DateTime<Utc>) -> Result<()> {
        let agents = agents.to_vec();
        self.database
            .writer()
            .run(AGENTS.insert(), move |tx| Box::pin(record_heartbeats(tx, agents, at)))
            .await
    }

    async fn last_heartbeats(&self, agents: &[String]) -> Result<Vec<Option<DateTime<Utc>>>> {
        self.database
            .read(AGENTS.select(), agents.to_vec(), |connection, agents| {
                Box::pin(last_heartbeats(connection, agents))
            })
            .await
    }
}

async fn last_heartbeats(
    connection: &mut SqliteConnection,
    agents: &[String],
) -> StoreResult<Vec<Option<DateTime<Utc>>>> {
    const READ: &str = concat!("SELECT ", agent_columns!(), " FROM agents WHERE name = ?");
    let mut seen = Vec::with_capacity(agents.len());
    for agent in agents {
        let row = sqlx::query(READ).bind(agent).fetch_optional(&mut *connection).await?;
        let heartbeat: Option<AgentHeartbeat> = row.map(|row| decode(&row)).transpose()?;
        seen.push(heartbeat.map(|heartbeat| heartbeat.last_seen_at));
    }
    Ok(seen)
}

async fn record_heartbeats(tx: &mut Transaction, agents: Vec<String>, at: DateTime<Utc>) -> StoreResult<()> {
    static SEEN: LazyLock<String> = LazyLock::new(|| {
        let insert = insert::<AgentHeartbeat>("agents", &[]);
        format!(
            "{insert} ON CONFLICT (name) DO UPDATE SET last_seen_at = max(last_seen_at, excluded.last_seen_at)"
        )
    });
    for name in agents {
        let heartbeat = AgentHeartbeat { name, last_seen_at: at };
        sqlx::query_with(SEEN.as_str(), bound(&heartbeat)?).execute(&mut tx.connection).await?;
    }
    Ok(())
}
