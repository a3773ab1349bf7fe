//! The machine's clock is set while a task runs: neither its own process nor another one reaps its lease.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use sutazai_core::Result;
use sutazai_core::domain::{AgentDescriptor, Caller, NewTask, Step};
use sutazai_core::engine::Engine;
use sutazai_core::ports::{Agent, AgentContext, Clock, SystemClock};

use crate::faketime;
use crate::place::Place;

const URL: &str = "SUTAZAI_SET_CLOCK_URL";
const LEASE: Duration = Duration::from_secs(1);
/// Several heartbeats after each jump.
const WORK: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn attempt_survives_setting_the_clock() {
    let place = Place::new();
    let setting = place.file().with_extension("faketime");
    set(&setting, "+0s");
    let mut child = Killed(
        faketime::preload(&mut Command::new(std::env::current_exe().unwrap()))
            .args(["--exact", "set_clock::process_whose_clock_is_set", "--ignored", "--nocapture"])
            .env(URL, place.url())
            .env("FAKETIME_TIMESTAMP_FILE", &setting)
            .env("FAKETIME_NO_CACHE", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map_while(std::result::Result::ok);
    assert!(lines.by_ref().any(|line| line.contains("begun")), "the task must begin");
    for jump in ["+600s", "-7200s", "+86400s"] {
        SystemClock.sleep(Duration::from_millis(700)).await;
        set(&setting, jump);
    }
    let ended = lines.find(|line| line.contains("ended")).unwrap();
    assert!(ended.ends_with("ended completed, attempt 1, failures 0, 1 days ahead"), "{ended}");
    assert!(child.0.wait().unwrap().success());
}

/// Process that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sets the clock of the process that reads this file. The file is replaced atomically, so it is never read
/// in part.
fn set(setting: &Path, to: &str) {
    let new = setting.with_extension("new");
    std::fs::write(&new, to).unwrap();
    std::fs::rename(new, setting).unwrap();
}

#[derive(Debug)]
struct Slow;

#[async_trait]
impl Agent for Slow {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("slow", "Takes four leases.").capabilities(["wait"])
    }

    #[allow(clippy::print_stdout)] // the test waits for it
    async fn run(&self, context: &AgentContext) -> Result<Step> {
        println!("begun");
        context.clock.sleep(WORK).await;
        Ok(Step::Done(json!("done")))
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run and watched by attempt_survives_setting_the_clock"]
async fn process_whose_clock_is_set() {
    let url = std::env::var(URL).unwrap();
    let mut engines = Vec::new();
    // Two engines over one file: the second only reaps expired leases.
    for _ in 0..2 {
        let stores = sutazai_store::open(&url).await.unwrap();
        let engine = Engine::builder().task_store(stores.tasks).clock(stores.clock).agent(Arc::new(Slow));
        let engine = engine.workers(1).lease(LEASE).build().unwrap();
        engine.start().await.unwrap();
        engines.push(engine);
    }
    let begun = SystemClock.now();
    let task = engines[0].submit_as(&Caller::System, NewTask::new("slow", json!({}))).await.unwrap();
    let ended = engines[0].wait(&Caller::System, task.id).await.unwrap();
    let days = (SystemClock.now() - begun).num_days();
    println!(
        "ended {}, attempt {}, failures {}, {days} days ahead",
        ended.status, ended.attempt, ended.failures
    );
    for engine in engines {
        engine.shutdown_within(LEASE).await.unwrap();
    }
}
