//! Real faults of a machine, and the findings of `sutazai analyze` about them.
//!
//! Each scenario is a Bash script that causes one fault and then calls `analyze`, which runs the real binary.
//! It runs in a mount and a process namespace of its own: whatever happens to the test, the kernel ends all
//! processes of the script and removes its mounts. A scenario that this kernel or user cannot cause ends with
//! `cannot REASON`; the table names it, and the suite fails if a usual machine (root on Debian 12 with the
//! packages of `scripts/install.sh test`) can cause it.
//!
//! Control groups and settings of the kernel belong to no namespace. The [guard](guard::Guard) removes or
//! restores them afterwards, also if the test is killed.
//!
//! A new scenario is an entry in the table of its subject, in a file of this folder. Functions that only it
//! needs belong into its own script, not into [`PRELUDE`].

mod analyzer;
mod disks;
mod groups;
mod guard;
mod limits;
mod names;
mod network;
mod processes;
mod table;

use std::cell::RefCell;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use sutazai_core::adapter::analysis_budget::REPORT_TIMEOUT;

use crate::support::{Place, text};
use guard::{Guard, unshared};
use table::Table;

/// Tables of scenarios by subject.
const TABLES: &[&[Scenario]] = &[
    analyzer::SCENARIOS,
    disks::SCENARIOS,
    groups::SCENARIOS,
    limits::SCENARIOS,
    names::SCENARIOS,
    network::SCENARIOS,
    processes::SCENARIOS,
];

/// Upper bound of a scenario, including what causes its fault, against hangs.
const SCENARIO_LIMIT: Duration = Duration::from_secs(60);
/// Time that a report may take beyond what the product promises, on a slow machine on which other tests run.
const SLOW_MACHINE_ALLOWANCE: Duration = Duration::from_secs(4);
/// Upper bound of an analysis.
const REPORT_LIMIT: Duration = REPORT_TIMEOUT.saturating_add(SLOW_MACHINE_ALLOWANCE);
/// Attempts at a scenario. What a scenario injects competes with the other tests for the processors, so a single
/// attempt can miss it.
const ATTEMPTS: usize = 5;
/// Exit code of a script that cannot cause its fault.
const CANNOT: i32 = 77;

/// Beginning of every script. `$PLACE` is an empty folder, `$SUTAZAI` the binary, `$NAME` a name that no
/// other run uses, for objects outside the namespaces. The database is `$PLACE/data/sutazai.db`.
const PRELUDE: &str = r#"
set -u
cannot() { echo "$*" >"$PLACE/cannot"; exit 77; }
# Runs a command; ends the scenario if the machine cannot run it.
need() { "$@" >"$PLACE/need" 2>&1 || cannot "$*: $(tail -n 1 "$PLACE/need")"; }
# Runs `sutazai analyze --json` with more settings, as in `analyze NAME=value`, and only the three standard descriptors.
analyze() {
    local begun=$EPOCHREALTIME
    env "$@" "${AS[@]}" "$SUTAZAI" analyze --json --no-model >"$PLACE/report" 2>"$PLACE/errors" 3>&-
    echo $? >"$PLACE/status"
    echo $(( ${EPOCHREALTIME/./} - ${begun/./} )) >"$PLACE/microseconds"
}
# Command that runs the binary, such as `setpriv`.
AS=()
# Creates an ext4 file system of `$1` MiB in a file and mounts it at `$PLACE/$2` with the options `$3`.
ext4() {
    truncate -s "$1M" "$PLACE/$2.img"
    need mkfs.ext4 -q -F -b "${4:-4096}" -m 0 "$PLACE/$2.img"
    mkdir -p "$PLACE/$2"
    need mount -o "loop,$3" "$PLACE/$2.img" "$PLACE/$2"
}
# Makes a file unreadable, also for root: nobody can open a socket in its place.
hide() {
    [ -e "$1" ] || cannot "there is no $1"
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$PLACE/socket"
    need mount --bind "$PLACE/socket" "$1"
    rm "$PLACE/socket"
}
# Puts a temperature sensor that never responds in place of those of the machine.
silent_sensor() {
    need mount -t tmpfs tmpfs /sys/class
    mkdir -p /sys/class/hwmon/hwmon0
    mkfifo /sys/class/hwmon/hwmon0/temp1_input
}
# Writes until the file system is full.
fill() { dd if=/dev/zero of="$1/fill" bs=64k 2>/dev/null; sync -f "$1"; dd if=/dev/zero of="$1/fill2" bs=512 2>/dev/null; sync -f "$1"; }
# Mounts a FUSE file system with this source at `$PLACE/hung`; no process reads its requests.
mount_fuse() {
    [ -e /dev/fuse ] || cannot "there is no /dev/fuse"
    mkdir "$PLACE/hung"
    exec 3<>/dev/fuse
    need mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 "$1" "$PLACE/hung"
}
# Mounts it with a server that answers only the kernel's first request: processes that wait then cannot be interrupted.
hang() {
    mount_fuse "$1"
    python3 -c '
import os, struct
request = os.read(3, 1 << 20)
unique = struct.unpack_from("<IIQ", request)[2]
answer = struct.pack("<IIIIHHIIHHIIHHI", 7, 31, 0, 0, 12, 9, 131072, 1, 32, 0, 0, 0, 0, 0, 0)
answer = answer.ljust(64, bytes(1))
os.write(3, struct.pack("<IiQ", 16 + len(answer), 0, unique) + answer)
while True:
    os.read(3, 1 << 20)
' &
}
# Starts a Docker engine at `$PLACE/docker.sock` that accepts connections and never answers.
silent_docker() {
    python3 -c '
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(64)
held = []
while True:
    held.append(listener.accept())
' "$PLACE/docker.sock" 3>&- &
    until [ -S "$PLACE/docker.sock" ]; do sleep 0.05; done
}
mkdir -p "$PLACE/data"
"#;

