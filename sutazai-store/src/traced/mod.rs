//! Tracing decorators of the stores: a span around each call, by the OpenTelemetry conventions for databases
//! (<https://opentelemetry.io/docs/specs/semconv/database/database-spans/>), for all technologies.

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
