//! The section `containers`: those of a Docker engine, asked through its socket.
//!
//! List, inspect and counters only: nothing is changed. All containers are asked side by side, a bounded number at
//! once, and the whole has a time limit, so that an engine that hangs holds up nothing. The figures are counted as
//! `docker stats` counts them (`stats`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bollard::models::{ContainerInspectResponse, ContainerStatsResponse, ContainerSummary};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions, StatsOptions};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures::StreamExt;
use futures::stream;
use sutazai_core::domain::{ContainerInfo, ContainerMetrics, SnapshotPart};
use sutazai_core::ports::{Clock, MetricSource, SystemClock};
use sutazai_core::{Error, Result};
use tokio::sync::{Mutex, OnceCell};

use super::baseline::{Baseline, FIRST_INTERVAL};
use stats::CpuCounters;

mod stats;

/// Containers asked at once.
const AT_ONCE: usize = 16;
/// For everything together.
const TIME_LIMIT: Duration = Duration::from_secs(10);
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// The containers of a Docker engine.
#[derive(Debug)]
pub struct DockerMetricSource {
    host: String,
    docker: OnceCell<Docker>,
    baseline: Mutex<Baseline<HashMap<String, CpuCounters>>>,
}

impl DockerMetricSource {
    /// Over the engine that `DOCKER_HOST` names, or else the one at `/var/run/docker.sock`.
    pub fn new() -> Self {
        let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        Self::with_host(host.unwrap_or_else(|| DEFAULT_HOST.to_owned()))
    }

    /// Over the engine at such an address: `unix://` and the path of its socket.
    pub fn with_host(host: impl Into<String>) -> Self {
        Self { host: host.into(), docker: OnceCell::new(), baseline: Mutex::default() }
    }

    async fn measure(&self) -> Result<ContainerMetrics> {
        let docker = self.docker().await?;
        let listed = docker
            .list_containers(Some(ListContainersOptions { all: true, ..Default::default() }))
            .await
            .map_err(unavailable)?;
        let version = docker.version().await.map_err(unavailable)?.version.unwrap_or_default();
        let mut baseline = self.baseline.lock().await;
        if baseline.at(Instant::now()).is_none() {
            let ids = listed.iter().filter_map(|one| one.id.clone()).collect();
            let (now, counters) = (Instant::now(), counters(docker, ids).await);
            baseline.push(now, counters);
            SystemClock.sleep(FIRST_INTERVAL).await;
        }
        let now = Instant::now();
        let asking = stream::iter(listed).map(|one| ask(docker, one)).buffer_unordered(AT_ONCE);
        let asked: Vec<Asked> = asking.filter_map(|one| async { one }).collect().await;
        let before = baseline.at(now).map(|(counters, _)| counters);
        let mut containers: Vec<ContainerInfo> =
            asked.iter().map(|one| one.info(before.and_then(|before| before.get(&one.id)))).collect();
        let counted = asked.iter().filter_map(|one| Some((one.id.clone(), stats::cpu(one.stats.as_ref()?)?)));
        baseline.push(now, counted.collect());
        containers.sort_by_cached_key(|one| (one.state != "running", one.name.clone()));
        Ok(ContainerMetrics {
            engine: format!("docker {version}"),
            running: containers.iter().filter(|one| one.state == "running").count() as u32,
            total: containers.len() as u32,
            containers,
        })
    }

    /// The client, made once somebody answers at the socket.
    async fn docker(&self) -> Result<&Docker> {
        let socket = self.socket()?;
        answers(&socket).await?;
        let connect = || async {
            // Its own limit must not come before ours, which has a sentence for it.
            Docker::connect_with_unix(&self.host, 2 * TIME_LIMIT.as_secs(), API_DEFAULT_VERSION)
                .map_err(unavailable)?
                .negotiate_version()
                .await
                .map_err(unavailable)
        };
        self.docker.get_or_try_init(connect).await
    }

    fn socket(&self) -> Result<PathBuf> {
        let path = self.host.strip_prefix("unix://").filter(|path| !path.is_empty());
        path.map(PathBuf::from).ok_or_else(|| {
            Error::unavailable("DOCKER_HOST is no `unix://` address; engines on other machines are not asked")
        })
    }
}

impl Default for DockerMetricSource {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl MetricSource for DockerMetricSource {
    fn name(&self) -> &str {
        "containers"
    }

