//! The rule of a machine that is well: what is used most, so that there is an honest word about it too.

use sutazai_core::domain::Severity;

use super::RULES;
use super::draft::{Draft, Found};
use super::figures::percent;
use super::names::clean_name;
use super::rule::{Facts, Rule};

/// Nothing presses.
pub(super) const HEADROOM: Rule = Rule {
    name: "headroom",
    meaning: "Nothing presses; this is the part of the machine that has the least room left.",
    check: |facts| Vec::from_iter(headroom(facts)),
};

fn headroom(facts: &Facts<'_>) -> Option<Found> {
    let host = facts.snapshot.host.value()?;
    let others = RULES.iter().filter(|rule| rule.name != HEADROOM.name);
    if others.flat_map(|rule| (rule.check)(facts)).any(|found| found.finding.severity >= Severity::Warning) {
        return None;
    }
    let disks = host.disks.iter().filter(|disk| disk.used_percent.is_finite());
    let fullest = disks.max_by(|one, other| one.used_percent.total_cmp(&other.used_percent));
    let mut shares = vec![
        (
            "processor".to_owned(),
            "the processors".to_owned(),
            "host.cpu.used_percent".to_owned(),
            host.cpu.used_percent,
        ),
        (
            "memory".to_owned(),
            "memory".to_owned(),
            "host.memory.used_percent".to_owned(),
            host.memory.used_percent,
        ),
    ];
    if let Some(disk) = fullest {
        let mount = clean_name(&disk.mount);
        let path = format!("host.disks[{mount}].used_percent");
        shares.push((format!("disk {mount}"), format!("disk {mount}"), path, disk.used_percent));
    }
    shares.retain(|(.., share)| share.is_finite());
    shares.sort_by(|one, other| other.3.total_cmp(&one.3));
    let (resource, ..) = shares.first()?.clone();
    let mut draft = Draft::new(&HEADROOM, Severity::Info, resource);
    for (.., path, share) in &shares {
        draft = draft.context(path.clone(), *share, "percent");
    }
    let mut told = shares.iter().map(|(_, what, _, share)| format!("{what} at {}", percent(*share)));
    let most = told.next()?;
    let rest: Vec<String> = told.collect();
    let then = if rest.is_empty() { String::new() } else { format!(", then {}", rest.join(" and ")) };
    let draft = draft
        .command("See how full the file systems are.", "df -h")
        .command("See what uses the machine.", "top -b -n 1 | head -n 20");
    Some(draft.says(format!("Nothing presses; most used is {most}{then}.")))
}

#[cfg(test)]
mod tests {
    use super::super::rule::find;
    use super::super::sample::{healthy, host};
    use super::super::trends::Trends;

    #[test]
    fn a_healthy_machine_gets_one_honest_word() {
        let found = find(&healthy(), &Trends::default());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].finding.resource, "disk /");
        let summary =
            "Nothing presses; most used is disk / at 41 %, then memory at 35 % and the processors at 12 %.";
        assert_eq!(found[0].finding.summary, summary);
    }

    #[test]
    fn it_is_silent_from_the_first_warning_on() {
        for (zombies, expected) in [(0, true), (11, true), (101, false)] {
            let mut snapshot = healthy();
            host(&mut snapshot).processes.zombies = zombies;
            let found = find(&snapshot, &Trends::default());
            assert_eq!(found.iter().any(|found| found.finding.rule == "headroom"), expected, "{zombies}");
        }
        let mut snapshot = healthy();
        snapshot.host = Default::default();
        assert_eq!(find(&snapshot, &Trends::default()), []);
    }
}