/// One fault and the expected report.
pub(crate) struct Scenario {
    /// Short description of the fault.
    name: &'static str,
    /// True if the fault can occur on any machine.
    usual: bool,
    /// Causes the fault and calls `analyze`.
    script: &'static str,
    /// Checks the report; the error says what is wrong.
    expect: fn(&Report) -> Result<(), String>,
}

/// Report of an analysis, and its standard error.
pub(crate) struct Report {
    json: Value,
    errors: String,
    /// Parts of the report that were asked for, for the table.
    found: RefCell<Vec<String>>,
}

impl Report {
    /// Returns the findings of a rule.
    fn findings(&self, rule: &str) -> Vec<&Value> {
        let all = self.json["findings"].as_array().into_iter().flatten();
        all.filter(|finding| finding["rule"] == rule).collect()
    }

    /// Returns the finding of a rule whose summary contains these words.
    fn finding(&self, rule: &str, words: &[&str]) -> Result<&Value, String> {
        let found = self.findings(rule);
        let says = |finding: &&&Value| {
            let summary = finding["summary"].as_str().unwrap_or_default();
            words.iter().all(|word| summary.contains(word))
        };
        let finding = found.iter().find(says).copied().ok_or_else(|| {
            let summaries: Vec<_> = found.iter().map(|finding| &finding["summary"]).collect();
            format!(
                "no finding {rule} with {words:?}; those of the rule: {summaries:?}; all: {:?}",
                self.rules()
            )
        })?;
        self.note_found(format!("`{rule}`: {}", finding["summary"].as_str().unwrap_or_default()));
        Ok(finding)
    }

    fn note_found(&self, part: String) {
        self.found.borrow_mut().push(part);
    }

    /// Checks that no finding of this rule contains this word in its summary.
    fn lacks(&self, rule: &str, word: &str) -> Result<(), String> {
        let summaries = self.findings(rule).into_iter().filter_map(|finding| finding["summary"].as_str());
        match summaries.into_iter().find(|summary| summary.contains(word)) {
            Some(summary) => Err(format!("a false finding: {summary}")),
            None => Ok(()),
        }
    }

    /// Returns the rule of each finding.
    fn rules(&self) -> Vec<&str> {
        let all = self.json["findings"].as_array().into_iter().flatten();
        all.filter_map(|finding| finding["rule"].as_str()).collect()
    }

    /// Checks that a note of the report contains these words.
    fn notes(&self, words: &[&str]) -> Result<(), String> {
        let notes = self.json["notes"].as_array().cloned().unwrap_or_default();
        let says = |note: &&str| words.iter().all(|word| note.contains(word));
        let note = notes.iter().filter_map(Value::as_str).find(says);
        let note = note.ok_or_else(|| format!("no note with {words:?}: {notes:?}"))?;
        self.note_found(note.to_owned());
        Ok(())
    }

    /// Checks that a section was measured.
    fn measured(&self, section: &str) -> Result<(), String> {
        let section = &self.json["metrics"][section];
        if section["status"] == "present" { Ok(()) } else { Err(format!("not measured: {section}")) }
    }

