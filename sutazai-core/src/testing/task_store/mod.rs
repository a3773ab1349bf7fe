//! Conformance suite of the port [`TaskStore`]: every bullet of its contract, each against a store of its own.
//!
//! Times are arguments and never read from a clock, so a store passes or fails equally on every machine. To be run on a
//! multi-thread runtime, because several checks make concurrent calls.

mod claims;
mod event_log;
mod messages;
mod outcomes;
mod owners;
mod reading;
mod retention;
mod stage;
mod turns;
mod users;
mod waiting;

use std::future::Future;
use std::sync::Arc;

pub use claims::{
    claims_come_in_order, expire_takes_back_what_ran_out, renew_prolongs_a_held_lease,
    task_can_be_added_as_claimed, task_is_claimed_by_one_worker,
};
pub(super) use event_log::read_on;
pub use event_log::{event_log_contains_each_event_once, pages_of_events_end_before_they_are_large};
pub use messages::{
    pages_of_agent_messages_end_before_they_are_large, parent_and_children_exchange_messages,
};
pub use outcomes::{finish_is_fenced, outcomes_end_or_requeue_the_task};
pub use owners::{delete_all_removes_what_is_one_owners, pending_tasks_of_an_owner_are_limited};
pub use reading::{
    backlog_tells_how_far_the_queue_is_behind, event_sequences_have_no_gaps,
    list_ends_pages_before_they_are_large, list_pages_without_losing_or_doubling,
    reads_that_are_not_polled_hinder_no_others, statistics_counts, subscriber_is_notified,
};
pub use retention::prune_removes_what_ended_long_ago;
pub use turns::{claims_are_round_robin_across_owners, limits_hold};
pub use users::{
    batch_is_enqueued_atomically, cancel_ends_or_marks, deduplication_key_admits_one_active_task,
    delete_removes_an_ended_task, enqueued_task_is_pending, idempotency_key_identifies_one_task,
    retry_makes_a_failed_task_pending,
};
pub use waiting::wait_holds_the_parent_until_the_last_child_has_ended;

use crate::ports::TaskStore;

/// Runs every check of the contract; `make` returns a new empty store each time.
pub async fn run_all<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn TaskStore>>,
{
    enqueued_task_is_pending(make().await).await;
    task_can_be_added_as_claimed(make().await).await;
    idempotency_key_identifies_one_task(make().await).await;
    deduplication_key_admits_one_active_task(make().await).await;
    batch_is_enqueued_atomically(make().await).await;
    pending_tasks_of_an_owner_are_limited(make().await).await;
    claims_come_in_order(make().await).await;
    claims_are_round_robin_across_owners(make().await).await;
    limits_hold(make().await).await;
    task_is_claimed_by_one_worker(make().await).await;
    renew_prolongs_a_held_lease(make().await).await;
    finish_is_fenced(make().await).await;
    outcomes_end_or_requeue_the_task(make().await).await;
    wait_holds_the_parent_until_the_last_child_has_ended(make().await).await;
    parent_and_children_exchange_messages(make().await).await;
    pages_of_agent_messages_end_before_they_are_large(make().await).await;
    expire_takes_back_what_ran_out(make().await).await;
    cancel_ends_or_marks(make().await).await;
    retry_makes_a_failed_task_pending(make().await).await;
    delete_removes_an_ended_task(make().await).await;
    delete_all_removes_what_is_one_owners(make().await).await;
    prune_removes_what_ended_long_ago(make().await).await;
    event_sequences_have_no_gaps(make().await).await;
    event_log_contains_each_event_once(make().await).await;
    pages_of_events_end_before_they_are_large(make().await).await;
    list_pages_without_losing_or_doubling(make().await).await;
    list_ends_pages_before_they_are_large(make().await).await;
    statistics_counts(make().await).await;
    backlog_tells_how_far_the_queue_is_behind(make().await).await;
    subscriber_is_notified(make().await).await;
    reads_that_are_not_polled_hinder_no_others(make().await).await;
}
