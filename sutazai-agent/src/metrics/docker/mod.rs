//! Source of the section `containers`: the containers of a Docker engine, read through its socket.
//!
//! Only lists, descriptions and counters are read; nothing is changed. All containers are queried concurrently, up to
//! 256 at once. A container that does not respond loses only its own figures, and the whole collection has a time
//! limit, so that a hanging engine blocks nothing. The formulas are those of `docker stats` (`stats`).

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::time::Instant;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream;
use serde_json::Value;
use sutazai_core::adapter::analysis_budget::{CONTAINER_TIMEOUT, SOURCE_TIMEOUT};
use sutazai_core::domain::{ContainerInfo, ContainerMetrics, EarlierValue, SnapshotPart};
use sutazai_core::ports::{Clock, MetricSource, SystemClock};
use sutazai_core::{Error, Result};
use tokio::sync::Mutex;

use super::baseline::{Baseline, FIRST_INTERVAL};
use super::missing::Missing;
use request::get;
use stats::CpuCounters;

mod request;
mod stats;

/// Maximum number of concurrent queries. It is high because an engine may take a second for each reading, most of which
/// it waits.
const AT_ONCE: usize = 256;
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
        let (listed, version) = futures::join!(engine.list(), in_time(engine.version()));
        let listed = listed?;
        let mut missing = Missing::default();
        let version = missing.keep(&["containers.engine"], version).unwrap_or_default();
        let mut baseline = self.baseline.lock().await;
        if baseline.at(Instant::now()).is_none() {
            for _ in 0..2 {
                let (now, counters) = (Instant::now(), engine.counters(&listed).await);
                baseline.push(now, counters);
                let left = FIRST_INTERVAL.saturating_sub(now.elapsed());
                SystemClock.sleep(left).await;
                if left.is_zero() {
                    // Another reading of an engine this slow would delay the report.
                    break;
                }
            }
        }
        // The lock is released, so that concurrent collections query the engine concurrently.
        drop(baseline);
        let now = Instant::now();
        let asking = stream::iter(listed).map(|one| engine.ask(one)).buffer_unordered(AT_ONCE);
        let asked: Vec<Asked> = asking.filter_map(|one| async { one }).collect().await;
        let time = SystemClock.now();
        let mut baseline = self.baseline.lock().await;
        let readings = baseline.readings(now);
        let before = readings.last().map(|(_, counters)| *counters);
        let mut containers: Vec<ContainerInfo> =
            asked.iter().map(|one| one.info(before.and_then(|before| before.get(&one.id)), time)).collect();
        let earlier = asked.iter().filter_map(|one| one.earlier_share(&readings)).collect();
        let counted = asked
            .iter()
            .filter_map(|one| Some((one.id.clone(), stats::cpu(one.stats.as_ref().ok()?.as_ref()?)?)));
        baseline.push(now, counted.collect());
        for one in &asked {
            one.add_missing(&mut missing);
        }
        containers.sort_by_cached_key(|one| (one.state != "running", one.name.clone()));
        Ok(ContainerMetrics {
            engine: format!("docker {version}").trim_end().to_owned(),
            running: containers.iter().filter(|one| one.state == "running").count() as u32,
            total: containers.len() as u32,
            containers,
            earlier,
            missing: missing.into_figures(),
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
        match tokio::time::timeout(SOURCE_TIMEOUT, self.measure()).await {
            Ok(measured) => measured.map(SnapshotPart::Containers),
            Err(_) => {
                Err(Error::unavailable(format!("the Docker engine did not answer within {SOURCE_TIMEOUT:?}")))
            }
        }
    }
}

/// Returns the answer of the engine to one request, if it comes in time.
async fn in_time<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(CONTAINER_TIMEOUT, answer).await.unwrap_or_else(|_| {
        Err(Error::unavailable(format!("the Docker engine did not answer within {CONTAINER_TIMEOUT:?}")))
    })
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
        // If a request is late, the state is known from the list all the same.
        let (inspected, stats) =
            futures::join!(in_time(get(&self.socket, &path)), in_time(self.reading(&id)));
        let inspected = match inspected {
            Ok(inspected) => Ok(inspected?),
            Err(e) => Err(e.message().to_owned()),
        };
        let running = match &inspected {
            Ok(inspected) => inspected.pointer("/State/Running").and_then(Value::as_bool).unwrap_or(false),
            Err(_) => text(&listed, "State") == Some("running"),
        };
        let stats = stats.map_err(|e| e.message().to_owned());
        Some(Asked { id, listed, inspected, stats: if running { stats } else { Ok(None) } })
    }

    async fn counters(&self, listed: &[Value]) -> HashMap<String, CpuCounters> {
        let one = |id: String| async move {
            let reading = in_time(self.reading(&id)).await.ok()??;
            Some((id, stats::cpu(&reading)?))
        };
        let ids: Vec<String> = listed.iter().filter_map(|one| text(one, "Id")).map(str::to_owned).collect();
        stream::iter(ids).map(one).buffer_unordered(AT_ONCE).filter_map(|one| async { one }).collect().await
    }

    /// Reads the counters once; without `one-shot` the engine would wait a second to compute a rate.
    async fn reading(&self, id: &str) -> Result<Option<Value>> {
        get(&self.socket, &format!("/containers/{id}/stats?stream=false&one-shot=true")).await
    }
}

