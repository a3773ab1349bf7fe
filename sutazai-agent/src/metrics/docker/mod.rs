//! Source of the section `containers`: the containers of a Docker engine, read through its socket.
//!
//! Only lists, descriptions and counters are read; nothing is changed. All containers are queried concurrently, up to
//! 256 at once. A container that does not respond loses only its own figures, and the whole collection has a time
//! limit, so that a hanging engine blocks nothing. The formulas are those of `docker stats` (`stats`).

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use serde_json::Value;
use sutazai_core::domain::{ContainerInfo, ContainerMetrics, SnapshotPart};
use sutazai_core::ports::{Clock, MetricSource, SystemClock};
use sutazai_core::{Error, Result};
use tokio::sync::Mutex;

use super::baseline::{Baseline, FIRST_INTERVAL};
use request::get;
use stats::CpuCounters;

mod request;
mod stats;

/// Maximum number of concurrent queries. It is high because an engine may take a second for each reading, most of which
/// it waits.
const AT_ONCE: usize = 256;
/// Longest time of all requests together. The report waits for it, so it is the largest part of the time that a report
/// takes beside an engine that hangs.
const TIME_LIMIT: Duration = Duration::from_millis(2500);
/// Time limit of one container; when it expires, the state is known from the list all the same.
const CONTAINER_TIMEOUT: Duration = Duration::from_millis(1500);
/// Environment variable with the engine's address.
const SETTING: &str = "DOCKER_HOST";
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// Metric source for the containers of a Docker engine.
#[derive(Debug)]
pub struct DockerMetricSource {
    host: String,
    baseline: Mutex<Baseline<HashMap<String, CpuCounters>>>,
}

impl DockerMetricSource {
    /// Creates a source for the engine that `DOCKER_HOST` names, or else the one at `/var/run/docker.sock`.
    pub fn new() -> Self {
        let host = std::env::var(SETTING).ok().filter(|host| !host.is_empty());
        Self::with_host(host.unwrap_or_else(|| DEFAULT_HOST.to_owned()))
    }

    /// Creates a source for the engine at this address: `unix://` and the path of its socket.
    pub fn with_host(host: impl Into<String>) -> Self {
        Self { host: host.into(), baseline: Mutex::default() }
    }

    async fn measure(&self) -> Result<ContainerMetrics> {
        let engine = Engine { socket: self.socket()? };
        let listed = engine.list().await?;
        let version = engine.version().await?;
        let mut baseline = self.baseline.lock().await;
        if baseline.at(Instant::now()).is_none() {
            let (now, counters) = (Instant::now(), engine.counters(&listed).await);
            baseline.push(now, counters);
            SystemClock.sleep(FIRST_INTERVAL.saturating_sub(now.elapsed())).await;
        }
        // The lock is released, so that concurrent collections query the engine concurrently.
        drop(baseline);
        let now = Instant::now();
        let asking = stream::iter(listed).map(|one| engine.ask(one)).buffer_unordered(AT_ONCE);
        let asked: Vec<Asked> = asking.filter_map(|one| async { one }).collect().await;
        let mut baseline = self.baseline.lock().await;
        let before = baseline.at(now).map(|(counters, _)| counters);
        let mut containers: Vec<ContainerInfo> =
            asked.iter().map(|one| one.info(before.and_then(|before| before.get(&one.id)))).collect();
        let counted = asked.iter().filter_map(|one| Some((one.id.clone(), stats::cpu(one.stats.as_ref()?)?)));
        baseline.push(now, counted.collect());
        containers.sort_by_cached_key(|one| (one.state != "running", one.name.clone()));
        Ok(ContainerMetrics {
            engine: format!("docker {version}").trim_end().to_owned(),
            running: containers.iter().filter(|one| one.state == "running").count() as u32,
            total: containers.len() as u32,
            containers,
        })
    }

    fn socket(&self) -> Result<PathBuf> {
        let path = self.host.strip_prefix("unix://").filter(|path| !path.is_empty());
        path.map(PathBuf::from).ok_or_else(|| {
            Error::unavailable(format!(
                "{SETTING} is not a `unix://` address; engines on other machines are not queried"
            ))
        })
    }
}

