//! Rule about mounts that do not respond.

use sutazai_core::domain::UnansweredMount;

use super::bounds::Bounds;
use super::draft::{Draft, Found};
use super::figures::decimal;
use super::judged::Judged;
use super::names::clean_name;
use super::rule::{Facts, Rest, Rule};

/// Seconds for which a mount has not answered how full it is. The time limit of that query is one second, and a working
/// mount answers within microseconds; one that has not answered for a minute is not just slow. Our choice.
const WAITED_SECONDS: Bounds = Bounds::new(0.9, 60.0);

const STUCK: &str = "Every program that opens a file there waits until the file system answers.";
const WAITING: (&str, &str, &str) = (
    "See which processes wait in the kernel.",
    "ps -eo state,pid,wchan,comm | grep ^D",
    "Run {command} to see which processes wait in the kernel now, and stop the work that uses this mount.",
);

/// Reports a mount that does not respond.
pub(super) const MOUNT_UNANSWERED: Rule = Rule {
    name: "mount_unanswered",
    title: "Mount without an answer",
    meaning: "A mount did not say within a second how full it is: its server or program is gone. The rest of \
              the report is complete.",
    conditions: ["", "over 0.9 s", "over 60 s, in a server"],
    source: "The same question takes microseconds; ours",
    judged: &[Judged::above(
        "host.unanswered_mounts[<mount>].waited_seconds",
        "seconds",
        WAITED_SECONDS.levels(),
    )],
    needs: &["host.unanswered_mounts"],
    check: unanswered,
};

fn unanswered(facts: &Facts<'_>) -> Vec<Found> {
    let mounts = facts.snapshot.host.value().into_iter().flat_map(|host| &host.unanswered_mounts);
    if facts.can_run(&MOUNT_UNANSWERED) {
        let answered = facts.snapshot.host.value().map_or(0, |host| host.disks.len());
        facts.look_at(answered + mounts.clone().count());
    }
    let rest = Rest {
        metric: "host.unanswered_mounts",
        things: "mounts",
        are: "not answering",
        consequence: STUCK,
        text: WAITING.0,
        command: WAITING.1,
        advice: WAITING.2,
    };
    MOUNT_UNANSWERED.worst(mounts.filter_map(one).collect(), &rest)
}

fn one(mount: &UnansweredMount) -> Option<Found> {
    let (severity, bound) = WAITED_SECONDS.grade(mount.waited_seconds)?;
    let (name, kind) = (clean_name(&mount.mount), clean_name(&mount.filesystem));
    let waited = match decimal(mount.waited_seconds) {
        one if one == "1" => "1 second".to_owned(),
        several => format!("{several} seconds"),
    };
    let found = Draft::new(&MOUNT_UNANSWERED, severity, format!("mount {name}"))
        .about(&name)
        .judged(format!("host.unanswered_mounts[{name}].waited_seconds"), mount.waited_seconds, "seconds", bound)
        .statements([
            format!("Mount {name} ({kind}) did not answer within {waited}."),
            format!("The file system at mount {name} has been asked for its size and did not answer within {waited}."),
            format!("Within {waited}, mount {name} did not say how much space it has."),
        ])
        .consequences(&[
            STUCK,
            "Programs that wait for such a mount often cannot be stopped.",
            "Its space is not part of this report, because it could not be measured.",
            "A server, a network path or a program that provides the file system may be gone.",
        ])
        .command(WAITING.0, WAITING.1, WAITING.2)
        .command(
            "See how each file system is mounted.",
            "findmnt --real",
            "Run {command} to see which program or server provides the mount.",
        )
        .remedy("Restart the program or server that provides the file system.")
        .advice("If it does not come back, unmount it lazily, so that new work does not reach it.")
        .finish(format!("mount {name} does not answer"));
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::super::rule::tests::grade;
    use super::super::sample::{around, healthy, host};
    use super::*;

    #[test]
    fn waiting_time_is_graded_by_bounds() {
        let mount = |waited_seconds| UnansweredMount {
            mount: "/mnt/share".into(),
            device: "/dev/fuse".into(),
            filesystem: "fuse.sshfs".into(),
            waited_seconds,
        };
        for (value, expected) in around(0.9, 60.0) {
            let mut snapshot = healthy();
            host(&mut snapshot).unanswered_mounts = vec![mount(value)];
            assert_eq!(grade(&MOUNT_UNANSWERED, &snapshot), expected, "{value}");
        }
        let mut snapshot = healthy();
        host(&mut snapshot).unanswered_mounts = vec![mount(0.0)];
        assert_eq!(
            grade(&MOUNT_UNANSWERED, &snapshot),
            None,
            "one that could not be asked is not said to hang"
        );
    }
}
