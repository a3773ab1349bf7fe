//! Readiness checks, which run concurrently.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, join_all};
use sutazai_bodies::readiness::{HealthStatus, ReadinessCheck, ReadinessReport};
use sutazai_core::Result;
use sutazai_core::domain::{Caller, HostMetrics, ModelInfo, ProcessState};
use sutazai_core::engine::Engine;
use tokio::sync::Mutex;

/// Time for which a report is cached: anyone may request it, and some checks are expensive.
const REPORT_TTL: Duration = Duration::from_secs(1);
/// Time limit of the database check, a look-up by key.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit of reading the first entry of the queue's index.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(2);
/// Age of a due task above which the workers are considered absent. Longer than workers need to take over from a dead
/// one with the default lease.
const MAX_DUE_AGE: Duration = Duration::from_secs(60);
/// Time limit of the check of an optional dependency.
const OTHER_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit of the model check. Longer than the 3 s that each model server has, concurrently, to list its models.
const MODEL_TIMEOUT: Duration = Duration::from_secs(4);
/// Time limit of measuring the machine, which takes milliseconds unless a file system hangs.
const MACHINE_TIMEOUT: Duration = Duration::from_secs(2);

/// Free space in bytes below which the server is degraded: the database may soon be unable to grow.
const LOW_SPACE_BYTES: u64 = 1_000_000_000;
/// Free space in bytes below which the server is unhealthy: the next write may fail.
const MIN_SPACE_BYTES: u64 = 50_000_000;
/// Share of available memory below which the server is degraded: the machine may soon swap or kill processes.
const LOW_MEMORY_SHARE: f64 = 0.05;
/// Share of available memory below which the server is unhealthy.
const MIN_MEMORY_SHARE: f64 = 0.01;

/// Check of an optional dependency: succeeds if it can be reached.
pub(crate) type Reach = Arc<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Readiness checks with their latest report.
#[derive(Default)]
pub(crate) struct Readiness {
    /// Optional dependencies by name.
    others: Vec<(&'static str, Reach)>,
    /// Folder whose file system must have free space; `None`: `/`.
    data_folder: Option<PathBuf>,
    /// Latest report. The lock is held during the checks, so that concurrent callers share one run.
    latest: Mutex<Option<(Instant, ReadinessReport)>>,
}

type Finding = (HealthStatus, Option<&'static str>);

const HEALTHY: Finding = (HealthStatus::Healthy, None);

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("data_folder", &self.data_folder).finish_non_exhaustive()
    }
}

impl Readiness {
    /// Returns a copy that checks the free space of the file system of `folder`.
    pub(crate) fn with_folder(&self, folder: PathBuf) -> Self {
        Self { others: self.others.clone(), data_folder: Some(folder), latest: Mutex::default() }
    }

    /// Returns a copy with one more optional dependency.
    pub(crate) fn with_other(&self, name: &'static str, reach: Reach) -> Self {
        let others = self.others.iter().cloned().chain([(name, reach)]).collect();
        Self { others, data_folder: self.data_folder.clone(), latest: Mutex::default() }
    }

    /// Returns a report that is at most 1 second old. Takes at most as long as the longest time limit.
    pub(crate) async fn report(&self, engine: &Engine) -> ReadinessReport {
        let mut latest = self.latest.lock().await;
        if let Some((at, report)) = latest.as_ref()
            && at.elapsed() < REPORT_TTL
        {
            return report.clone();
        }
        let (database, workers, others, model, machine) = tokio::join!(
            check("database", DATABASE_TIMEOUT, HealthStatus::Unhealthy, database(engine)),
            workers(engine),
            join_all(self.others.iter().map(|(name, reach)| other(name, reach))),
            model(engine),
            self.machine(engine),
        );
        let checks =
            [database].into_iter().chain(workers).chain(others).chain(model).chain(machine).collect();
        let report = ReadinessReport::new(checks);
        *latest = Some((Instant::now(), report.clone()));
        report
    }

    /// Checks disk and memory in one measurement; empty when this server does not measure.
    async fn machine(&self, engine: &Engine) -> Vec<ReadinessCheck> {
        let begun = Instant::now();
        let measured = tokio::time::timeout(MACHINE_TIMEOUT, engine.snapshot_of(&["host"])).await.ok();
        let took = begun.elapsed();
        let hung = Some("could not be measured in time");
        let judged = match &measured {
            None => {
                vec![("disk", (HealthStatus::Degraded, hung)), ("memory", (HealthStatus::Degraded, hung))]
            }
            Some(snapshot) => match snapshot.host.value() {
                None => Vec::new(),
                Some(host) => {
                    let folder = self.data_folder.as_deref().unwrap_or(Path::new("/"));
                    let disk = disk(host, folder).map(|found| ("disk", found));
                    disk.into_iter().chain(memory(host).map(|found| ("memory", found))).collect()
                }
            },
        };
        judged.into_iter().map(|(name, found)| finished(name, found, took)).collect()
    }
}

