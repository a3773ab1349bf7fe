//! Conformance suite of the port [`EventLog`](crate::ports::EventLog): every bullet of its contract.
//!
//! A check also reads through the other ports of tasks, so a factory makes whole stores.

use std::future::Future;
use std::sync::Arc;

use super::task_store::{
    event_log_contains_each_event_once, event_sequences_have_no_gaps, events_read_back_unchanged,
    pages_of_agent_messages_end_before_they_are_large, pages_of_events_end_before_they_are_large,
    parent_and_children_exchange_messages, reads_that_are_not_polled_hinder_no_others,
    subscriber_is_notified,
};
use crate::ports::TaskStore;

/// Runs every check of the contract; `make` returns a new empty store each time.
pub async fn run_all<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn TaskStore>>,
{
    event_sequences_have_no_gaps(make().await).await;
    events_read_back_unchanged(make().await).await;
    event_log_contains_each_event_once(make().await).await;
    pages_of_events_end_before_they_are_large(make().await).await;
    parent_and_children_exchange_messages(make().await).await;
    pages_of_agent_messages_end_before_they_are_large(make().await).await;
    subscriber_is_notified(make().await).await;
    reads_that_are_not_polled_hinder_no_others(make().await).await;
}