/// Answers of the engine about one container, or the reasons why there are none. Values that are missing or have an
/// unexpected form are left out.
struct Asked {
    id: String,
    listed: Value,
    inspected: std::result::Result<Value, String>,
    /// Only of a container that runs.
    stats: std::result::Result<Option<Value>, String>,
}

/// Figures that come from the description of a container, and from its statistics.
const DESCRIBED: [&str; 9] = [
    "cpu_limit_cores",
    "exit_code",
    "finished_seconds_ago",
    "health",
    "memory_limit_bytes",
    "oom_killed",
    "pids_limit",
    "restarts",
    "started_seconds_ago",
];
const COUNTED: [&str; 3] = ["cpu_percent", "memory_used_bytes", "pids"];

impl Asked {
    /// Adds the figures that the engine did not provide.
    fn add_missing(&self, missing: &mut Missing) {
        let mut add = |figures: &[&str], reason: &String| {
            let paths: Vec<String> =
                figures.iter().map(|figure| format!("containers[{}].{figure}", self.name())).collect();
            missing.add(&paths.iter().map(String::as_str).collect::<Vec<_>>(), reason);
        };
        if let Err(reason) = &self.inspected {
            add(&DESCRIBED, reason);
        }
        if let Err(reason) = &self.stats {
            add(&COUNTED, reason);
        }
    }

    fn words(&self, path: &str) -> Option<&str> {
        let words = self.inspected.as_ref().ok()?.pointer(path)?.as_str();
        words.filter(|words| !words.is_empty())
    }

    fn name(&self) -> &str {
        let listed = || self.listed.pointer("/Names/0").and_then(Value::as_str);
        self.words("/Name").or_else(listed).unwrap_or_default().trim_start_matches('/')
    }

    /// Returns the use of processors between the two readings before this one.
    fn earlier_share(&self, readings: &[(f64, &HashMap<String, CpuCounters>)]) -> Option<EarlierValue> {
        let [(_, first), (seconds_ago, then)] = readings else { return None };
        let value = then.get(&self.id)?.percent_since(first.get(&self.id)?);
        let series = format!("containers[{}].cpu_percent", self.name());
        Some(EarlierValue { series, seconds_ago: *seconds_ago, value })
    }

    fn info(&self, before: Option<&CpuCounters>, now: DateTime<Utc>) -> ContainerInfo {
        let inspected = |path: &str| self.inspected.as_ref().ok()?.pointer(path);
        let stats = self.stats.as_ref().ok().and_then(Option::as_ref);
        let words = |path: &str| self.words(path);
        let ago = |path: &str| seconds_ago(words(path)?, now);
        let host = inspected("/HostConfig");
        let positive = |path: &str| inspected(path).and_then(Value::as_u64).filter(|number| *number > 0);
        let state = words("/State/Status").or_else(|| text(&self.listed, "State")).unwrap_or_default();
        let limit = positive("/HostConfig/Memory");
        let used = stats.and_then(stats::memory);
        let cpu = stats.and_then(stats::cpu);
        let (pids, pids_limit) = stats.map_or((None, None), stats::pids);
        let has_ended = ["exited", "stopped", "dead", "restarting"].contains(&state);
        ContainerInfo {
            id: self.id.chars().take(12).collect(),
            name: self.name().to_owned(),
            image: text(&self.listed, "Image").unwrap_or_default().to_owned(),
            health: words("/State/Health/Status").filter(|health| *health != "none").map(str::to_owned),
            cpu_percent: before.zip(cpu).map(|(before, now)| now.percent_since(before)),
            cpu_limit_cores: host.and_then(stats::cpu_limit),
            memory_used_bytes: used,
            memory_limit_bytes: limit,
            memory_used_percent: used.zip(limit).map(|(used, limit)| used as f64 / limit as f64 * 100.0),
            pids,
            pids_limit: positive("/HostConfig/PidsLimit").or(pids_limit),
            restarts: inspected("/RestartCount").and_then(Value::as_u64),
            oom_killed: inspected("/State/OOMKilled").and_then(Value::as_bool),
            exit_code: inspected("/State/ExitCode").and_then(Value::as_i64).filter(|_| has_ended),
            started_seconds_ago: ago("/State/StartedAt"),
            finished_seconds_ago: ago("/State/FinishedAt"),
            state: state.to_owned(),
        }
    }
}

