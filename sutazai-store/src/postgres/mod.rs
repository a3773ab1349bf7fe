//! PostgreSQL store: many servers and workers over one database.
//!
//! - `open`: assembles the stores, `address`: parses an address, `database`: keeps its connections,
//! - `timeout_class`: timeout classes of calls and the settings that the server gets, `pool_mode`: begins and ends transactions,
//! - `clock`: the time, taken from the database by all processes that share it,
//! - `schema`: the migrations,
//! - `transaction`: a write of several statements, retried after conflicts with other writers,
//! - `request_batcher`: request batcher for calls that are made at the same time,
//! - `keyset`: pages of lists,
//! - `wake_ups`: announces committed changes, `notifications`: LISTEN and NOTIFY,
//! - `columns`: columns of the entities, `record`: a task as a row, `text`: escaping of characters that PostgreSQL cannot store,
//! - `keys`: keys as bound values, `task_repository`: the repository of the unit of work, `events`: histories and the event log,
//!   `leases`: which lease rows can be removed,
//! - `claim`: fair claiming, `claiming`: claims despite damaged tasks, `reads`: batched reads of tasks,
//!   `queue`: the other writes of the queue, `queue_check`: pending tasks that no claim would find,
//!   `prune`: retention, `agent_messages`: messages between agents, `outbox`: unpublished messages about removed tasks,
//! - `task_store`, `identity_store`, `api_key_store`, `conversation_store`, `document_store`,
//!   `schedule_store`, `metric_store`, `agent_store`, `relay_store`: the ports,
//! - `error`: the one place that translates errors of sqlx.

mod address;
mod agent_messages;
mod agent_store;
mod api_key_store;
mod claim;
mod claiming;
mod clock;
mod columns;
mod conversation_store;
mod database;
mod document_store;
mod error;
mod events;
mod identity_store;
mod invitations;
mod keys;
mod keyset;
mod leases;
mod metric_store;
mod notifications;
mod open;
mod outbox;
#[cfg(test)]
mod plans;
mod pool_mode;
mod prune;
mod queue;
mod queue_check;
mod quota;
mod reads;
mod record;
mod relay_store;
mod request_batcher;
mod schedule_store;
mod schema;
mod task_repository;
mod task_store;
mod text;
mod time;
mod timeout_class;
mod transaction;
mod wake_ups;

pub(crate) use open::open;
pub(crate) use schema::{migrate_down, migrate_up, migration_status};
