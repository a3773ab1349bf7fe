//! Conformance suite of the port [`TaskQueue`](crate::ports::TaskQueue): every bullet of its contract.
//!
//! A check also reads through the other ports of tasks, so a factory makes whole stores.

use std::future::Future;
use std::sync::Arc;

use super::task_store::{
    ahead_counts_what_is_claimed_first, backlog_tells_how_far_the_queue_is_behind,
    batch_is_enqueued_atomically, claims_are_round_robin_across_owners, claims_come_in_order,
    deduplication_key_admits_one_active_task, enqueued_task_is_pending, expire_takes_back_what_ran_out,
    finish_is_fenced, idempotency_key_identifies_one_task, limits_hold, outcomes_end_or_requeue_the_task,
    pending_tasks_of_an_owner_are_limited, renew_prolongs_a_held_lease, task_can_be_added_as_claimed,
    task_is_claimed_by_one_worker, wait_for_any_makes_the_parent_due_once,
    wait_holds_the_parent_until_the_last_child_has_ended,
};
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
    wait_for_any_makes_the_parent_due_once(make().await).await;
    expire_takes_back_what_ran_out(make().await).await;
    ahead_counts_what_is_claimed_first(make().await).await;
    backlog_tells_how_far_the_queue_is_behind(make().await).await;
}
