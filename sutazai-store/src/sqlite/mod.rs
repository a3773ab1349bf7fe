//! Embedded SQLite store: one file, one writing thread, several readers.
//!
//! - `open`: assembles the stores, `file`: creates the file, `database`: its connections,
//! - `schema`: the migrations,
//! - `writer`: the one thread that writes, with group commit,
//! - `keyset`: pages of lists,
//! - `statement`: statements over many rows, and conversions of times,
//! - `columns`: columns of the entities, `record`: a task as a row,
//! - `task_repository`: the repository of the unit of work,
//! - `partitions`: queue partitions, for fair scheduling,
//! - `queue`: the writes of the queue, `prune`: retention, `agent_messages`: messages between agents,
//! - `claiming`: claims despite damaged tasks,
//! - `outbox`: unpublished messages about removed tasks,
//! - `task_store`, `identity_store`, `api_key_store`, `conversation_store`, `document_store`,
//!   `schedule_store`, `metric_store`, `agent_store`, `relay_store`: the ports,
//! - `error`: the one place that translates errors of sqlx.

mod agent_messages;
mod agent_store;
mod api_key_store;
mod claiming;
mod columns;
mod conversation_store;
mod database;
mod document_store;
mod error;
mod file;
mod identity_store;
mod invitations;
mod keyset;
mod metric_store;
mod open;
mod outbox;
mod partitions;
mod prune;
mod queue;
mod record;
mod relay_store;
mod schedule_store;
mod schema;
mod statement;
mod task_repository;
mod task_store;
mod writer;

pub(crate) use file::path;
pub(crate) use open::open;
pub(crate) use schema::{migrate_down, migrate_up, migration_status};
