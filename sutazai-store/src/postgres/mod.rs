//! The PostgreSQL store: many servers and workers over one database.
//!
//! * `database`: the address and the connections,
//! * `schema`: the migrations,
//! * `transaction`: a write of several statements, begun again when others were in its way,
//! * `grouped`: calls that are made at the same time, sent to the database together,
//! * `wake_ups`: LISTEN and NOTIFY,
//! * `record`: a task as a row, `text`: texts in it that PostgreSQL has no place for,
//! * `rows`: what the rules of changing tasks need,
//! * `queue`: the hot statements of the queue, and its other writes,
//! * `task_store`, `identity_store`, `api_key_store`, `conversation_store`, `metric_store`, `relay_store`: the ports,
//! * `fault`: the one place where errors of the library become ours.

mod api_key_store;
mod conversation_store;
mod database;
mod fault;
mod grouped;
mod identity_store;
mod metric_store;
#[cfg(test)]
mod plans;
mod queue;
mod record;
mod relay_store;
mod rows;
mod schema;
mod task_store;
mod text;
mod transaction;
mod wake_ups;

pub(crate) use database::open;
pub(crate) use schema::{migrate_down, migrate_up, migration_status};
