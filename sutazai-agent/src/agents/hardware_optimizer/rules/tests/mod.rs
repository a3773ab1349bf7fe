//! Properties that hold for all rules together.

use std::collections::HashSet;

use proptest::prelude::*;
use sutazai_core::domain::{
    BoundOperation, DeletedFiles, EarlierValue, Finding, PressureMetrics, RelativeBound, RuleBounds, Section,
    Severity, Snapshot, TcpMetrics,
};

use super::sample::{cgroup, containers, gpus, healthy, host, pressure, sick};
use super::*;

mod cases;
mod texts;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rules.md");

fn of_pressure(snapshot: &mut Snapshot) -> &mut PressureMetrics {
    match &mut snapshot.pressure {
        Section::Present { value } => value,
        Section::Missing { reason } => panic!("the section is missing: {reason}"),
    }
}

fn found(snapshot: &Snapshot) -> Vec<Finding> {
    find(snapshot, &Trends::default()).into_iter().map(|found| found.finding).collect()
}

#[test]
fn every_rule_is_documented() {
    let docs = std::fs::read_to_string(DOCS).unwrap();
    let entries: Vec<&str> =
        docs.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let names: HashSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len(), "a name is there twice");
    assert_eq!(entries.iter().copied().collect::<HashSet<_>>(), names, "docs/rules.md has other rules");
    assert_eq!(entries.len(), names.len(), "docs/rules.md has a rule twice");
    assert!(RULES.len() >= 26);
    for rule in RULES {
        assert!(rule.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", rule.name);
        let cells = [rule.meaning, rule.conditions[0], rule.conditions[1], rule.conditions[2], rule.source];
        let cells = cells.map(|cell| if cell.is_empty() { " |".to_owned() } else { format!(" {cell} |") });
        let row = format!("| `{}` |{}", rule.name, cells.concat());
        assert!(docs.lines().any(|line| line == row), "docs/rules.md does not have the row\n{row}");
    }
}

/// Returns the numbers of a text, such as 0.9, 4 and 95.
fn numbers(text: &str) -> Vec<f64> {
    let parts = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    parts.filter_map(|part| part.trim_end_matches('.').parse().ok()).collect()
}

#[test]
fn bounds_as_numbers_are_those_of_the_words() {
    for rule in descriptors() {
        assert!(!rule.title.is_empty() && !rule.title.ends_with('.'), "{}", rule.id);
        let words = [Some(&rule.meaning), rule.info.as_ref(), rule.warning.as_ref(), rule.critical.as_ref()];
        let named: Vec<f64> = words.into_iter().flatten().flat_map(|text| numbers(text)).collect();
        for metric in &rule.metrics {
            let RuleBounds { info, warning, critical } = metric.bounds;
            for (bound, condition) in
                [(info, &rule.info), (warning, &rule.warning), (critical, &rule.critical)]
            {
                let Some(bound) = bound else { continue };
                assert!(condition.is_some(), "{} has a bound of a severity without a condition", rule.id);
                // The words may give bytes in MiB and milliseconds in seconds, and 0 as "any".
                let ways = [bound.abs(), bound / 1_048_576.0, bound / 1000.0];
                assert!(
                    bound == 0.0 || ways.iter().any(|way| named.contains(way)),
                    "{}: {bound} is in none of the words",
                    rule.id
                );
            }
        }
    }
}

/// Returns whether this is the metric of the evidence, where `<name>` stands for any name.
fn is_metric(pattern: &str, metric: &str) -> bool {
    match (pattern.split_once('<'), pattern.split_once('>')) {
        (Some((before, _)), Some((_, after))) => metric.starts_with(before) && metric.ends_with(after),
        _ => pattern == metric,
    }
}

