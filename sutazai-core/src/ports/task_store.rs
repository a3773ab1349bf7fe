//! Task store: the three ports of tasks over one transaction boundary.

use super::{EventLog, TaskQueue, TaskRecords};

/// Store that implements the three ports of tasks.
///
/// They are separate, so that each part of the engine takes only what it uses and a test replaces only what it is about.
/// One type implements them, because one change of a task touches all three: an outcome writes the record, takes the task
/// out of the queue and appends an event. A store keeps the promises of the contracts if each call of a port is one
/// transaction over all of its tables: a claim that is returned has its event, and a call that fails has changed nothing.
/// [`lifecycle::apply`](crate::domain::task::lifecycle::apply) returns everything that belongs into the transaction.
///
/// [`TransactionalTaskStore`](crate::task_store::TransactionalTaskStore) implements all three over the plain reads and
/// writes of any storage. `examples/08_custom_task_store.rs` is such a storage; the suites in `testing` check it.
pub trait TaskStore: TaskQueue + TaskRecords + EventLog {}

impl<S: TaskQueue + TaskRecords + EventLog> TaskStore for S {}
