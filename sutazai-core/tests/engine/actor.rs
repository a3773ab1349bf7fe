//! Agent of the engine tests.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sutazai_core::domain::{AgentDescriptor, NewTask, Step};
use sutazai_core::ports::{Agent, AgentContext};
use sutazai_core::{Error, Result};

/// Agent that acts as its payload's `do` says.
#[derive(Debug, Default)]
pub(crate) struct Actor {
    pub(crate) runs: AtomicU32,
    /// Number of attempts that are running.
    pub(crate) running: AtomicU32,
}

/// Counts an attempt while it is alive, however it ends.
struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    fn new(running: &'a AtomicU32) -> Self {
        running.fetch_add(1, Ordering::SeqCst);
        Self(running)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Agent for Actor {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("actor", "Does what its payload says.").capabilities(["act"]).input_schema(
            json!({
                "type": "object",
                "properties": { "do": { "type": "string" }, "depth": { "type": "integer", "minimum": 0 } },
                "additionalProperties": false
            }),
        )
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        let _counted = Counted::new(&self.running);
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        let payload = &context.task.payload;
        match payload["do"].as_str().unwrap_or("finish") {
            "fail-twice" if context.task.failures < 2 => Err(Error::unavailable("not yet")),
            "fail" => Err(Error::unavailable("never")),
            "wait-for-ever" => {
                Err(Error::unavailable("later").with_retry_after(Duration::from_secs(9_223_372_036_854_775)))
            }
            "refuse" => Err(Error::invalid("payload.do", "expected something else")),
            "deserialize" => context.payload::<Vec<u64>>().map(|payload| Step::Done(json!(payload))),
            "panic" => panic!("as asked"),
            "hang" => {
                context.cancellation.cancelled().await;
                Err(Error::cancelled("stopped"))
            }
            // Ignores its cancellation.
            "stubborn" => std::future::pending().await,
            "poison" => Ok(Step::Done(json!("poison"))),
            "think-aloud" => {
                context.text("let me see");
                context.cancellation.cancelled().await;
                Err(Error::cancelled("stopped"))
            }
            "talk" => {
                for word in ["one ", "two ", "three"] {
                    context.text(word);
                }
                context.progress(0.5, "half");
                Ok(Step::Done(json!("said")))
            }
            "tree" => {
                let depth = payload["depth"].as_u64().unwrap_or(0);
                if depth == 0 {
                    return Ok(Step::Done(json!(1)));
                }
                if context.children.is_empty() {
                    let child = NewTask::new("actor", json!({ "do": "tree", "depth": depth - 1 }));
                    return Ok(Step::wait_for_all(vec![child.clone(), child], json!({ "asked": depth })));
                }
                assert_eq!(context.task.state, Some(json!({ "asked": depth })));
                let sum: u64 =
                    context.children.iter().filter_map(|child| child.result.as_ref()?.as_u64()).sum();
                Ok(Step::Done(json!(sum + 1)))
            }
            "race" => {
                if context.children.is_empty() {
                    let child = || NewTask::new("actor", json!({ "do": "finish" }));
                    let late = Some(context.clock.now() + Duration::from_secs(3_600));
                    let children = vec![child(), NewTask { run_at: late, ..child() }, child()];
                    return Ok(Step::wait_for_any(children, json!(0)));
                }
                let ended = context.children.iter().filter(|child| child.status.has_ended()).count() as u64;
                let ended = ended + context.task.state.as_ref().and_then(Value::as_u64).unwrap_or_default();
                if ended < 2 {
                    Ok(Step::wait_for_any(vec![], json!(ended)))
                } else {
                    Ok(Step::Done(json!(ended)))
                }
            }
            "wait-for-nobody" => Ok(Step::wait_for_any(vec![], Value::Null)),
            "bad-child" => Ok(Step::wait_for_all(vec![NewTask::new("nobody", json!({}))], Value::Null)),
            _ => Ok(Step::Done(json!({ "run": run }))),
        }
    }
}
