//! Second act: a server over SQLite, on a disk that fills up while tasks are submitted. On the full disk it
//! is killed, and then gets space again.
//!
//! The disk is a tmpfs, mounted in a mount namespace of its own, so that it disappears whatever happens. Root
//! or unprivileged user namespaces are needed.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::Api;
use crate::cluster::{free_port, last_lines, settings, until};
use crate::events;
use crate::ledger::Entry;
use crate::node::{self, AGENT};
use crate::process::Process;
use crate::record::{Record, runs};
use crate::report::Tally;

/// Role of the process that runs the act, with the disk in its namespace.
pub(crate) const ROLE: &str = "small disk";
/// Environment variable with the path of the disk.
const DISK: &str = "SUTAZAI_FAULTS_DISK";
const SIZE: &str = "16m";
/// Free space when a round begins, in bytes.
const FREE_BYTES: u64 = 1_500_000;
const ROUNDS: usize = 4;
/// Padding of a task's payload, in bytes.
const PADDING: usize = 20_000;
/// Rejections after which the disk counts as full.
const MAX_REJECTIONS: usize = 12;
const LEASE: Duration = Duration::from_secs(3);
const ACT_TIMEOUT: Duration = Duration::from_secs(120);

/// Starts the process that runs the act, and waits for it; returns whether ledger and database agree.
pub(crate) fn play() -> bool {
    let disk = tempfile::tempdir().unwrap();
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut act = Command::new("unshare")
        .arg(if root { "-m" } else { "-Urm" })
        .args(["sh", "-c", &format!("mount -t tmpfs -o size={SIZE} tmpfs \"${DISK}\" && exec \"$0\"")])
        .arg(std::env::current_exe().unwrap())
        .env(node::ROLE, ROLE)
        .env(DISK, disk.path())
        .stdin(Stdio::piped())
        .spawn()
        .expect("unshare (Debian package util-linux)");
    // The process ends when its input is closed, and waiting for it would close the input.
    let open = act.stdin.take();
    let ended = act.wait().unwrap();
    drop(open);
    ended.success()
}

/// Runs the act; returns all differences between ledger and database.
pub(crate) async fn act() -> Vec<String> {
    node::end_with_the_driver();
    let mut act = Act::open();
    let played = tokio::time::timeout(ACT_TIMEOUT, act.run()).await;
    if played.is_err() {
        act.wrong.push(format!("the act did not end in time; {}", last_lines(&act.server.log())));
    }
    act.tally.print();
    act.wrong
}

struct Act {
    server: Process,
    api: Api,
    disk: PathBuf,
    /// Folder for files of the process other than the database.
    folder: TempDir,
    next: u64,
    acknowledged: Vec<Entry>,
    /// Tasks without a response, and half of the rejected ones: sent again when there is space.
    again: Vec<u64>,
    wrong: Vec<String>,
    tally: Tally,
}