#[tokio::test]
async fn thresholds_of_findings_are_the_described_bounds() {
    // Their thresholds depend on the length of the history, and on the size of the process.
    const OTHERS: [&str; 2] = ["disk_trend_full", "process_grows"];
    let rules = descriptors();
    for finding in every_kind().await {
        let rule = rules.iter().find(|rule| rule.id == finding.rule).unwrap();
        let value = |pattern: &str| {
            finding.evidence.iter().find(|one| is_metric(pattern, &one.metric)).map(|one| one.value)
        };
        for evidence in finding.evidence.iter().filter(|one| one.threshold.is_some()) {
            let of_metric = rule.metrics.iter().filter(|metric| is_metric(&metric.metric, &evidence.metric));
            let bounds = of_metric.filter(|metric| metric.unit == evidence.unit).flat_map(|metric| {
                let RuleBounds { info, warning, critical } = metric.bounds;
                let resolved = |bound: f64| match &metric.relative_to {
                    None => Some(bound),
                    Some(RelativeBound { metric, operation: BoundOperation::Times }) => {
                        value(metric).map(|value| bound * value)
                    }
                    Some(RelativeBound { metric, operation: BoundOperation::Plus }) => {
                        value(metric).map(|value| bound + value)
                    }
                };
                [info, warning, critical].into_iter().flatten().filter_map(resolved).collect::<Vec<_>>()
            });
            let bounds: Vec<f64> = bounds.collect();
            assert!(
                !bounds.is_empty(),
                "{} does not describe {} in {}",
                rule.id,
                evidence.metric,
                evidence.unit
            );
            let is_described = evidence.threshold.is_some_and(|threshold| bounds.contains(&threshold));
            assert!(is_described || OTHERS.contains(&&*rule.id), "{}: {evidence:?} {bounds:?}", finding.id);
        }
    }
}

#[test]
fn missing_sections_are_not_judged() {
    assert_eq!(found(&Snapshot::empty(healthy().taken_at)), []);
}

#[test]
fn unknown_figures_are_not_judged_and_the_others_are() {
    type Forget = fn(&mut Snapshot);
    let cases: [(&str, Forget); 12] = [
        ("host.cpu.used_percent", |snapshot| host(snapshot).cpu.used_percent = None),
        ("host.cpu.iowait_percent", |snapshot| host(snapshot).cpu.iowait_percent = None),
        ("host.cpu.steal_percent", |snapshot| host(snapshot).cpu.steal_percent = None),
        ("host.memory.used_percent", |snapshot| host(snapshot).memory.used_percent = None),
        ("host.memory.total_bytes", |snapshot| host(snapshot).memory.total_bytes = None),
        ("host.swap.used_percent", |snapshot| host(snapshot).swap.used_percent = None),
        ("host.swap.in_bytes_per_second", |snapshot| host(snapshot).swap.in_memory = None),
        ("host.processes", |snapshot| host(snapshot).processes = None),
        ("host.tcp.retransmitted", |snapshot| host(snapshot).tcp.as_mut().unwrap().retransmitted = None),
        ("pressure.cpu", |snapshot| of_pressure(snapshot).cpu = None),
        ("pressure.memory", |snapshot| of_pressure(snapshot).memory = None),
        ("pressure.io", |snapshot| of_pressure(snapshot).io = None),
    ];
    let uses = |finding: &Finding, path: &str| {
        finding.evidence.iter().any(|evidence| evidence.metric.starts_with(path))
    };
    let whole = found(&sick());
    for (path, forget) in cases {
        let mut snapshot = sick();
        forget(&mut snapshot);
        let left = found(&snapshot);
        sound(&left);
        assert!(whole.iter().any(|finding| uses(finding, path)), "{path} is in no evidence");
        assert!(!left.iter().any(|finding| uses(finding, path)), "{path} was judged");
        for finding in whole.iter().filter(|finding| !uses(finding, path)) {
            let is_left = left.iter().any(|other| other.id == finding.id);
            // How much of an unknown total a part is cannot be told.
            let of_total = path == "host.memory.total_bytes"
                && ["huge_pages_unused", "process_hogs_memory"].contains(&&*finding.rule);
            assert!(is_left || of_total, "without {path} there is no {}", finding.id);
        }
    }
}

#[test]
fn sick_machine_has_every_finding_of_a_single_snapshot() {
    let found = found(&sick());
    let rules: HashSet<&str> = found.iter().map(|finding| finding.rule.as_str()).collect();
    let left: Vec<&str> = RULES.iter().map(|rule| rule.name).filter(|name| !rules.contains(name)).collect();
    // Two need history; the others exclude findings of this machine: saturation, an unsynchronized clock, swap,
    // pressure.
    assert_eq!(left, ["high_load", "disk_trend_full", "process_grows", "clock_skew", "no_swap", "headroom"]);
    assert_eq!(found[0].severity, Severity::Critical);
    sound(&found);
}

