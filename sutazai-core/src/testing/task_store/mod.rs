//! Checks of the three ports of tasks, each against a store of its own: what one port promises shows in the others.
//!
//! [`task_queue`](super::task_queue), [`task_records`](super::task_records) and [`event_log`](super::event_log) are the
//! suites. Times are arguments and never read from a clock, so a store passes or fails equally on every machine. To be
//! run on a multi-thread runtime, because several checks make concurrent calls.

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
    ahead_counts_what_is_claimed_first, backlog_tells_how_far_the_queue_is_behind,
    event_sequences_have_no_gaps, events_read_back_unchanged, list_ends_pages_before_they_are_large,
    list_pages_without_losing_or_doubling, reads_that_are_not_polled_hinder_no_others, statistics_counts,
    subscriber_is_notified, summaries_have_no_content,
};
pub use retention::prune_removes_what_ended_long_ago;
pub use turns::{claims_are_round_robin_across_owners, limits_hold};
pub use users::{
    batch_is_enqueued_atomically, cancel_ends_or_marks, deduplication_key_admits_one_active_task,
    delete_removes_an_ended_task, enqueued_task_is_pending, idempotency_key_identifies_one_task,
    retry_makes_a_failed_task_pending,
};
pub use waiting::{
    wait_for_any_makes_the_parent_due_once, wait_holds_the_parent_until_the_last_child_has_ended,
};
