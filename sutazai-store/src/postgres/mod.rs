//! The PostgreSQL store: many servers and workers over one database.
//!
//! * `open`: assembles the stores, `address`: parses the address of a database, `database`: its connections,
//! * `limit`: time limits of calls, here and in the server, `framing`: begins and ends transactions,
//! * `clock`: the time, which all that share the database take from it,
//! * `schema`: the migrations,
//! * `transaction`: a write of several statements, begun again when others were in its way,
//! * `grouped`: calls that are made at the same time, sent to the database together,
//! * `page`: pages whose rows may be large,
//! * `wake_ups`: LISTEN and NOTIFY,
//! * `record`: a task as a row, `text`: texts in it that PostgreSQL has no place for,
//! * `keys`: keys as bound values, `rows`: what the rules of changing tasks need, `events`: histories and the feed, `leases`: which of
//!   their rows can go,
//! * `claim`: whose tasks a worker gets, `claiming`: claims that bear damaged tasks, `reads`: the hot reads of tasks, `queue`: the other writes of the queue,
//!   `queue_check`: pending tasks that no claim would find,
//!   `prune`: what is forgotten, `agent_messages`: what agents say to each other, `outbox`: what is still to be said
//!   of tasks that were removed,
//! * `task_store`, `identity_store`, `api_key_store`, `conversation_store`, `document_store`, `schedule_store`,
//!   `metric_store`, `agent_store`, `relay_store`: the ports,
//! * `fault`: the one place where errors of the library become ours.

mod address;
mod agent_messages;
mod agent_store;
mod api_key_store;
mod claim;
mod claiming;
mod clock;
mod conversation_store;
mod database;
mod document_store;
mod events;
mod fault;
mod framing;
mod grouped;
mod identity_store;
mod invitations;
mod keys;
mod leases;
mod limit;
mod metric_store;
mod open;
mod outbox;
mod page;
#[cfg(test)]
mod plans;
mod prune;
mod queue;
mod queue_check;
mod quota;
mod reads;
mod record;
mod relay_store;
mod rows;
mod schedule_store;
mod schema;
mod task_store;
mod text;
mod time;
mod transaction;
mod wake_ups;

pub(crate) use open::{open, traced};
pub(crate) use schema::{migrate_down, migrate_up, migration_status};
