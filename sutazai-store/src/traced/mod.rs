//! The stores of a database with a span around each call, by OpenTelemetry's conventions for databases
//! (<https://opentelemetry.io/docs/specs/semconv/database/database-spans/>): one place for all technologies, reads and writes.

mod agent_store;
mod api_key_store;
mod conversation_store;
mod database;
mod document_store;
mod identity_store;
mod metric_store;
mod schedule_store;
mod stores;
mod task_store;

pub(crate) use database::TracedDatabase;