    /// Checks that a present section lacks this figure, for a reason with this word.
    fn lacks_figure(&self, section: &str, figure: &str, word: &str) -> Result<(), String> {
        self.measured(section)?;
        let missing = &self.json["metrics"][section]["value"]["missing"];
        let is_named = |one: &Value| {
            let figures = one["figures"].as_array().into_iter().flatten();
            figures.into_iter().any(|path| path == figure)
                && one["reason"].as_str().is_some_and(|reason| reason.contains(word))
        };
        let found = missing.as_array().is_some_and(|missing| missing.iter().any(is_named));
        if found { Ok(()) } else { Err(format!("{figure} is not missing for {word:?}: {missing}")) }
    }

    /// Checks that a section is missing for a reason with these words.
    fn missing(&self, section: &str, words: &[&str]) -> Result<(), String> {
        let reason = self.json["metrics"][section]["reason"].as_str().unwrap_or_default();
        if !words.iter().all(|word| reason.contains(word)) {
            return Err(format!("{section} is not missing for {words:?}: {reason:?}"));
        }
        self.note_found(format!("`{section}` missing: {reason}"));
        Ok(())
    }
}

/// Result of a scenario.
enum Ended {
    Good(Vec<String>, Duration),
    Wrong(String),
    Cannot(String),
}

#[test]
fn injected_faults_are_found_and_do_not_stop_the_analyzer() {
    let able = Command::new("unshare").args(["--mount", "true"]).output();
    let able = able.is_ok_and(|output| output.status.success());
    assert!(
        able || !rustix::process::geteuid().is_root(),
        "root may make a mount namespace, but `unshare` failed"
    );
    let mut wrong = Vec::new();
    let mut table = Table::default();
    for scenario in TABLES.iter().copied().flatten() {
        if !able {
            table.impossible(scenario.name, "this user may not create a mount namespace");
            continue;
        }
        match play_until_good(scenario) {
            Ended::Good(found, took) => table.found(scenario.name, &found, took),
            Ended::Cannot(why) => {
                table.impossible(scenario.name, &why);
                if scenario.usual {
                    wrong.push(format!("{}: {why}", scenario.name));
                }
            }
            Ended::Wrong(why) => {
                table.wrong(scenario.name, &why);
                wrong.push(format!("{}: {why}", scenario.name));
            }
        }
    }
    table.publish();
    assert!(wrong.is_empty(), "{} scenarios failed:\n{}", wrong.len(), wrong.join("\n"));
}

/// Plays a scenario again while its result is wrong, and returns the last result.
fn play_until_good(scenario: &Scenario) -> Ended {
    let mut ended = play(scenario);
    for _ in 1..ATTEMPTS {
        let Ended::Wrong(why) = &ended else { break };
        eprintln!("{}, once more after: {why}", scenario.name);
        ended = play(scenario);
    }
    ended
}

fn play(scenario: &Scenario) -> Ended {
    let place = Place::new();
    let output = run(&place, scenario);
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap_or_default();
    match output.status.code() {
        Some(CANNOT) => return Ended::Cannot(read("cannot").trim().to_owned()),
        Some(0) => {}
        code => {
            return Ended::Wrong(format!("the script ended with {code:?}: {}", text(&output.stderr).trim()));
        }
    }
    let errors = read("errors");
    if read("status").trim() != "0" {
        return Ended::Wrong(format!("`analyze` ended with {}: {}", read("status").trim(), errors.trim()));
    }
    let took = Duration::from_micros(read("microseconds").trim().parse().unwrap_or(u64::MAX));
    if took > REPORT_LIMIT {
        return Ended::Wrong(format!("the report took {took:?}"));
    }
    let json = match serde_json::from_str(&read("report")) {
        Ok(json) => json,
        Err(e) => return Ended::Wrong(format!("no report ({e}): {}", errors.trim())),
    };
    let report = Report { json, errors, found: RefCell::default() };
    match (scenario.expect)(&report) {
        Ok(()) => Ended::Good(report.found.into_inner(), took),
        Err(why) => Ended::Wrong(why),
    }
}

fn run(place: &Place, scenario: &Scenario) -> Output {
    let mut command = unshared(&format!("{PRELUDE}\n{}", scenario.script));
    let settings = place.settings().into_iter().filter(|(name, _)| name != "DATABASE_URL");
    command
        .envs(settings)
        .env("LD_LIBRARY_PATH", std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default())
        .env("PLACE", place.path(""))
        .env("SUTAZAI", Path::new(env!("CARGO_BIN_EXE_sutazai")))
        .env("NAME", format!("sutazai-injected-{}", std::process::id()))
        .env("DATABASE_URL", format!("sqlite://{}", place.path("data/sutazai.db").display()));
    Guard::start(&command).output(SCENARIO_LIMIT)
}
