//! What is tried, side by side.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, join_all};
use sutazai_core::Result;
use sutazai_core::domain::{Caller, HostMetrics, ModelInfo, ProcessState};
use sutazai_core::engine::Engine;
use tokio::sync::Mutex;

use super::report::{HealthStatus, ReadinessCheck, ReadinessReport};

/// One answer is shown to everybody who asks within this: anybody may ask, and some checks cost something.
const LIFE: Duration = Duration::from_secs(1);
/// The database answers a look-up by key in well under this.
const DATABASE_LIMIT: Duration = Duration::from_secs(2);
/// The first entry of the queue's index.
const QUEUE_LIMIT: Duration = Duration::from_secs(2);
/// Longer than workers need to take over from one that died, at the usual lease.
const OVERDUE: Duration = Duration::from_secs(60);
/// What the server can do without answers at once or not at all.
const OTHER_LIMIT: Duration = Duration::from_secs(2);
/// Model servers get 3 seconds each, side by side, to list their models.
const MODEL_LIMIT: Duration = Duration::from_secs(4);
/// Measuring the machine takes milliseconds, unless a file system hangs.
const MACHINE_LIMIT: Duration = Duration::from_secs(2);

/// Below this the database cannot be expected to grow for long.
const LITTLE_SPACE: u64 = 1_000_000_000;
/// Below this the next write may fail.
const NO_SPACE: u64 = 50_000_000;
/// Below this share of its memory the machine begins to swap or to end programs.
const LITTLE_MEMORY: f64 = 0.05;
/// Below this it does.
const NO_MEMORY: f64 = 0.01;

/// Whether something answers that the server can do without for a while.
pub(crate) type Reach = Arc<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// What the checks found last.
#[derive(Default)]
pub(crate) struct Readiness {
    /// What else this server uses, by name.
    others: Vec<(&'static str, Reach)>,
    /// The folder whose file system must have space; the root's if none.
    data_folder: Option<PathBuf>,
    /// Held while somebody looks, so that nobody else does.
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
    /// The same, looking for space where this folder is.
    pub(crate) fn with_folder(&self, folder: PathBuf) -> Self {
        Self { others: self.others.clone(), data_folder: Some(folder), latest: Mutex::default() }
    }

    /// The same, looking for one more thing.
    pub(crate) fn with_other(&self, name: &'static str, reach: Reach) -> Self {
        let others = self.others.iter().cloned().chain([(name, reach)]).collect();
        Self { others, data_folder: self.data_folder.clone(), latest: Mutex::default() }
    }

    /// The report, at most a second old. Takes as long as the slowest limit at most.
    pub(crate) async fn report(&self, engine: &Engine) -> ReadinessReport {
        let mut latest = self.latest.lock().await;
        if let Some((at, report)) = latest.as_ref()
            && at.elapsed() < LIFE
        {
            return report.clone();
        }
        let (database, workers, others, model, machine) = tokio::join!(
            check("database", DATABASE_LIMIT, HealthStatus::Unhealthy, database(engine)),
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

    /// Disk and memory, measured together; nothing where this server does not measure.
    async fn machine(&self, engine: &Engine) -> Vec<ReadinessCheck> {
        let begun = Instant::now();
        let measured = tokio::time::timeout(MACHINE_LIMIT, engine.snapshot_of(&["host"])).await.ok();
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
                    disk.into_iter().chain([("memory", memory(host))]).collect()
                }
            },
        };
        judged.into_iter().map(|(name, found)| finished(name, found, took)).collect()
    }
}

async fn database(engine: &Engine) -> Finding {
    match engine.reach_store().await {
        Ok(()) => HEALTHY,
        Err(e) => {
            tracing::warn!(error = %e, "the database cannot be reached");
            (HealthStatus::Unhealthy, Some("cannot be reached"))
        }
    }
}

/// A server without workers of its own takes tasks that others are to do. That nobody does them shows by their waiting.
async fn workers(engine: &Engine) -> Option<ReadinessCheck> {
    if engine.workers() > 0 {
        return None;
    }
    let overdue = async {
        match engine.overdue().await {
            Ok(Some(since)) if since > OVERDUE => {
                tracing::warn!(seconds = since.as_secs(), "a task waits, and no worker takes it");
                (HealthStatus::Degraded, Some("a task has waited for over a minute"))
            }
            Ok(_) => HEALTHY,
            Err(_) => (HealthStatus::Degraded, Some("cannot be told")),
        }
    };
    Some(check("workers", QUEUE_LIMIT, HealthStatus::Degraded, overdue).await)
}

/// The server goes on without it, and has said in the log why it cannot be reached.
async fn other(name: &'static str, reach: &Reach) -> ReadinessCheck {
    let reached = async {
        match reach().await {
            Ok(()) => HEALTHY,
            Err(_) => (HealthStatus::Degraded, Some("cannot be reached")),
        }
    };
    check(name, OTHER_LIMIT, HealthStatus::Degraded, reached).await
}

/// Without a model the rules write, so a model that is away degrades; none is configured: nothing to check.
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
                tracing::warn!(error = %e, "no model can be reached");
                (HealthStatus::Degraded, Some("cannot be reached"))
            }
        }
    };
    Some(check("model", MODEL_LIMIT, HealthStatus::Degraded, listed).await)
}

fn is_restarting(model: &ModelInfo) -> bool {
    model.process.as_ref().is_some_and(|process| process.state != ProcessState::Ready)
}

/// The file system that the folder is on: the one mounted at the longest of its ancestors.
fn disk(host: &HostMetrics, folder: &Path) -> Option<Finding> {
    let on = host.disks.iter().filter(|disk| folder.starts_with(&disk.mount));
    let disk = on.max_by_key(|disk| disk.mount.len())?;
    Some(match disk.available_bytes {
        left if left < NO_SPACE => (HealthStatus::Unhealthy, Some("no space left for the database")),
        left if left < LITTLE_SPACE => (HealthStatus::Degraded, Some("little space left for the database")),
        _ => HEALTHY,
    })
}

fn memory(host: &HostMetrics) -> Finding {
    match host.memory.available_bytes as f64 / (host.memory.total_bytes.max(1) as f64) {
        share if share < NO_MEMORY => (HealthStatus::Unhealthy, Some("no memory left")),
        share if share < LITTLE_MEMORY => (HealthStatus::Degraded, Some("little memory left")),
        _ => HEALTHY,
    }
}

/// Tries something within its time limit; one that hangs is `late`.
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
    ReadinessCheck { name, status, duration_ms: (took.as_secs_f64() * 1e6).round() / 1e3, reason }
}
