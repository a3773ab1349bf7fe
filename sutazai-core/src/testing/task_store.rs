//! Conformance suite of the port [`TaskStore`]: every bullet of its contract, each against a store of its own.
//!
//! Times are arguments and never read from a clock, so a store passes or fails equally on every machine. To be run on a
//! multi-thread runtime, because several checks make concurrent calls.

mod claims;
mod feed;
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
    a_task_is_claimed_by_one_worker, a_task_may_be_added_as_claimed, claims_come_in_order,
    expire_takes_back_what_ran_out, renew_prolongs_a_held_lease,
};
pub(super) use feed::read_on;
pub use feed::the_feed_holds_every_event_once;
pub use messages::{
    pages_of_agent_messages_end_before_they_are_large, who_waits_and_who_is_waited_for_exchange_messages,
};
pub use outcomes::{finish_is_fenced, outcomes_end_or_requeue_the_task};
pub use owners::{delete_all_removes_what_is_one_owners, no_more_of_an_owners_tasks_wait_than_may};
pub use reading::{
    a_subscriber_hears, backlog_tells_how_far_the_queue_is_behind, event_sequences_have_no_gaps,
    list_ends_pages_before_they_are_large, list_pages_without_losing_or_doubling,
    reads_that_are_not_polled_hinder_no_others, statistics_counts,
};
pub use retention::prune_removes_what_ended_long_ago;
pub use turns::{limits_hold, owners_take_turns};
pub use users::{
    a_batch_is_enqueued_whole_or_not_at_all, a_unique_key_names_one_standing_task,
    an_enqueued_task_is_pending, an_idempotency_key_names_one_task, cancel_ends_or_marks,
    delete_removes_an_ended_task, retry_makes_a_failed_task_pending,
};
pub use waiting::wait_holds_the_parent_until_the_last_child_has_ended;

use crate::ports::TaskStore;

/// Runs every check of the contract; `make` returns a new empty store each time.
pub async fn run_all<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn TaskStore>>,
{
    an_enqueued_task_is_pending(make().await).await;
    a_task_may_be_added_as_claimed(make().await).await;
    an_idempotency_key_names_one_task(make().await).await;
    a_unique_key_names_one_standing_task(make().await).await;
    a_batch_is_enqueued_whole_or_not_at_all(make().await).await;
    no_more_of_an_owners_tasks_wait_than_may(make().await).await;
    claims_come_in_order(make().await).await;
    owners_take_turns(make().await).await;
    limits_hold(make().await).await;
    a_task_is_claimed_by_one_worker(make().await).await;
    renew_prolongs_a_held_lease(make().await).await;
    finish_is_fenced(make().await).await;
    outcomes_end_or_requeue_the_task(make().await).await;
    wait_holds_the_parent_until_the_last_child_has_ended(make().await).await;
    who_waits_and_who_is_waited_for_exchange_messages(make().await).await;
    pages_of_agent_messages_end_before_they_are_large(make().await).await;
    expire_takes_back_what_ran_out(make().await).await;
    cancel_ends_or_marks(make().await).await;
    retry_makes_a_failed_task_pending(make().await).await;
    delete_removes_an_ended_task(make().await).await;
    delete_all_removes_what_is_one_owners(make().await).await;
    prune_removes_what_ended_long_ago(make().await).await;
    event_sequences_have_no_gaps(make().await).await;
    the_feed_holds_every_event_once(make().await).await;
    list_pages_without_losing_or_doubling(make().await).await;
    list_ends_pages_before_they_are_large(make().await).await;
    statistics_counts(make().await).await;
    backlog_tells_how_far_the_queue_is_behind(make().await).await;
    a_subscriber_hears(make().await).await;
    reads_that_are_not_polled_hinder_no_others(make().await).await;
}