/// Returns the suffix of an error that tells how to configure an engine at another address.
fn how_to_set() -> String {
    let set = std::env::var(SETTING).ok().filter(|host| !host.is_empty());
    let state = set.map_or_else(|| "is not set".to_owned(), |host| format!("is {host}"));
    format!(" ({SETTING} {state}; set it to the address of the engine, such as {DEFAULT_HOST})")
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

/// Client of a Docker engine.
struct Engine {
    socket: PathBuf,
}

impl Engine {
    async fn list(&self) -> Result<Vec<Value>> {
        match get(&self.socket, "/containers/json?all=1").await? {
            Some(Value::Array(listed)) => Ok(listed),
            _ => Err(Error::unavailable("unexpected response of the Docker engine: it lists no containers")),
        }
    }

    async fn version(&self) -> Result<String> {
        let version = get(&self.socket, "/version").await?;
        Ok(version.as_ref().and_then(|version| text(version, "Version")).unwrap_or_default().to_owned())
    }

    /// Queries everything about one container; `None` if it was removed since it was listed.
    async fn ask(&self, listed: Value) -> Option<Asked> {
        let id = text(&listed, "Id")?.to_owned();
        let path = format!("/containers/{id}/json");
        let asking = async { futures::join!(get(&self.socket, &path), self.reading(&id)) };
        let (inspected, stats) = match tokio::time::timeout(CONTAINER_TIMEOUT, asking).await {
            Ok((Ok(None), _)) => return None,
            Ok((inspected, stats)) => (inspected.ok().flatten(), stats),
            Err(_) => (None, None),
        };
        let inspected = inspected.unwrap_or_default();
        let running = inspected.pointer("/State/Running").and_then(Value::as_bool).unwrap_or(false);
        Some(Asked { id, listed, inspected, stats: stats.filter(|_| running) })
    }

    async fn counters(&self, listed: &[Value]) -> HashMap<String, CpuCounters> {
        let one = |id: String| async move {
            let reading = tokio::time::timeout(CONTAINER_TIMEOUT, self.reading(&id)).await.ok()??;
            Some((id, stats::cpu(&reading)?))
        };
        let ids: Vec<String> = listed.iter().filter_map(|one| text(one, "Id")).map(str::to_owned).collect();
        stream::iter(ids).map(one).buffer_unordered(AT_ONCE).filter_map(|one| async { one }).collect().await
    }

    /// Reads the counters once; without `one-shot` the engine would wait a second to compute a rate.
    async fn reading(&self, id: &str) -> Option<Value> {
        get(&self.socket, &format!("/containers/{id}/stats?stream=false&one-shot=true")).await.ok()?
    }
}

/// Answers of the engine about one container. Values that are missing or have an unexpected form are left out.
struct Asked {
    id: String,
    listed: Value,
    inspected: Value,
    stats: Option<Value>,
}

impl Asked {
    fn info(&self, before: Option<&CpuCounters>) -> ContainerInfo {
        let inspected = |path: &str| self.inspected.pointer(path);
        let words = |path: &str| inspected(path).and_then(Value::as_str).filter(|words| !words.is_empty());
        let host = inspected("/HostConfig");
        let positive = |path: &str| inspected(path).and_then(Value::as_u64).filter(|number| *number > 0);
        let state = words("/State/Status").or_else(|| text(&self.listed, "State")).unwrap_or_default();
        let listed_name = || self.listed.pointer("/Names/0").and_then(Value::as_str);
        let name = words("/Name").or_else(listed_name).unwrap_or_default().trim_start_matches('/');
        let limit = positive("/HostConfig/Memory");
        let used = self.stats.as_ref().and_then(stats::memory);
        let cpu = self.stats.as_ref().and_then(stats::cpu);
        let (pids, pids_limit) = self.stats.as_ref().map_or((None, None), stats::pids);
        let has_ended = ["exited", "stopped", "dead", "restarting"].contains(&state);
        ContainerInfo {
            id: self.id.chars().take(12).collect(),
            name: name.to_owned(),
            image: text(&self.listed, "Image").unwrap_or_default().to_owned(),
            health: words("/State/Health/Status").filter(|health| *health != "none").map(str::to_owned),
            cpu_percent: before.zip(cpu).map(|(before, now)| now.percent_since(before)),
            cpu_limit_cores: host.and_then(stats::cpu_limit),
            memory_used_bytes: used,
            memory_limit_bytes: limit,
            memory_used_percent: used.zip(limit).map(|(used, limit)| used as f64 / limit as f64 * 100.0),
            pids,
            pids_limit: positive("/HostConfig/PidsLimit").or(pids_limit),
            restarts: inspected("/RestartCount").and_then(Value::as_u64).unwrap_or(0),
            oom_killed: inspected("/State/OOMKilled").and_then(Value::as_bool).unwrap_or(false),
            exit_code: inspected("/State/ExitCode").and_then(Value::as_i64).filter(|_| has_ended),
            state: state.to_owned(),
        }
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_words_of_another_engine_lose_only_their_values() {
        let asked = |inspected: Value, stats: Option<Value>| Asked {
            id: "0123456789abcdef".into(),
            listed: json!({ "Id": "0123456789abcdef", "Image": "web:1", "State": "stopped", "Names": ["/listed"] }),
            inspected,
            stats,
        };
        // Values in Podman's form.
        let podman =
            json!({ "Name": "web", "State": { "Status": "stopped", "ExitCode": 3, "Running": false } });
        let info = asked(podman, None).info(None);
        assert_eq!((&*info.id, &*info.name, &*info.state), ("0123456789ab", "web", "stopped"));
        assert_eq!((info.exit_code, info.pids_limit), (Some(3), None));
        // Only the list: the engine did not respond for this container.
        let info = asked(Value::Null, None).info(None);
        assert_eq!((&*info.name, &*info.state, info.exit_code), ("listed", "stopped", None));
        let limited = json!({ "HostConfig": { "PidsLimit": 50, "Memory": -1 }, "State": { "Health": null } });
        let stats = json!({ "pids_stats": { "current": 48 }, "memory_stats": { "usage": "much" } });
        let info = asked(limited, Some(stats)).info(None);
        assert_eq!((info.pids, info.pids_limit, info.memory_limit_bytes), (Some(48), Some(50), None));
        assert_eq!((info.memory_used_bytes, info.health), (None, None));
    }
}
