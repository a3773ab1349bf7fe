//! Conformance suite of the port [`TaskRecords`](crate::ports::TaskRecords): every bullet of its contract.
//!
//! A check also reads through the other ports of tasks, so a factory makes whole stores.

use std::future::Future;
use std::sync::Arc;

use super::task_store::{
    cancel_ends_or_marks, delete_all_removes_what_is_one_owners, delete_removes_an_ended_task,
    list_ends_pages_before_they_are_large, list_pages_without_losing_or_doubling,
    prune_removes_what_ended_long_ago, retry_makes_a_failed_task_pending, statistics_counts,
    summaries_have_no_content,
};
use crate::ports::TaskStore;

/// Runs every check of the contract; `make` returns a new empty store each time.
pub async fn run_all<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn TaskStore>>,
{
    cancel_ends_or_marks(make().await).await;
    retry_makes_a_failed_task_pending(make().await).await;
    delete_removes_an_ended_task(make().await).await;
    delete_all_removes_what_is_one_owners(make().await).await;
    prune_removes_what_ended_long_ago(make().await).await;
    list_pages_without_losing_or_doubling(make().await).await;
    list_ends_pages_before_they_are_large(make().await).await;
    summaries_have_no_content(make().await).await;
    statistics_counts(make().await).await;
}
