//! The embedded SQLite store.
//!
//! * `open`: assembles the stores, `file`: creates the file, `database`: its connections,
//! * `schema`: the migrations,
//! * `writer`: the one thread that writes, and the group commit,
//! * `statement`: statements over many rows, and how values stand in columns,
//! * `record`: a task as a row,
//! * `rows`: what the rules of changing tasks need,
//! * `lanes`: what the rules of taking turns need,
//! * `queue`: the writes of the queue, `prune`: what is forgotten, `agent_messages`: what agents say to each other,
//! * `claiming`: claims that bear damaged rows,
//! * `outbox`: what is still to be said of tasks that were removed,
//! * `task_store`, `identity_store`, `api_key_store`, `conversation_store`, `document_store`, `schedule_store`,
//!   `metric_store`, `agent_store`, `relay_store`: the ports,
//! * `fault`: the one place where errors of the library become ours.

mod agent_messages;
mod agent_store;
mod api_key_store;
mod claiming;
mod conversation_store;
mod database;
mod document_store;
mod fault;
mod file;
mod identity_store;
mod invitations;
mod lanes;
mod metric_store;
mod open;
mod outbox;
mod prune;
mod queue;
mod record;
mod relay_store;
mod rows;
mod schedule_store;
mod schema;
mod statement;
mod task_store;
mod writer;

pub(crate) use file::path;
pub(crate) use open::{open, traced};
pub(crate) use schema::{migrate_down, migrate_up, migration_status};
