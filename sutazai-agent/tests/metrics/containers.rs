//! Section `containers` compared with `docker stats`, `docker inspect` and `/sys/fs/cgroup`, on a dedicated engine.

use std::collections::HashMap;

use serde_json::Value;
use sutazai_agent::metrics::DockerMetricSource;
use sutazai_core::domain::{ContainerInfo, ContainerMetrics, SnapshotPart};
use sutazai_core::ports::MetricSource;

use super::cgroup::{grown, memory_in_use, of_process};
use super::engine::Engine;
use super::psutil::Comparison;

pub(crate) async fn collect(source: &DockerMetricSource) -> ContainerMetrics {
    match source.collect().await.unwrap() {
        SnapshotPart::Containers(containers) => containers,
        other => panic!("{other:?} is not the section `containers`"),
    }
}

fn named<'a>(metrics: &'a ContainerMetrics, name: &str) -> &'a ContainerInfo {
    metrics
        .containers
        .iter()
        .find(|one| one.name == name)
        .unwrap_or_else(|| panic!("no {name} in {metrics:?}"))
}

const MIB: f64 = 1_048_576.0;

#[tokio::test(flavor = "multi_thread")]
async fn containers_match_docker_and_the_kernel() {
    let _machine = super::MACHINE.read().await;
    let engine = Engine::start();
    engine.import("load", &[]);
    engine.import("ailing", &[r#"HEALTHCHECK --interval=1s --retries=1 CMD ["/load", "exit", "1"]"#]);
    engine.import("well", &[r#"HEALTHCHECK --interval=1s CMD ["/load", "exit", "0"]"#]);
    let memory = |mib: &'static str| ["--memory", mib, "--memory-swap", mib];
    engine.run("limited", &[&memory("64m")[..], &["--pids-limit", "40"]].concat(), "load", &["eat", "40"]);
    engine.run("unlimited", &[], "load", &["eat", "25"]);
    engine.run("burning", &["--cpus", "0.5"], "load", &["burn"]);
    engine.run("paused", &[], "load", &["sleep"]);
    engine.docker(&["pause", "paused"]);
    engine.run("killed", &memory("32m"), "load", &["eat", "200"]);
    engine.run("again", &["--restart", "always"], "load", &["exit", "7"]);
    engine.run("ended", &[], "load", &["exit", "3"]);
    engine.run("unhealthy", &[], "ailing", &["sleep"]);
    engine.run("healthy", &[], "well", &["sleep"]);
    engine.docker(&["create", "--network", "none", "--name", "created", "load", "/load"]);
    engine.until("killed", |one| one["State"]["Status"] == "exited").await;
    engine.until("ended", |one| one["State"]["Status"] == "exited").await;
    engine.until("unhealthy", |one| one["State"]["Health"]["Status"] == "unhealthy").await;
    engine.until("healthy", |one| one["State"]["Health"]["Status"] == "healthy").await;
    engine.until("again", |one| one["RestartCount"].as_u64() >= Some(3)).await;

    grown(engine.pid("limited"), 40).await;
    grown(engine.pid("unlimited"), 25).await;

    let source = DockerMetricSource::with_host(engine.host());
    figures(&engine, &source).await;
    states(&engine, &source).await;
    restarts(&engine, &source).await;

    engine.docker(&["rm", "--force", "burning"]);
    let metrics = collect(&source).await;
    assert!(
        metrics.containers.iter().all(|one| one.name != "burning"),
        "a removed container stays: {metrics:?}"
    );
}

/// Compares shares and sizes; measures three times at most, because the readings are not simultaneous.
async fn figures(engine: &Engine, source: &DockerMetricSource) {
    let mut tables = String::new();
    for _ in 0..3 {
        collect(source).await;
        let stats = stats(engine);
        let metrics = collect(source).await;
        let mut comparison = Comparison::default();
        for name in ["limited", "unlimited", "burning", "paused", "unhealthy", "healthy"] {
            let (ours, (percent, used)) = (named(&metrics, name), stats[name]);
            comparison.within(&format!("{name}.cpu_percent"), ours.cpu_percent.unwrap(), percent, 5.0);
            // A container's health check starts and ends; its few hundred KiB are no size to compare.
            let floor = if ours.health.is_some() { MIB } else { 0.0 };
            let bytes = ours.memory_used_bytes.unwrap() as f64;
            comparison.near(&format!("{name}.memory (docker stats)"), bytes, used, floor);
            let kernel = memory_in_use(&of_process(engine.pid(name), "memory")) as f64;
            comparison.near(&format!("{name}.memory (kernel)"), bytes, kernel, floor);
        }
        tables = format!("{tables}\n\n{}", comparison.table());
        if comparison.holds() {
            println!("{tables}");
            let limited = named(&metrics, "limited");
            let used = limited.memory_used_bytes.unwrap() as f64 / MIB;
            assert!((40.0..44.0).contains(&used), "40 MiB are eaten: {limited:?}");
            let share = limited.memory_used_percent.unwrap();
            assert!((share - used / 64.0 * 100.0).abs() < 0.01, "{limited:?}");
            let burning = named(&metrics, "burning").cpu_percent.unwrap();
            assert!((10.0..60.0).contains(&burning), "half a processor is allowed: {burning}");
            return;
        }
    }
    panic!("what is measured is not what `docker stats` sees:{tables}");
}

/// Compares everything that is constant during the measurement.
async fn states(engine: &Engine, source: &DockerMetricSource) {
    let metrics = collect(source).await;
    assert_eq!(
        metrics.engine,
        format!("docker {}", engine.docker(&["version", "--format", "{{.Server.Version}}"]))
    );
    assert_eq!(metrics.total, 10);
    let names = |state: &str| {
        let of_state = metrics.containers.iter().filter(|one| one.state == state);
        of_state.map(|one| one.name.as_str()).collect::<Vec<_>>()
    };
    let running = names("running");
    assert!(
        ["burning", "healthy", "limited", "unhealthy", "unlimited"].iter().all(|name| running.contains(name))
    );
    assert_eq!(metrics.running as usize, running.len());
    let first: Vec<&str> = metrics.containers[..running.len()].iter().map(|one| one.name.as_str()).collect();
    assert_eq!(first, running, "running ones come first");
    for ours in metrics.containers.iter().filter(|one| one.name != "again") {
        let theirs = engine.inspect(&ours.name);
        let state = &theirs["State"];
        assert!(theirs["Id"].as_str().unwrap().starts_with(&ours.id) && ours.id.len() == 12);
        assert_eq!(theirs["Config"]["Image"], ours.image.as_str());
        assert_eq!(state["Status"], ours.state.as_str(), "{ours:?}");
        assert_eq!(state["OOMKilled"], serde_json::json!(ours.oom_killed), "{ours:?}");
        assert_eq!(state["Health"]["Status"].as_str(), ours.health.as_deref(), "{ours:?}");
        assert_eq!(theirs["RestartCount"], serde_json::json!(ours.restarts), "{ours:?}");
        let ended = ours.state == "exited";
        assert_eq!(state["ExitCode"].as_i64().filter(|_| ended), ours.exit_code, "{ours:?}");
        let counted = ours.memory_used_bytes.is_some() && ours.cpu_percent.is_some();
        assert_eq!(state["Running"], counted, "{ours:?}");
    }
    for ours in metrics.containers.iter().filter(|one| one.name != "again") {
        let (started, finished) = (ours.started_seconds_ago, ours.finished_seconds_ago);
        assert_eq!(started.is_some(), ours.state != "created", "{ours:?}");
        assert_eq!(finished.is_some(), ours.state == "exited", "{ours:?}");
        assert!(started.max(finished).is_none_or(|seconds| seconds < 600), "{ours:?}");
        assert!(started.is_none_or(|started| started >= finished.unwrap_or(0)), "{ours:?}");
    }
    let earlier = |name: &str| {
        let series = format!("containers[{name}].cpu_percent");
        metrics.earlier.iter().find(|one| one.series == series)
    };
    assert!(earlier("burning").is_some_and(|one| one.value > 5.0), "{:?}", metrics.earlier);
    assert!(earlier("ended").is_none(), "{:?}", metrics.earlier);
    let killed = named(&metrics, "killed");
    assert!(killed.oom_killed == Some(true) && killed.exit_code == Some(137), "{killed:?}");
    assert_eq!(killed.memory_limit_bytes, Some(32 << 20));
    assert_eq!(named(&metrics, "ended").exit_code, Some(3));
    assert_eq!(named(&metrics, "unlimited").memory_limit_bytes, None);
    assert_eq!(named(&metrics, "unlimited").memory_used_percent, None);
    assert_eq!(named(&metrics, "unlimited").cpu_limit_cores, None);
    assert_eq!(named(&metrics, "burning").cpu_limit_cores, Some(0.5));
}

/// Checks the container that restarts repeatedly, between two collections.
async fn restarts(engine: &Engine, source: &DockerMetricSource) {
    engine.until("again", |one| one["State"]["Status"] == "restarting").await;
    let before = engine.inspect("again");
    let metrics = collect(source).await;
    let after = engine.inspect("again");
    let (ours, count) = (named(&metrics, "again"), |one: &Value| one["RestartCount"].as_u64().unwrap());
    assert!((count(&before)..=count(&after)).contains(&ours.restarts.unwrap()), "{ours:?}");
    assert!(ours.restarts >= Some(3), "{ours:?}");
    assert!(["restarting", "running"].contains(&ours.state.as_str()), "{ours:?}");
    if ours.state == "restarting" {
        assert_eq!((ours.exit_code, ours.memory_used_bytes, ours.cpu_percent), (Some(7), None, None));
    }
}

/// Returns share of one processor and bytes of memory of each running container, as `docker stats` prints them.
fn stats(engine: &Engine) -> HashMap<String, (f64, f64)> {
    let printed = engine.docker(&["stats", "--no-stream", "--format", "{{json .}}"]);
    let one = |line: &str| {
        let stats: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| stats[key].as_str().unwrap().to_owned();
        let percent = text("CPUPerc").trim_end_matches('%').parse().unwrap();
        (text("Name"), (percent, bytes(text("MemUsage").split(" / ").next().unwrap())))
    };
    printed.lines().map(one).collect()
}

/// Parses a size as `docker stats` prints it: `40.25MiB`.
fn bytes(size: &str) -> f64 {
    let (number, unit) = size.split_at(size.find(|c: char| c.is_ascii_alphabetic()).unwrap());
    let unit = match unit {
        "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => MIB,
        "GiB" => 1024.0 * MIB,
        other => panic!("what is {other} in {size}?"),
    };
    number.parse::<f64>().unwrap() * unit
}
