//! Task stores over any storage: the work that is the same in every store.
//!
//! A task store implements three ports, [`TaskQueue`](crate::ports::TaskQueue),
//! [`TaskRecords`](crate::ports::TaskRecords) and [`EventLog`](crate::ports::EventLog). Most of a call is the same in every
//! store: the claim of a task appends an event, the end of a task makes its parents due and cancels its children, both
//! exchange messages, and subscribers are notified after the commit. That part is here, in two layers:
//!
//! | storage | implement | use |
//! |---|---|---|
//! | a file, a key-value store, any database | [`TaskStorage`] and [`TaskTransaction`]: plain reads and writes | [`TransactionalTaskStore`], a complete store |
//! | a database with statements for many tasks at once | [`TaskRepository`], and the ports | [`UnitOfWork`], which applies commands of the life cycle in a transaction |
//!
//! The conformance suites of the three ports and the random schedules in [`testing`](crate::testing) (feature `test-util`)
//! check a store.

mod event_log;
mod operations;
mod pages;
mod queue;
mod records;
mod repository;
mod session;
mod storage;
mod transactional;
mod unit_of_work;

pub use repository::{DeduplicationKey, Record, TaskRepository, WriteSet};
pub use storage::{
    EventFilter, EventLogBounds, ScanOrder, TaskFilter, TaskStorage, TaskTransaction, TaskWait,
};
pub use transactional::TransactionalTaskStore;
pub use unit_of_work::UnitOfWork;
