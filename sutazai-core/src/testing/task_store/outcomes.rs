//! Checks about the end of an attempt.

use std::sync::Arc;

use futures::future::join_all;
use serde_json::json;

use super::stage::{
    all_of, at, claim, claimed, due, enqueue, error, events, history, read, record_outcomes, request, task,
};
use crate::domain::{ClaimKey, EventKind, InstanceId, Outcome, OutcomeRecord, TaskId, TaskStatus};
use crate::error::ErrorKind;
use crate::ports::TaskStore;

/// `record_outcomes` under a valid claim records the outcome and its event in one step; under a spent claim it is `Conflict` and
/// changes nothing; one bad entry of a batch does not affect the others.
pub async fn finish_is_fenced(store: Arc<dyn TaskStore>) {
    let done = |claim: ClaimKey, n: u32| OutcomeRecord { claim, outcome: Outcome::Completed(json!(n)) };
    let spent = claimed(&*store, task()).await;
    record_outcomes(&*store, &spent, Outcome::Released, 1).await.unwrap();
    let current = claim(&*store, 1).await;
    assert_eq!(current.task.id, spent.task.id);
    let before = all_of(&*store, current.task.id).await;
    let pending = enqueue(&*store, task()).await;
    let good: Vec<_> = store.claim(&request(1, 1)).await.unwrap();
    let waiting = enqueue(&*store, task()).await;
    assert_eq!(good[0].task.id, pending);

    let key = current.key();
    let foreign = ClaimKey { worker: InstanceId::new(), ..key };
    let not_claimed = ClaimKey { task: waiting, attempt: 0, worker: InstanceId::new() };
    let unknown = ClaimKey { task: TaskId::new(), ..key };
    let batch = vec![
        done(spent.key(), 1),
        done(foreign, 2),
        done(good[0].key(), 3),
        done(not_claimed, 4),
        done(unknown, 5),
    ];
    let answers = store.record_outcomes(batch, at(2)).await.unwrap();
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(|e| e.kind())).collect();
    let conflict = Some(ErrorKind::Conflict);
    assert_eq!(kinds, [conflict, conflict, None, conflict, conflict]);
    assert_eq!(all_of(&*store, current.task.id).await, before, "a spent claim changed the task");
    assert_eq!(history(&*store, waiting).await, [(TaskStatus::Pending, 0)]);
    assert_eq!(read(&*store, pending).await.result, Some(json!(3)));
    assert_eq!(history(&*store, pending).await.last(), Some(&(TaskStatus::Completed, 1)));

    // The same claim twice in one batch, and in concurrent calls: one outcome is recorded.
    let twice = store.record_outcomes(vec![done(key, 6), done(key, 7)], at(3)).await.unwrap();
    assert!(twice[0].is_ok(), "{twice:?}");
    assert_eq!(twice[1].as_ref().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(read(&*store, key.task).await.result, Some(json!(6)));
    let raced = claim(&*store, 3).await;
    let answers = join_all((0..16).map(|n| {
        let (store, record) = (store.clone(), done(raced.key(), n));
        tokio::spawn(async move { store.record_outcomes(vec![record], at(4)).await.unwrap().remove(0) })
    }))
    .await;
    let won: Vec<usize> = (0..16).filter(|n| answers[*n].as_ref().unwrap().is_ok()).collect();
    assert_eq!(won.len(), 1, "{} outcomes of one claim were recorded", won.len());
    assert_eq!(read(&*store, raced.task.id).await.result, Some(json!(won[0])));
    assert_eq!(events(&*store, raced.task.id).await.len(), 3);
}

/// `Completed`, `Failed` and `Cancelled` end the task and set `finished_at`; `Retry` makes it pending at its time and
/// counts a failure; `Released` makes it pending at once without counting one.
pub async fn outcomes_end_or_requeue_the_task(store: Arc<dyn TaskStore>) {
    let ends = [
        (Outcome::Completed(json!({ "answer": 42 })), TaskStatus::Completed),
        (Outcome::Failed(error("broken")), TaskStatus::Failed),
        (Outcome::Cancelled, TaskStatus::Cancelled),
    ];
    for (outcome, status) in ends {
        let held = claimed(&*store, task()).await;
        record_outcomes(&*store, &held, outcome, 3).await.unwrap();
        let ended = read(&*store, held.task.id).await;
        assert_eq!((ended.status, ended.finished_at, ended.updated_at), (status, Some(at(3)), at(3)));
        assert_eq!((ended.worker, ended.lease_until, ended.attempt), (None, None, 1));
        let completed = status == TaskStatus::Completed;
        assert_eq!(ended.result, completed.then(|| json!({ "answer": 42 })));
        let shown = (status == TaskStatus::Failed).then(|| error("broken"));
        assert_eq!(ended.error, shown);
        let last = events(&*store, ended.id).await.pop().unwrap();
        assert_eq!(last.kind, EventKind::Status { status, attempt: 1, error: shown });
        assert_eq!(last.at, at(3));
        assert_eq!(due(&*store, 1_000).await, [], "an ended task was claimed");
    }

    let first = claimed(&*store, task()).await;
    let id = first.task.id;
    record_outcomes(&*store, &first, Outcome::Retry { at: at(60), error: error("not yet") }, 4)
        .await
        .unwrap();
    let pending = read(&*store, id).await;
    assert_eq!((pending.status, pending.failures, pending.run_at), (TaskStatus::Pending, 1, at(60)));
    assert_eq!((pending.error, pending.finished_at, pending.worker), (Some(error("not yet")), None, None));
    let kind = EventKind::Status { status: TaskStatus::Pending, attempt: 1, error: Some(error("not yet")) };
    assert_eq!(events(&*store, id).await.pop().unwrap().kind, kind);
    assert_eq!(due(&*store, 59).await, []);
    let next = store.next_due(&["echo".to_owned()]).await.unwrap();
    assert!(next.is_some_and(|next| next <= at(60)), "{next:?}");

    let second = claim(&*store, 60).await;
    assert_eq!((second.task.id, second.task.attempt, second.task.failures), (id, 2, 1));
    record_outcomes(&*store, &second, Outcome::Released, 61).await.unwrap();
    let back = read(&*store, id).await;
    assert_eq!((back.status, back.failures, back.worker), (TaskStatus::Pending, 1, None));
    let third = claim(&*store, 61).await;
    assert_eq!((third.task.id, third.task.attempt, third.task.failures), (id, 3, 1));
    record_outcomes(&*store, &third, Outcome::Completed(json!(3)), 62).await.unwrap();
    let ended = read(&*store, id).await;
    assert_eq!((ended.error, ended.result), (None, Some(json!(3))), "the error of before is over");
}
