//! Updates the gauges that nothing increments: queue, users and machine.

use std::future::Future;
use std::time::{Duration, Instant};

use metrics::gauge;
use sutazai_core::engine::Engine;
use sutazai_core::identity::Identity;
use sutazai_core::{Error, Result};

use super::disks;

/// Minimum interval between two updates, however many clients read.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);
/// Time limit of each query; a value that exceeds it becomes `NaN`.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

/// Time of the last update. The lock is held during an update, so that concurrent readers share it.
#[derive(Debug, Default)]
pub(crate) struct Refreshed(tokio::sync::Mutex<Option<Instant>>);

/// Updates all gauges that are older than 5 seconds. A value that cannot be determined becomes `NaN`: unknown is
/// better than outdated.
pub(crate) async fn refresh(engine: &Engine, identity: Option<&Identity>, refreshed: &Refreshed) {
    let mut last = refreshed.0.lock().await;
    if last.is_some_and(|at| at.elapsed() < REFRESH_INTERVAL) {
        return;
    }
    tokio::join!(queue(engine), users(identity), machine(engine));
    *last = Some(Instant::now());
}

async fn queue(engine: &Engine) {
    let (depth, age) = match within(engine.backlog()).await {
        Ok(backlog) => {
            let now = engine.clock().now();
            let age = backlog.oldest.map_or(0, |due| (now - due).num_milliseconds().max(0));
            (backlog.tasks as f64, age as f64 / 1_000.0)
        }
        Err(e) => {
            tracing::warn!(error = %e, "queue metrics unavailable");
            (f64::NAN, f64::NAN)
        }
    };
    gauge!("task_queue_depth").set(depth);
    gauge!("task_queue_oldest_age_seconds").set(age);
}

async fn users(identity: Option<&Identity>) {
    let Some(identity) = identity else { return };
    let active = match within(identity.count_users()).await {
        Ok(users) => users.active as f64,
        Err(e) => {
            tracing::warn!(error = %e, "user metrics unavailable");
            f64::NAN
        }
    };
    gauge!("active_users_count").set(active);
}

async fn machine(engine: &Engine) {
    let snapshot = within(async { Ok(engine.snapshot_of(&["host"]).await) }).await;
    if snapshot.is_err() {
        tracing::warn!("machine metrics unavailable: time limit exceeded");
    }
    let host = snapshot.as_ref().ok().and_then(|snapshot| snapshot.host.value());
    // A value that could not be measured must not keep the one of before.
    let known = |value: Option<f64>| value.unwrap_or(f64::NAN);
    gauge!("cpu_usage_percent").set(known(host.and_then(|host| host.cpu.used_percent)));
    gauge!("memory_usage_percent").set(known(host.and_then(|host| host.memory.used_percent)));
    disks::set(host.map_or(&[][..], |host| &host.disks[..]));
}

async fn within<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(QUERY_TIMEOUT, answer)
        .await
        .unwrap_or_else(|_| Err(Error::timeout("the response timed out")))
}