async fn database(engine: &Engine) -> Finding {
    match engine.ping_store().await {
        Ok(()) => HEALTHY,
        Err(e) => {
            tracing::warn!(error = %e, "database check failed");
            (HealthStatus::Unhealthy, Some("cannot be reached"))
        }
    }
}

/// Checks that tasks are processed. Applies only to a server without workers of its own: whether workers of other
/// processes exist shows only in how long due tasks wait.
async fn workers(engine: &Engine) -> Option<ReadinessCheck> {
    if engine.workers() > 0 {
        return None;
    }
    let overdue = async {
        match engine.overdue().await {
            Ok(Some(since)) if since > MAX_DUE_AGE => {
                tracing::warn!(seconds = since.as_secs(), "due task not claimed by any worker");
                (HealthStatus::Degraded, Some("a task has waited for over a minute"))
            }
            Ok(_) => HEALTHY,
            Err(_) => (HealthStatus::Degraded, Some("the age of the queue is unknown")),
        }
    };
    Some(check("workers", QUEUE_TIMEOUT, HealthStatus::Degraded, overdue).await)
}

/// Checks an optional dependency. The server works without it, so a failure degrades only; its client has logged the
/// reason.
async fn other(name: &'static str, reach: &Reach) -> ReadinessCheck {
    let reached = async {
        match reach().await {
            Ok(()) => HEALTHY,
            Err(_) => (HealthStatus::Degraded, Some("cannot be reached")),
        }
    };
    check(name, OTHER_TIMEOUT, HealthStatus::Degraded, reached).await
}

/// Checks the model backends. A failure degrades only, because rules replace the model; without a backend there is no
/// check.
async fn model(engine: &Engine) -> Option<ReadinessCheck> {
    let model = engine.model_for(&Caller::System)?;
    let listed = async move {
        match model.models().await {
            Ok(models) if models.is_empty() => (HealthStatus::Degraded, Some("has no models")),
            Ok(models) if models.iter().any(is_restarting) => {
                (HealthStatus::Degraded, Some("its process crashed and is started again"))
            }
            Ok(_) => HEALTHY,
            Err(e) => {
                tracing::warn!(error = %e, "model check failed");
                (HealthStatus::Degraded, Some("cannot be reached"))
            }
        }
    };
    Some(check("model", MODEL_TIMEOUT, HealthStatus::Degraded, listed).await)
}

fn is_restarting(model: &ModelInfo) -> bool {
    model.process.as_ref().is_some_and(|process| process.state != ProcessState::Ready)
}

/// Judges the file system that contains `folder`: the one that is mounted at the longest of its ancestors.
fn disk(host: &HostMetrics, folder: &Path) -> Option<Finding> {
    let on = host.disks.iter().filter(|disk| folder.starts_with(&disk.mount));
    let disk = on.max_by_key(|disk| disk.mount.len())?;
    Some(match disk.available_bytes {
        left if left < MIN_SPACE_BYTES => (HealthStatus::Unhealthy, Some("no space left for the database")),
        left if left < LOW_SPACE_BYTES => {
            (HealthStatus::Degraded, Some("little space left for the database"))
        }
        _ => HEALTHY,
    })
}

/// Judges the available memory; `None` if it is unknown.
fn memory(host: &HostMetrics) -> Option<Finding> {
    let (available, total) = host.memory.available_bytes.zip(host.memory.total_bytes)?;
    Some(match available as f64 / total.max(1) as f64 {
        share if share < MIN_MEMORY_SHARE => (HealthStatus::Unhealthy, Some("no memory left")),
        share if share < LOW_MEMORY_SHARE => (HealthStatus::Degraded, Some("little memory left")),
        _ => HEALTHY,
    })
}

/// Runs a check within its time limit; one that exceeds it gets the status `late`.
async fn check(
    name: &'static str,
    limit: Duration,
    late: HealthStatus,
    finding: impl Future<Output = Finding>,
) -> ReadinessCheck {
    let begun = Instant::now();
    let found = tokio::time::timeout(limit, finding).await;
    finished(name, found.unwrap_or((late, Some("did not answer in time"))), begun.elapsed())
}

fn finished(name: &'static str, (status, reason): Finding, took: Duration) -> ReadinessCheck {
    let duration_ms = (took.as_secs_f64() * 1e6).round() / 1e3;
    ReadinessCheck { name: name.into(), status, duration_ms, reason: reason.map(Into::into) }
}