#[tokio::test]
async fn recommendations_are_safe_and_clean() {
    for finding in every_kind().await {
        assert!((1..=3).contains(&finding.remedies.len()), "{}", finding.id);
        for remedy in &finding.remedies {
            let text = &remedy.text;
            assert!(text.ends_with('.') && !text.contains(|c: char| c.is_ascii_digit()), "{text}");
            if let Some(command) = &remedy.command {
                assert!(is_safe(command), "{}: {command}", finding.id);
            }
        }
        let texts = [&finding.id, &finding.resource, &finding.summary];
        for text in texts.into_iter().chain(finding.evidence.iter().map(|evidence| &evidence.metric)) {
            let plain = |c: char| c.is_ascii_alphanumeric() || " ._/:@+-%()[],;°".contains(c);
            assert!(text.chars().all(plain), "{text:?}");
        }
    }
}

/// Returns findings of every rule: of a sick and a healthy machine, and of machines that each have one more fault.
async fn every_kind() -> Vec<Finding> {
    cases::every_kind().await.into_iter().map(|found| found.finding).collect()
}

/// Returns whether the command only reads: each part of a pipe begins with a known reader, and no character is special
/// to a shell.
fn is_safe(command: &str) -> bool {
    const READERS: [&str; 32] = [
        "cat",
        "df",
        "du",
        "findmnt",
        "free",
        "grep",
        "head",
        "iostat",
        "journalctl",
        "ls",
        "nvidia-smi",
        "ps",
        "sensors",
        "sort",
        "swapon --show",
        "systemd-cgtop",
        "tail",
        "timedatectl status",
        "timedatectl timesync-status",
        "top",
        "vmstat",
        "ip -s link",
        "ss -s",
        "ss -tin",
        "ss -tan",
        "ss -ltn",
        "ss -ltnp",
        "systemd-cgls -u",
        "docker stats",
        "docker ps",
        "docker inspect",
        "docker logs",
    ];
    let part = |part: &str| {
        let part = part.trim();
        let reads = READERS.iter().any(|reader| part == *reader || part.starts_with(&format!("{reader} ")));
        reads || (part.starts_with("find /") && !part.contains("-exec") && !part.contains("-delete"))
    };
    !command.contains([';', '&', '$', '`', '<', '>', '\n', '"', '(', '{']) && command.split('|').all(part)
}

/// Asserts what must hold for any measured values.
fn sound(found: &[Finding]) {
    let ids: HashSet<&str> = found.iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(ids.len(), found.len(), "an id is there twice");
    assert!(found.is_sorted_by(|one, next| one.severity >= next.severity), "not worst first");
    for rule in RULES {
        assert!(found.iter().filter(|finding| finding.rule == rule.name).count() <= 5, "{}", rule.name);
    }
    for finding in found {
        assert!(!finding.summary.is_empty() && !finding.evidence.is_empty(), "{finding:?}");
        let metrics: HashSet<&str> = finding.evidence.iter().map(|one| one.metric.as_str()).collect();
        assert_eq!(metrics.len(), finding.evidence.len(), "a metric is there twice: {finding:?}");
    }
    let text = serde_json::to_string(found).unwrap();
    let again: Vec<Finding> = serde_json::from_str(&text).unwrap();
    assert_eq!(again.len(), found.len());
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(0.0),
        Just(f64::MAX),
        0.0..200.0,
        any::<f64>()
    ]
}

fn whole() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX), 0..2000u64, any::<u64>()]
}

