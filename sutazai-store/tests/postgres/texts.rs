//! U+0000, which PostgreSQL cannot store, is restored in all texts.

use std::time::Duration;

use serde_json::json;
use sutazai_core::domain::{
    ConcurrencyLimits, EventKind, InstanceId, NewEvent, NewTask, Outcome, OutcomeRecord, Task,
};
use sutazai_core::ports::{ClaimRequest, Clock, SystemClock};

use crate::place::database;

#[tokio::test]
async fn nul_is_restored_in_every_text() {
    let stores = sutazai_store::open(&database().await).await.unwrap();
    let now = SystemClock.now();
    let payload = json!({ "a\0": ["\0", "\\u0000", "\u{10ffff}"] });
    let key = Some("\0key".to_owned());
    let new =
        NewTask { description: "\0".into(), idempotency_key: key, ..NewTask::new("echo", payload.clone()) };
    let task =
        stores.tasks.enqueue(vec![Task::pending(new.clone(), None, None, now)]).await.unwrap().remove(0);
    assert_eq!((&task.description, &task.payload), (&new.description, &payload));
    let again = stores.tasks.enqueue(vec![Task::pending(new, None, None, now)]).await.unwrap();
    assert_eq!(again, std::slice::from_ref(&task));

    let (worker, lease) = (InstanceId::new(), Duration::from_secs(9));
    let request = ClaimRequest {
        worker,
        agents: vec!["echo".into()],
        limit: 1,
        lease,
        now: SystemClock.now(),
        limits: ConcurrencyLimits::default(),
        after: None,
    };
    let claim = stores.tasks.claim(&request).await.unwrap().remove(0).key();
    let reported = EventKind::text("one\0two");
    stores.tasks.append(&claim, vec![NewEvent { at: now, kind: reported.clone() }]).await.unwrap();
    let outcome = Outcome::Completed(payload.clone());
    stores
        .tasks
        .record_outcomes(vec![OutcomeRecord { claim, outcome }], now)
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    assert_eq!(stores.tasks.get(task.id).await.unwrap().unwrap().result, Some(payload));
    assert_eq!(stores.tasks.events_after(task.id, 2, 1).await.unwrap()[0].kind, reported);
    assert_eq!(stores.identity.user_by_login("ada\0").await.unwrap(), None);
}