/// Returns the age of a time in the engine's form; `None` for the year 1, which means never, and for a time in the future.
fn seconds_ago(time: &str, now: DateTime<Utc>) -> Option<u64> {
    let time = DateTime::parse_from_rfc3339(time).ok().filter(|time| time.timestamp() > 0)?;
    Some((now - time.to_utc()).to_std().ok()?.as_secs())
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
        let asked = |inspected: std::result::Result<Value, String>, stats: Option<Value>| Asked {
            id: "0123456789abcdef".into(),
            listed: json!({ "Id": "0123456789abcdef", "Image": "web:1", "State": "stopped", "Names": ["/listed"] }),
            inspected,
            stats: Ok(stats),
        };
        // Values in Podman's form.
        let podman =
            json!({ "Name": "web", "State": { "Status": "stopped", "ExitCode": 3, "Running": false } });
        let info = asked(Ok(podman), None).info(None, SystemClock.now());
        assert_eq!((&*info.id, &*info.name, &*info.state), ("0123456789ab", "web", "stopped"));
        assert_eq!((info.exit_code, info.pids_limit), (Some(3), None));
        // Only the list: the engine did not respond for this container.
        let unknown = asked(Err("it is late".into()), None);
        let info = unknown.info(None, SystemClock.now());
        assert_eq!((&*info.name, &*info.state, info.exit_code), ("listed", "stopped", None));
        assert_eq!((info.restarts, info.oom_killed), (None, None));
        let mut missing = Missing::default();
        unknown.add_missing(&mut missing);
        let [one] = &missing.into_figures()[..] else { panic!("one request failed") };
        assert!(one.figures.contains(&"containers[listed].memory_limit_bytes".to_owned()), "{one:?}");
        assert_eq!((one.figures.len(), &*one.reason), (DESCRIBED.len(), "it is late"));
        let limited = json!({ "HostConfig": { "PidsLimit": 50, "Memory": -1 }, "State": { "Health": null } });
        let stats = json!({ "pids_stats": { "current": 48 }, "memory_stats": { "usage": "much" } });
        let info = asked(Ok(limited), Some(stats)).info(None, SystemClock.now());
        assert_eq!((info.pids, info.pids_limit, info.memory_limit_bytes), (Some(48), Some(50), None));
        assert_eq!((info.memory_used_bytes, info.health), (None, None));
    }

    #[test]
    fn times_of_the_engine_are_ages() {
        let now = DateTime::parse_from_rfc3339("2026-11-21T12:00:00Z").unwrap().to_utc();
        for (time, expected) in [
            ("2026-11-21T11:59:00.987654321Z", Some(59)),
            ("2026-11-21T12:59:00+01:00", Some(60)),
            ("2026-11-21T12:00:00Z", Some(0)),
            ("2026-11-21T12:00:01Z", None),
            ("0001-01-01T00:00:00Z", None),
            ("yesterday", None),
        ] {
            assert_eq!(seconds_ago(time, now), expected, "{time}");
        }
        let state = json!({ "StartedAt": "2026-11-21T11:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z" });
        let asked = Asked {
            id: "0123456789abcdef".into(),
            listed: Value::Null,
            inspected: Ok(json!({ "Name": "/web", "State": state })),
            stats: Ok(None),
        };
        let info = asked.info(None, now);
        assert_eq!((info.started_seconds_ago, info.finished_seconds_ago), (Some(3600), None));
    }

    #[test]
    fn share_before_the_current_one_is_that_between_the_earlier_readings() {
        let asked = Asked {
            id: "0123456789abcdef".into(),
            listed: json!({ "Names": ["/web"] }),
            inspected: Err("it is late".into()),
            stats: Ok(None),
        };
        let counters = |container: u64, machine: u64| {
            let usage = json!({ "total_usage": container });
            let cpu = json!({ "cpu_usage": usage, "system_cpu_usage": machine, "online_cpus": 2 });
            HashMap::from([(asked.id.clone(), stats::cpu(&json!({ "cpu_stats": cpu })).unwrap())])
        };
        let (first, then) = (counters(0, 0), counters(50, 100));
        let series = "containers[web].cpu_percent".to_owned();
        let expected = EarlierValue { series, seconds_ago: 0.25, value: 100.0 };
        assert_eq!(asked.earlier_share(&[(0.5, &first), (0.25, &then)]), Some(expected));
        assert_eq!(asked.earlier_share(&[(0.25, &then)]), None, "one reading has no share");
        assert_eq!(asked.earlier_share(&[(0.5, &HashMap::new()), (0.25, &then)]), None, "it has just begun");
    }
}
