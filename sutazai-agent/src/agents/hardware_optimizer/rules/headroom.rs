//! Rule for a machine without warnings: names the resource that is used most.

use sutazai_core::domain::Severity;

use super::draft::{Draft, Found};
use super::figures::percent;
use super::names::clean_name;
use super::rule::{Facts, Rule};

const DISKS: [&str; 3] =
    ["See how full the file systems are.", "df -h", "Run {command} to see how full each file system is."];
const PROGRAMS: [&str; 3] = [
    "See what uses the machine.",
    "top -b -n 1 | head -n 20",
    "Run {command} to see which programs use the most processor time and memory.",
];

/// Reports the most used resource when no rule before it found a warning; it is the last of the list.
pub(super) const HEADROOM: Rule = Rule {
    name: "headroom",
    title: "Headroom",
    meaning: "No rule found a warning or worse: which of processors, memory and the fullest file system is \
              used most.",
    conditions: ["yes", "", ""],
    source: "",
    judged: &[],
    needs: &["host.cpu.used_percent", "host.memory.used_percent", "host.disks"],
    check: |facts| Vec::from_iter(headroom(facts)),
};

fn headroom(facts: &Facts<'_>) -> Option<Found> {
    let host = facts.snapshot.host.value()?;
    let disks = host.disks.iter().filter(|disk| disk.used_percent.is_finite());
    let fullest = disks.max_by(|one, other| one.used_percent.total_cmp(&other.used_percent));
    let share = |resource: &str, name: &str, path: &str, percent: Option<f64>| Share {
        resource: resource.to_owned(),
        name: name.to_owned(),
        path: path.to_owned(),
        percent: percent.unwrap_or(f64::NAN),
    };
    let mut shares = vec![
        share("processor", "the processors", "host.cpu.used_percent", host.cpu.used_percent),
        share("memory", "memory", "host.memory.used_percent", host.memory.used_percent),
    ];
    if let Some(disk) = fullest {
        let mount = clean_name(&disk.mount);
        let (name, path) = (format!("disk {mount}"), format!("host.disks[{mount}].used_percent"));
        shares.push(share(&name, &name, &path, Some(disk.used_percent)));
    }
    shares.retain(|share| share.percent.is_finite());
    facts.look_at(shares.len());
    if facts.worst_found >= Some(Severity::Warning) {
        return None;
    }
    shares.sort_by(|one, other| other.percent.total_cmp(&one.percent));
    let first = shares.first()?;
    let mut draft = Draft::new(&HEADROOM, Severity::Info, first.resource.clone());
    for share in &shares {
        draft = draft.context(share.path.clone(), share.percent, "percent");
    }
    let at: Vec<String> =
        shares.iter().map(|share| format!("{} at {}", share.name, percent(share.percent))).collect();
    let (most, rest) = at.split_first()?;
    let then = if rest.is_empty() { String::new() } else { format!(", followed by {}", rest.join(" and ")) };
    let draft = draft
        .statements([
            format!("There are no warnings; the highest use is {most}{then}."),
            format!("There are no warnings, and the most used resource is {most}."),
        ])
        .consequences(&[
            "When the load grows, the most used resource is likely to be the first one that becomes short.",
            "These values can serve as a baseline for later measurements.",
        ]);
    let commands = if first.resource.starts_with("disk") { [DISKS, PROGRAMS] } else { [PROGRAMS, DISKS] };
    let draft = commands
        .into_iter()
        .fold(draft, |draft, [text, command, advice]| draft.command(text, command, advice));
    let found = draft
        .advice("Look at these values from time to time, so that slow growth is noticed early.")
        .finish("there are no warnings");
    Some(found)
}

/// Used share of a resource in percent.
struct Share {
    /// Name of the resource in the finding.
    resource: String,
    /// Name of the resource in a sentence.
    name: String,
    /// Path of its metric.
    path: String,
    percent: f64,
}

#[cfg(test)]
mod tests {
    use super::super::examine::find;
    use super::super::sample::{healthy, host};
    use super::super::trends::Trends;

    #[test]
    fn healthy_machine_has_one_finding() {
        let found = find(&healthy(), &Trends::default());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].finding.resource, "disk /");
        let summary = "There are no warnings; the highest use is disk / at 41 %, followed by memory at 35 % and the processors \
                       at 12 %.";
        assert_eq!(found[0].finding.summary, summary);
    }

    #[test]
    fn any_warning_suppresses_headroom() {
        for (zombies, expected) in [(0, true), (11, true), (101, false)] {
            let mut snapshot = healthy();
            let processes = host(&mut snapshot).processes.as_mut().unwrap();
            (processes.zombies, processes.lasting_zombies) = (Some(zombies), Some(zombies));
            let found = find(&snapshot, &Trends::default());
            assert_eq!(found.iter().any(|found| found.finding.rule == "headroom"), expected, "{zombies}");
        }
        let mut snapshot = healthy();
        snapshot.host = Default::default();
        assert_eq!(find(&snapshot, &Trends::default()), []);
    }
}