    async fn collect(&self) -> Result<SnapshotPart> {
        match tokio::time::timeout(TIME_LIMIT, self.measure()).await {
            Ok(measured) => measured.map(SnapshotPart::Containers),
            Err(_) => {
                Err(Error::unavailable(format!("the Docker engine did not answer within {TIME_LIMIT:?}")))
            }
        }
    }
}

/// What the engine said of one container.
struct Asked {
    id: String,
    inspected: ContainerInspectResponse,
    image: String,
    stats: Option<ContainerStatsResponse>,
}

impl Asked {
    fn info(&self, before: Option<&CpuCounters>) -> ContainerInfo {
        let state = self.inspected.state.as_ref();
        let status =
            state.and_then(|state| state.status).map(|status| status.to_string()).unwrap_or_default();
        let host = self.inspected.host_config.as_ref();
        let limit = host.and_then(|host| host.memory).filter(|limit| *limit > 0).map(|limit| limit as u64);
        let used = self.stats.as_ref().and_then(stats::memory);
        let cpu = self.stats.as_ref().and_then(stats::cpu);
        let health = state.and_then(|state| state.health.as_ref()?.status).map(|health| health.to_string());
        ContainerInfo {
            id: self.id.chars().take(12).collect(),
            name: self.inspected.name.as_deref().unwrap_or_default().trim_start_matches('/').to_owned(),
            image: self.image.clone(),
            health: health.filter(|health| !health.is_empty() && health != "none"),
            cpu_percent: before.zip(cpu).map(|(before, now)| now.percent_since(before)),
            cpu_limit_cores: host.and_then(stats::cpu_limit),
            memory_used_bytes: used,
            memory_limit_bytes: limit,
            memory_used_percent: used.zip(limit).map(|(used, limit)| used as f64 / limit as f64 * 100.0),
            restarts: self.inspected.restart_count.unwrap_or(0).max(0) as u64,
            oom_killed: state.and_then(|state| state.oom_killed).unwrap_or(false),
            exit_code: state
                .and_then(|state| state.exit_code)
                .filter(|_| ["exited", "dead", "restarting"].contains(&status.as_str())),
            state: status,
        }
    }
}

/// Whether somebody listens there; a missing socket, a missing right and a stopped engine each have their sentence.
async fn answers(socket: &Path) -> Result<()> {
    use std::io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
    let path = socket.display();
    tokio::net::UnixStream::connect(socket).await.map(drop).map_err(|e| match e.kind() {
        NotFound => Error::unavailable(format!("there is no Docker socket at {path}")),
        PermissionDenied => Error::unavailable(format!("this user may not open the Docker socket {path}")),
        ConnectionRefused => Error::unavailable(format!("no Docker engine listens at {path}")),
        _ => Error::unavailable(format!("the Docker socket {path} cannot be opened: {e}")),
    })
}

/// Everything about one container; none when it was removed since it was listed.
async fn ask(docker: &Docker, listed: ContainerSummary) -> Option<Asked> {
    let id = listed.id?;
    let inspected = docker.inspect_container(&id, None::<InspectContainerOptions>);
    let (inspected, stats) = futures::join!(inspected, reading(docker, &id));
    let inspected = inspected.ok()?;
    let running = inspected.state.as_ref().and_then(|state| state.running).unwrap_or(false);
    Some(Asked { id, inspected, image: listed.image.unwrap_or_default(), stats: stats.filter(|_| running) })
}

async fn counters(docker: &Docker, ids: Vec<String>) -> HashMap<String, CpuCounters> {
    let one = |id: String| async move {
        let counters = stats::cpu(&reading(docker, &id).await?)?;
        Some((id, counters))
    };
    stream::iter(ids).map(one).buffer_unordered(AT_ONCE).filter_map(|one| async { one }).collect().await
}

/// One reading, without the second in which the engine would count a rate of its own.
async fn reading(docker: &Docker, id: &str) -> Option<ContainerStatsResponse> {
    let options = StatsOptions { stream: false, one_shot: true };
    std::pin::pin!(docker.stats(id, Some(options))).next().await?.ok()
}

/// With what is at the bottom of it: the client's own words are no more than that a request failed.
fn unavailable(e: bollard::errors::Error) -> Error {
    let cause = std::iter::successors(std::error::Error::source(&e), |cause| cause.source()).last();
    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    Error::unavailable(format!("the Docker engine does not answer as it should: {e}{cause}"))
}