proptest! {
    #[test]
    fn arbitrary_figures_and_names_are_handled(
        numbers in proptest::collection::vec(number(), 24),
        wholes in proptest::collection::vec(whole(), 24),
        name in any::<String>(),
        copies in 0..20usize,
    ) {
        let mut snapshot = sick();
        let (n, w) = (&numbers, &wholes);
        let machine = host(&mut snapshot);
        machine.cpu.cores = w[0] as u32;
        (machine.cpu.used_percent, machine.cpu.load) = (Some(n[0]), Some([n[1], n[2], n[3]]));
        (machine.cpu.iowait_percent, machine.cpu.steal_percent) = (Some(n[4]), Some(n[5]));
        let memory = &mut machine.memory;
        (memory.total_bytes, memory.available_bytes, memory.used_percent) = (Some(w[1]), Some(w[2]), Some(n[6]));
        memory.oom_kills = Some(w[3]);
        (memory.huge_pages_bytes, memory.huge_pages_free_bytes) = (Some(w[21]), Some(w[22]));
        machine.unanswered_mounts[0].waited_seconds = n[21];
        machine.unanswered_mounts[0].mount = name.clone();
        for kill in machine.kills.logged.iter_mut().flatten() {
            (kill.seconds_ago, kill.group, kill.process) = (w[23], Some(name.clone()), name.clone());
        }
        let swap = &mut machine.swap;
        (swap.total_bytes, swap.used_percent, swap.in_bytes_per_second) = (Some(w[4]), Some(n[7]), Some(n[8]));
        let mut disk = machine.disks[0].clone();
        (disk.mount, disk.used_percent, disk.inodes_used_percent) = (name.clone(), n[9], Some(n[10]));
        (disk.available_bytes, disk.total_bytes) = (w[5], w[6]);
        let deleted = DeletedFiles { bytes: w[7], files: w[8], pid: 7, process: name.clone(), process_bytes: w[9] };
        (disk.deleted_files, disk.failed) = (Some(deleted), Some(w[10] % 2 == 0));
        machine.disks = vec![disk; copies];
        let device = &mut machine.devices[0];
        (device.name, device.latency_ms, device.operations_per_second) = (name.clone(), Some(n[11]), n[12]);
        let network = &mut machine.networks[0];
        (network.interface, network.packets) = (name.clone(), w[7]);
        (network.errors, network.drops, network.queue_drops) = (w[8], Some(w[9]), Some(w[21]));
        let mut process = machine.processes.as_mut().unwrap().top[0].clone();
        (process.name, process.memory_bytes, process.cpu_percent) = (name.clone(), w[10], n[13]);
        (process.open_files, process.open_files_limit) = (Some(w[11]), Some(w[12]));
        machine.processes.as_mut().unwrap().top = vec![process; copies];
        for (at, series) in ["host.cpu.steal_percent", "host.cpu.iowait_percent", "host.disks[/].used_bytes"].into_iter().enumerate() {
            let (seconds_ago, value) = (n[at], n[at + 4]);
            machine.earlier.push(EarlierValue { series: series.into(), seconds_ago, value });
        }
        for limit in &mut machine.limits {
            (limit.used, limit.allowed, limit.of) = (w[19], w[20], Some(name.clone()));
        }
        machine.tcp = Some(TcpMetrics { segments_sent: Some(w[21]), retransmitted: Some(w[22]), listen_overflows: Some(w[23]) });
        let sensor = &mut machine.temperatures[0];
        (sensor.label, sensor.celsius, sensor.critical_celsius) = (name.clone(), n[14], Some(n[15]));
        machine.clock.as_mut().unwrap().max_error_ms = n[16];
        let stalled = pressure(&mut snapshot);
        (stalled.cpu.some_avg60, stalled.memory.some_avg60, stalled.io.some_avg60) = (n[17], n[18], n[19]);
        (stalled.memory.full_avg60, stalled.memory.some_avg10) = (Some(n[20]), n[21]);
        let group = cgroup(&mut snapshot);
        (group.periods, group.throttled_periods) = (Some(w[13]), Some(w[14]));
        (group.memory_limit_bytes, group.memory_used_bytes) = (Some(w[15]), Some(w[16]));
        let mut container = containers(&mut snapshot)[1].clone();
        (container.name, container.id) = (name.clone(), name.clone());
        (container.memory_used_percent, container.cpu_percent) = (Some(n[22]), Some(n[23]));
        (container.memory_used_bytes, container.memory_limit_bytes) = (Some(w[17]), Some(w[18]));
        let unlimited = sutazai_core::domain::ContainerInfo { memory_limit_bytes: None, ..container.clone() };
        *containers(&mut snapshot) = vec![container; copies];
        containers(&mut snapshot).push(unlimited);
        let gpu = &mut gpus(&mut snapshot)[0];
        (gpu.name, gpu.memory_used_bytes, gpu.memory_total_bytes) = (Some(name), Some(w[19]), Some(w[20]));
        sound(&found(&snapshot));
    }
}