impl Act {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = PathBuf::from(std::env::var_os(DISK).unwrap());
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut settings = settings(LEASE);
        settings.push(("DATABASE_URL", format!("sqlite://{}/small.db", disk.display())));
        settings.extend([("LISTEN", listen.to_string()), ("WORKERS", "2".to_owned())]);
        let server = Process::new("server".to_owned(), "serve", folder.path(), settings);
        Self {
            server,
            api: Api::new(vec![listen]),
            disk,
            folder,
            next: 0,
            acknowledged: Vec::new(),
            again: Vec::new(),
            wrong: Vec::new(),
            tally: Tally::default(),
        }
    }

    async fn run(&mut self) {
        self.server.start();
        self.api.sign_up().await;
        for round in 0..ROUNDS {
            self.fill();
            self.submit_until_full().await;
            self.read_while_full().await;
            self.kill_and_make_space(round).await;
            for n in std::mem::take(&mut self.again) {
                let wanted = [StatusCode::ACCEPTED];
                let answer = self.api.insist("tasks", &body(n), Some(&Entry::key(n)), &wanted).await;
                self.acknowledge(n, &answer);
            }
            if !until(Duration::from_secs(30), async || self.has_settled().await).await {
                self.wrong
                    .push(format!("some tasks had not ended in time; {}", last_lines(&self.server.log())));
                return;
            }
        }
        self.compare().await;
        let ended = self.server.end(Duration::from_secs(30)).await;
        if !ended.is_some_and(|status| status.success()) {
            self.wrong.push(format!(
                "the server must end successfully: {ended:?}; {}",
                last_lines(&self.server.log())
            ));
        }
    }

    /// Writes a file that leaves little free space.
    fn fill(&self) {
        let asked = Command::new("df").args(["--output=avail", "-B1"]).arg(&self.disk).output().unwrap();
        let said = String::from_utf8(asked.stdout).unwrap();
        let free: u64 = said.lines().last().unwrap().trim().parse().unwrap();
        let ballast = vec![1; usize::try_from(free.saturating_sub(FREE_BYTES)).unwrap()];
        std::fs::write(self.disk.join("ballast"), ballast).unwrap();
    }

    async fn submit_until_full(&mut self) {
        let mut refusals = 0;
        while refusals < MAX_REJECTIONS {
            let n = self.next;
            self.next += 1;
            match self.api.post("tasks", &body(n), Some(&Entry::key(n))).await {
                Some((StatusCode::ACCEPTED, answer)) => self.acknowledge(n, &answer),
                Some((StatusCode::SERVICE_UNAVAILABLE, answer))
                    if answer["error"]["code"] == "unavailable" =>
                {
                    refusals += 1;
                    self.tally.count_fault("tasks rejected for lack of space");
                    // The others are never sent again, and must not exist.
                    if n.is_multiple_of(2) {
                        self.again.push(n);
                    }
                }
                Some((status, answer)) => {
                    self.wrong.push(format!("with a full disk a task got {status}: {answer}"));
                    refusals += 1;
                }
                None => self.again.push(n),
            }
        }
    }

    /// Asserts that stored tasks can be read while the disk is full.
    async fn read_while_full(&mut self) {
        for entry in self.acknowledged.iter().rev().take(10) {
            let read = self.api.get(&format!("tasks/{}", entry.id)).await;
            if !read.as_ref().is_some_and(|(_, task)| task["data"]["id"] == entry.id.to_string()) {
                self.wrong.push(format!("with a full disk task {} was read as {read:?}", entry.id));
            }
        }
    }

    /// Kills and restarts the server, in every other round before there is space.
    async fn kill_and_make_space(&mut self, round: usize) {
        let make_space = || std::fs::remove_file(self.disk.join("ballast")).unwrap();
        if round.is_multiple_of(2) {
            self.tally.count_fault("kill -9 on a full disk, and a start on it");
            self.server.kill();
            self.server.start();
            tokio::time::sleep(Duration::from_secs(2)).await;
            make_space();
        } else {
            self.tally.count_fault("kill -9 as soon as a full disk has space");
            make_space();
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.server.kill();
            self.server.start();
        }
    }

    fn acknowledge(&mut self, n: u64, answer: &Value) {
        let id = answer["data"]["id"].as_str().unwrap().parse().unwrap();
        self.acknowledged.push(Entry { n, id, children: 0, doomed: false });
    }

    async fn has_settled(&self) -> bool {
        for status in ["pending", "processing"] {
            let open = self.answer(&format!("tasks?limit=1&status={status}")).await;
            if open["items"] != json!([]) {
                return false;
            }
        }
        true
    }

    async fn compare(&mut self) {
        let (mut records, mut page) = (Vec::new(), "tasks?limit=100".to_owned());
        loop {
            let tasks = self.answer(&page).await;
            for task in tasks["items"].as_array().unwrap() {
                records.push(self.record(task).await);
            }
            let Some(cursor) = tasks["next_cursor"].as_str() else { break };
            page = format!("tasks?limit=100&cursor={cursor}");
        }
        for entry in &self.acknowledged {
            match records.iter().find(|record| record.id == entry.id) {
                None => self.wrong.push(format!("task {} was acknowledged but is lost", entry.id)),
                Some(record) => self.wrong.extend(record.differs(entry)),
            }
        }
        for record in &records {
            if !self.acknowledged.iter().any(|entry| entry.id == record.id) {
                self.wrong.push(format!("task {} exists, but was not acknowledged", record.id));
            }
        }
        let traces = node::traces(self.folder.path());
        let runs = runs(&traces);
        for record in &records {
            self.wrong.extend(record.contradictions(runs.get(&record.id)));
        }
        self.tally.figure("tasks acknowledged", self.acknowledged.len() as u64);
        self.tally.figure("attempts", records.iter().map(|record| record.attempt).sum());
        self.tally.figure("runs of the agent", traces.len() as u64);
        self.tally.figure("events", records.iter().map(|record| record.events.len() as u64).sum());
    }

    async fn record(&self, task: &Value) -> Record {
        let id = task["id"].as_str().unwrap();
        // Lists have neither payloads nor results.
        let task = self.answer(&format!("tasks/{id}")).await;
        let events = loop {
            if let Some(events) = self.api.stream(&format!("tasks/{id}/events")).await {
                break events::of_stream(&events);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        Record {
            id: id.parse().unwrap(),
            parent: None,
            key: task["idempotency_key"].as_str().map(str::to_owned),
            status: task["status"].as_str().unwrap().parse().unwrap(),
            attempt: task["attempt"].as_u64().unwrap(),
            n: task["payload"]["n"].as_u64().unwrap(),
            square: task["result"]["square"].as_u64(),
            children: task["result"]["children"].as_u64(),
            events,
        }
    }

    /// Sends a GET until a response arrives.
    async fn answer(&self, path: &str) -> Value {
        loop {
            if let Some((StatusCode::OK, mut answer)) = self.api.get(path).await {
                return answer["data"].take();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn body(n: u64) -> Value {
    let payload = json!({ "n": n, "work_ms": 20, "padding": "x".repeat(PADDING) });
    json!({ "agent": AGENT, "payload": payload, "max_attempts": 100 })
}
