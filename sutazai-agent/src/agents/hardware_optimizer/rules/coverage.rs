//! Extent to which a rule could be run: the number of things that it judged, or the reason for which it judged none.

use sutazai_core::domain::{CheckedRule, MissingFigures, Section, Snapshot};

use super::rule::{Facts, Rule};

/// Reason of a rule that judges changes.
const TOO_FEW_READINGS: &str = "there are too few readings to judge by, because the history is too short";

/// Takes the record of the rule that was run last.
///
/// A rule that judged nothing has no reason if there was nothing of its kind, such as no container.
pub(super) fn of(rule: &Rule, facts: &Facts<'_>) -> CheckedRule {
    let (looked_at, lacks_readings) = facts.take_record();
    let reason = || {
        let missing = rule.needs.iter().find_map(|figure| missing(facts.snapshot, figure));
        missing.or_else(|| lacks_readings.then_some(TOO_FEW_READINGS)).map(str::to_owned)
    };
    CheckedRule {
        rule: rule.name.to_owned(),
        looked_at: u32::try_from(looked_at).unwrap_or(u32::MAX),
        reason: if looked_at == 0 { reason() } else { None },
    }
}

impl Facts<'_> {
    /// Returns whether the snapshot has at least one of the figures that the rule needs.
    pub(super) fn can_run(&self, rule: &Rule) -> bool {
        rule.needs.iter().any(|figure| missing(self.snapshot, figure).is_none())
    }
}

/// Returns the reason for which a figure was not measured; `None` if it was.
fn missing<'a>(snapshot: &'a Snapshot, figure: &str) -> Option<&'a str> {
    let (section, _) = figure.split_once('.').unwrap_or((figure, ""));
    let listed = match section {
        "host" => listed(&snapshot.host, |host| host.missing.iter().collect()),
        "pressure" => listed(&snapshot.pressure, |pressure| pressure.missing.iter().collect()),
        "cgroup" => listed(&snapshot.cgroup, |group| group.missing.iter().collect()),
        "containers" => listed(&snapshot.containers, |engine| engine.missing.iter().collect()),
        _ => listed(&snapshot.gpus, |gpus| gpus.iter().flat_map(|gpu| &gpu.missing).collect()),
    };
    match listed {
        Err(reason) => Some(reason),
        Ok(listed) => listed
            .into_iter()
            .find(|missing| missing.figures.iter().any(|other| includes(other, figure)))
            .map(|missing| missing.reason.as_str()),
    }
}

/// Returns the missing figures of a section, or the reason for which it is missing as a whole.
fn listed<'a, T>(
    section: &'a Section<T>,
    missing: impl Fn(&'a T) -> Vec<&'a MissingFigures>,
) -> Result<Vec<&'a MissingFigures>, &'a str> {
    match section {
        Section::Present { value } => Ok(missing(value)),
        Section::Missing { reason } => Err(reason),
    }
}

/// Returns whether a missing figure, or group of figures, includes this one.
fn includes(missing: &str, figure: &str) -> bool {
    // The limits of the kernel have their kind in brackets, everything else the name of one thing.
    let plain = match (missing.split_once('['), missing.split_once(']')) {
        (Some((before, _)), Some((_, after))) if before != "host.limits" => format!("{before}{after}"),
        _ => missing.to_owned(),
    };
    figure.strip_prefix(plain.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::GpuMetrics;

    use super::super::sample::{gpus, healthy, host};
    use super::super::{RULES, Trends, examine};
    use super::*;

    fn checked(snapshot: &Snapshot, rule: &str) -> (u32, Option<String>) {
        let checked = examine(snapshot, &Trends::default()).checked;
        let one = checked.into_iter().find(|one| one.rule == rule).unwrap();
        (one.looked_at, one.reason)
    }

    fn lacking(figures: &[&str]) -> Vec<MissingFigures> {
        let figures = figures.iter().map(|figure| (*figure).to_owned()).collect();
        vec![MissingFigures { figures, reason: "it cannot be read".into() }]
    }

    #[test]
    fn every_rule_is_listed_once_in_order() {
        let checked = examine(&healthy(), &Trends::default()).checked;
        let names: Vec<&str> = checked.iter().map(|one| one.rule.as_str()).collect();
        assert_eq!(names, RULES.iter().map(|rule| rule.name).collect::<Vec<_>>());
    }

    #[test]
    fn things_are_counted_whether_or_not_they_are_found() {
        let mut snapshot = healthy();
        let disk = host(&mut snapshot).disks[0].clone();
        let mut image = disk.clone();
        (image.read_only, image.used_percent) = (true, 100.0);
        let mut full = disk.clone();
        full.used_percent = 99.0;
        host(&mut snapshot).disks = vec![disk, image, full];
        assert_eq!(checked(&snapshot, "disk_space"), (2, None), "the read-only one is left out");
        assert_eq!(checked(&snapshot, "disk_read_only"), (3, None));
        assert_eq!(checked(&snapshot, "memory_low"), (1, None));
        assert_eq!(checked(&snapshot, "tmpfs_space"), (0, None), "there is none");
    }

    #[test]
    fn missing_section_is_the_reason_of_its_rules() {
        let mut snapshot = healthy();
        snapshot.containers = Section::missing("there is no Docker socket");
        snapshot.gpus = Section::missing("no driver");
        for (rule, reason) in [
            ("container_exited", "there is no Docker socket"),
            ("container_cpu_near_limit", "there is no Docker socket"),
            ("gpu_memory", "no driver"),
        ] {
            assert_eq!(checked(&snapshot, rule), (0, Some(reason.to_owned())), "{rule}");
        }
        assert_eq!(checked(&snapshot, "disk_space").1, None);
        let nothing = Snapshot::empty(snapshot.taken_at);
        for one in examine(&nothing, &Trends::default()).checked {
            assert_eq!((one.looked_at, one.reason.is_some()), (0, true), "{}", one.rule);
        }
    }

    #[test]
    fn missing_figure_is_the_reason_of_the_rules_that_need_it() {
        let reason = || Some("it cannot be read".to_owned());
        let mut snapshot = healthy();
        let machine = host(&mut snapshot);
        machine.missing = lacking(&["host.cpu.steal_percent", "host.disks", "host.limits[listen_queue]"]);
        machine.cpu.steal_percent = None;
        machine.disks.clear();
        assert_eq!(checked(&snapshot, "steal"), (0, reason()));
        assert_eq!(checked(&snapshot, "inodes"), (0, reason()), "a group of figures includes each");
        assert_eq!(checked(&snapshot, "listen_queue_full"), (0, reason()));
        assert_eq!(checked(&snapshot, "time_wait_near_limit"), (1, None), "another limit");
        let unknown = GpuMetrics {
            memory_used_bytes: None,
            missing: lacking(&["gpus[0].memory_used_bytes"]),
            ..gpus(&mut snapshot)[0].clone()
        };
        *gpus(&mut snapshot) = vec![unknown];
        assert_eq!(checked(&snapshot, "gpu_memory"), (0, reason()));
        assert_eq!(checked(&snapshot, "gpu_temperature"), (1, None));
    }

    #[test]
    fn changes_need_several_readings() {
        let reason = || Some(TOO_FEW_READINGS.to_owned());
        let mut snapshot = healthy();
        let machine = host(&mut snapshot);
        machine.earlier.clear();
        machine.networks[0].packets = 10;
        for rule in ["disk_trend_full", "network_errors", "network_link_changes", "tcp_retransmissions"] {
            assert_eq!(checked(&snapshot, rule), (0, reason()), "{rule}");
        }
    }
}
