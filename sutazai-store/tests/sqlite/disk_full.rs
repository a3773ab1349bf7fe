//! A full disk: the error says so, no acknowledged task is lost, and the store works again once there is
//! space.
//!
//! The disk is a tmpfs of 2 MB, mounted in a mount namespace of its own, so that it disappears whatever
//! happens. Root or unprivileged user namespaces are needed.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use sutazai_core::ErrorKind;
use sutazai_core::domain::{ConcurrencyLimits, InstanceId, NewTask, Outcome, OutcomeRecord, Task, TaskId};
use sutazai_core::ports::{ClaimRequest, Clock, SystemClock, TaskStore};

const DIRECTORY: &str = "SUTAZAI_SMALL_DISK";

#[test]
fn full_disk_is_named_and_survived() {
    let directory = tempfile::tempdir().unwrap();
    let root =
        String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap().trim() == "0";
    let script = format!(
        "mount -t tmpfs -o size=2m tmpfs \"${DIRECTORY}\" && exec \"$0\" --exact disk_full::on_the_small_disk --ignored --nocapture"
    );
    let output = Command::new("unshare")
        .arg(if root { "-m" } else { "-Urm" })
        .args(["sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(DIRECTORY, directory.path())
        .output()
        .expect("unshare (Debian package util-linux)");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("1 passed"), "{printed}");
}

#[tokio::test]
#[ignore = "run by full_disk_is_named_and_survived on a small disk"]
async fn on_the_small_disk() {
    let directory = std::path::PathBuf::from(std::env::var(DIRECTORY).unwrap());
    let file = directory.join("small.db");
    let ballast = directory.join("ballast");
    std::fs::write(&ballast, vec![1_u8; 700_000]).unwrap();
    let store = sutazai_store::open(&format!("sqlite://{}", file.display())).await.unwrap().tasks;

    let mut acknowledged = Vec::new();
    let e = loop {
        match store.enqueue(vec![task()]).await {
            Ok(tasks) => acknowledged.push(tasks[0].id),
            Err(e) => break e,
        }
        assert!(acknowledged.len() < 1_000, "the disk must become full");
    };
    assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
    assert!(e.to_string().contains("full") && e.to_string().contains("small.db"), "{e}");
    assert!(acknowledged.len() > 5, "{}", acknowledged.len());
    assert_eq!(store.enqueue(vec![task()]).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_whole(&*store, &acknowledged).await;

    std::fs::remove_file(&ballast).unwrap();
    acknowledged.push(store.enqueue(vec![task()]).await.unwrap()[0].id);
    assert_whole(&*store, &acknowledged).await;
    drop(store);

    let store = sutazai_store::open(&format!("sqlite://{}", file.display())).await.unwrap().tasks;
    assert_whole(&*store, &acknowledged).await;
    let now = SystemClock.now();
    let (worker, lease) = (InstanceId::new(), Duration::from_secs(9));
    let request = ClaimRequest {
        worker,
        agents: vec!["echo".into()],
        limit: 1,
        lease,
        now,
        limits: ConcurrencyLimits::default(),
        after: None,
    };
    let claim = store.claim(&request).await.unwrap().remove(0).key();
    let record = OutcomeRecord { claim, outcome: Outcome::Completed(json!(null)) };
    store.record_outcomes(vec![record], now).await.unwrap().remove(0).unwrap();
}

/// Asserts that every acknowledged task is stored with its one event, and no other task.
async fn assert_whole(store: &dyn TaskStore, acknowledged: &[TaskId]) {
    for id in acknowledged {
        assert_eq!(store.get(*id).await.unwrap().unwrap().payload, task().payload);
        assert_eq!(store.events_after(*id, 0, 9).await.unwrap().len(), 1);
    }
    let all = sutazai_core::domain::TaskQuery {
        page: sutazai_core::domain::PageLimit::MAX.into(),
        ..Default::default()
    };
    assert_eq!(store.list(&all).await.unwrap().items.len(), acknowledged.len().min(100));
}

fn task() -> Task {
    Task::pending(NewTask::new("echo", json!({ "text": "x".repeat(20_000) })), None, None, SystemClock.now())
}
