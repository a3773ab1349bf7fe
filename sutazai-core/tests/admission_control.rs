//! Admission control in front of a model, as users, tasks and an operator's metrics see it. Time is a manual clock.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use serde_json::{Value, json};
use sutazai_core::admission_control::{AdmissionControl, AdmissionControlConfig};
use sutazai_core::domain::{
    AgentDescriptor, Caller, ChatMessage, GenerateRequest, ModelEvent, NewTask, Permission, Step, TaskStatus,
    UserId, UserRole,
};
use sutazai_core::engine::Engine;
use sutazai_core::memory::MemoryTaskStore;
use sutazai_core::ports::{Agent, AgentContext, ModelBackend, ModelBackendExt, ModelStream};
use sutazai_core::testing::{ManualClock, ScriptedAnswer, ScriptedModelBackend};
use sutazai_core::{Error, ErrorKind, Result};

fn ask() -> GenerateRequest {
    GenerateRequest::new(vec![ChatMessage::user("Tell me of the sea.")])
}

struct Stage {
    gate: AdmissionControl,
    model: Arc<ScriptedModelBackend>,
    clock: Arc<ManualClock>,
}

/// Creates admission control with one slot in front of a model that never ends by itself.
fn stage(config: AdmissionControlConfig) -> Stage {
    let clock = Arc::new(ManualClock::new());
    let model = ScriptedModelBackend::replying(|_| ScriptedAnswer::Stall("Sea".into()));
    let model = Arc::new(model.with_clock(clock.clone()));
    let config = AdmissionControlConfig { slots: Some(1), ..config };
    Stage { gate: AdmissionControl::new(model.clone(), clock.clone(), &config), model, clock }
}

impl Stage {
    fn model_for(&self, user: UserId) -> Arc<dyn ModelBackend> {
        self.gate.model_for(&Caller::User { id: user, role: UserRole::User })
    }
}

async fn first_text(stream: &mut ModelStream) -> String {
    match stream.next().await.unwrap().unwrap() {
        ModelEvent::Text(text) => text,
        end => panic!("{end:?}"),
    }
}

async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn dropped_answer_frees_its_slot() {
    let stage = stage(AdmissionControlConfig::default());
    let ada = stage.model_for(UserId::new());
    let mut first = ada.generate(ask()).await.unwrap();
    first_text(&mut first).await;
    let mut second = ada.generate(ask());
    assert!(futures::poll!(&mut second).is_pending());
    assert_eq!(stage.model.requests().len(), 1, "the second has not reached the model");
    drop(first);
    first_text(&mut second.await.unwrap()).await;
}

#[tokio::test]
async fn cancelled_request_is_skipped_in_the_queue() {
    let stage = stage(AdmissionControlConfig::default());
    let [ada, eve, tom] = [0; 3].map(|_| stage.model_for(UserId::new()));
    let first = ada.generate(ask()).await.unwrap();
    let mut impatient = eve.generate(ask());
    let mut patient = tom.generate(ask());
    assert!(futures::poll!(&mut impatient).is_pending());
    assert!(futures::poll!(&mut patient).is_pending());
    drop(impatient);
    drop(first);
    first_text(&mut patient.await.unwrap()).await;
    assert_eq!(stage.model.requests().len(), 2);
}

#[tokio::test]
async fn slot_granted_to_a_cancelled_request_is_passed_on() {
    let stage = stage(AdmissionControlConfig::default());
    let [ada, eve, tom] = [0; 3].map(|_| stage.model_for(UserId::new()));
    let first = ada.generate(ask()).await.unwrap();
    let mut impatient = eve.generate(ask());
    let mut patient = tom.generate(ask());
    assert!(futures::poll!(&mut impatient).is_pending());
    assert!(futures::poll!(&mut patient).is_pending());
    // The slot is granted to her, but she never polls for it.
    drop(first);
    drop(impatient);
    first_text(&mut patient.await.unwrap()).await;
}

#[tokio::test]
async fn time_in_the_queue_counts_towards_the_timeout() {
    let stage = stage(AdmissionControlConfig::default());
    let [ada, eve] = [0; 2].map(|_| stage.model_for(UserId::new()));
    let request = GenerateRequest { timeout: Some(Duration::from_secs(10)), ..ask() };
    let first = ada.generate(ask()).await.unwrap();
    let mut in_time = eve.generate(request.clone());
    let mut late = eve.generate(GenerateRequest { timeout: Some(Duration::from_secs(4)), ..ask() });
    assert!(futures::poll!(&mut in_time).is_pending());
    assert!(futures::poll!(&mut late).is_pending());
    stage.clock.advance(Duration::from_secs(4));
    assert_eq!(late.await.err().unwrap().kind(), ErrorKind::Timeout);
    drop(first);
    drop(in_time.await.unwrap());
    assert_eq!(stage.model.requests()[1].timeout, Some(Duration::from_secs(6)));
    // Answers take 4 s here, so a request with a limit of 3 s is rejected while another one runs.
    let _second = ada.generate(ask()).await.unwrap();
    let hasty = GenerateRequest { timeout: Some(Duration::from_secs(3)), ..ask() };
    let e = eve.generate(hasty).await.err().unwrap();
    assert_eq!(e.kind(), ErrorKind::Busy);
    assert!(e.retry_after().is_some());
}

#[tokio::test]
async fn request_without_a_timeout_gets_the_default() {
    let stage = stage(AdmissionControlConfig {
        timeout: Duration::from_secs(7),
        ..AdmissionControlConfig::default()
    });
    let mut answer = stage.gate.model_for_task(None).generate(ask()).await.unwrap();
    first_text(&mut answer).await;
    let mut end = answer.next();
    assert!(futures::poll!(&mut end).is_pending());
    stage.clock.advance(Duration::from_secs(7));
    assert_eq!(end.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn limits_apply_to_users_and_not_to_tasks() {
    let stage =
        stage(AdmissionControlConfig { per_user: 2, per_minute: 3, ..AdmissionControlConfig::default() });
    let user = UserId::new();
    let model = stage.model_for(user);
    let first = model.generate(ask()).await.unwrap();
    let mut second = model.generate(ask());
    assert!(futures::poll!(&mut second).is_pending());
    assert_eq!(model.generate(ask()).await.err().unwrap().kind(), ErrorKind::RateLimited);
    let for_tasks = stage.gate.model_for_task(Some(user));
    let mut task = for_tasks.generate(ask());
    assert!(futures::poll!(&mut task).is_pending());
    drop((first, second, task));
    drop(model.generate(ask()).await.unwrap());
    let e = model.generate(ask()).await.err().unwrap();
    assert_eq!((e.kind(), e.retry_after()), (ErrorKind::RateLimited, Some(Duration::from_secs(20))));
    stage.clock.advance(Duration::from_secs(20));
    drop(model.generate(ask()).await.unwrap());
    drop(stage.model_for(UserId::new()).generate(ask()).await.unwrap());
}

#[tokio::test]
async fn user_may_ask_for_so_long_an_answer_and_tasks_name_their_own() {
    let stage = stage(AdmissionControlConfig { max_tokens: 600, ..AdmissionControlConfig::default() });
    let long = |max_tokens| GenerateRequest { max_tokens, ..ask() };
    let user = UserId::new();
    let e = stage.model_for(user).generate(long(601)).await.err().unwrap();
    assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("max_tokens")));
    assert!(e.message().contains("at most 600 tokens"), "{e}");
    assert!(stage.model.requests().is_empty());
    drop(stage.model_for(user).generate(long(600)).await.unwrap());
    drop(stage.gate.model_for_task(Some(user)).generate(long(601)).await.unwrap());
    drop(stage.gate.model_for(&Caller::System).generate(long(601)).await.unwrap());
}

#[tokio::test]
async fn other_user_is_served_while_one_holds_its_maximum() {
    let config = AdmissionControlConfig { slots: Some(3), per_user: 8, ..AdmissionControlConfig::default() };
    let clock = Arc::new(ManualClock::new());
    let model = ScriptedModelBackend::replying(|_| ScriptedAnswer::Stall("Sea".into()));
    let gate = AdmissionControl::new(Arc::new(model.with_clock(clock.clone())), clock, &config);
    let model_for = |id| gate.model_for(&Caller::User { id, role: UserRole::User });
    let greedy = model_for(UserId::new());
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(greedy.generate(ask()).await.unwrap());
    }
    let mut waiting: Vec<_> = (0..6).map(|_| greedy.generate(ask())).collect();
    for request in &mut waiting {
        assert!(futures::poll!(request).is_pending());
    }
    let mut answer = model_for(UserId::new()).generate(ask()).await.unwrap();
    first_text(&mut answer).await;
    drop(held.pop());
    settle().await;
    // Kept until they are counted: a dropped answer lets the next one in.
    let granted: Vec<_> = waiting.iter_mut().filter_map(FutureExt::now_or_never).collect();
    assert_eq!(granted.len(), 1);
}

/// Agent that returns what the model generates.
#[derive(Debug)]
struct Speaker;

#[async_trait]
impl Agent for Speaker {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("speaker", "Says what the model says.").capabilities(["speak"])
    }

    fn permissions(&self, _: &Value) -> Vec<Permission> {
        vec![Permission::WriteTasks, Permission::UseModels]
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        let model = context.model.as_ref().ok_or_else(|| Error::unavailable("no model"))?;
        let (text, _) = model.complete(ask()).await?;
        Ok(Step::Done(json!(text)))
    }
}

#[tokio::test]
async fn agents_share_the_queue_with_people() {
    let clock = Arc::new(ManualClock::new());
    let answers = [ScriptedAnswer::Stall("first".into()), "second".into(), "third".into()];
    let model = Arc::new(ScriptedModelBackend::new(answers).with_clock(clock.clone()));
    let engine = Engine::builder()
        .task_store(Arc::new(MemoryTaskStore::new()))
        .clock(clock)
        .agent(Arc::new(Speaker))
        .model(model.clone())
        .admission_control(AdmissionControlConfig { slots: Some(1), ..AdmissionControlConfig::default() })
        .build()
        .unwrap();
    let me = Caller::System;
    let mut held = engine.model_for(&me).unwrap().generate(ask()).await.unwrap();
    first_text(&mut held).await;
    engine.start().await.unwrap();
    let task = engine.submit_as(&me, NewTask::new("speaker", json!({}))).await.unwrap();
    while engine.task(&me, task.id).await.unwrap().status != TaskStatus::Processing {
        settle().await;
    }
    settle().await;
    let model_for_me = engine.model_for(&me).unwrap();
    let person = model_for_me.complete(ask());
    tokio::pin!(person);
    assert!(futures::poll!(&mut person).is_pending());
    assert_eq!(model.requests().len(), 1);
    drop(held);
    assert_eq!(person.await.unwrap().0, "second", "the person came later and goes first");
    assert_eq!(engine.wait(&me, task.id).await.unwrap().result, Some(json!("third")));
}

/// Returns the recorded metrics by name and labels.
fn counted(snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
    let shown = |(key, _, _, value): (metrics_util::CompositeKey, _, _, DebugValue)| {
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        let count = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Histogram(values) => {
                assert!(values.iter().all(|seconds| seconds.0 == 3.0), "{values:?}");
                values.len() as u64
            }
            DebugValue::Gauge(_) => panic!("no gauge was expected"),
        };
        (format!("{} {}", key.key().name(), labels.join(" ")), count)
    };
    snapshotter.snapshot().into_vec().into_iter().map(shown).collect()
}

#[test]
fn every_request_is_counted_once() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(requests()));
    let expected = [
        ("model_requests_total none none not_found", 1),
        ("model_requests_total scripted scripted-model cancelled", 1),
        ("model_requests_total scripted scripted-model completed", 1),
        ("model_requests_total scripted scripted-model rate_limited", 1),
        ("model_requests_total scripted scripted-model unavailable", 1),
        ("model_time_to_first_token_seconds scripted scripted-model", 1),
        ("model_tokens_total scripted scripted-model completion", 2),
        ("model_tokens_total scripted scripted-model prompt", 5),
    ];
    assert_eq!(counted(&snapshotter), expected.map(|(name, count)| (name.to_owned(), count)).into());
}

/// Sends five requests: one completes, one breaks, one is dropped, one is rejected, and one is for an unknown model.
async fn requests() {
    let clock = Arc::new(ManualClock::new());
    let broken = ScriptedAnswer::Broken("The ".into(), Error::unavailable("cut"));
    let answers = ["The sea".into(), broken, ScriptedAnswer::Stall("The".into())];
    let model = Arc::new(ScriptedModelBackend::new(answers));
    let config = AdmissionControlConfig { per_minute: 4, ..AdmissionControlConfig::default() };
    let gate = AdmissionControl::new(model, clock.clone(), &config);
    let model = gate.model_for(&Caller::User { id: UserId::new(), role: UserRole::User });
    let mut answer = model.generate(ask()).await.unwrap();
    clock.advance(Duration::from_secs(3));
    while let Some(event) = answer.next().await {
        event.unwrap();
    }
    drop(answer);
    model.complete(ask()).await.unwrap_err();
    first_text(&mut model.generate(ask()).await.unwrap()).await;
    let made_up = GenerateRequest { model: Some("made-up".into()), ..ask() };
    model.generate(made_up).await.err().unwrap();
    model.generate(ask()).await.err().unwrap();
}

#[tokio::test]
async fn model_learns_the_owner_of_the_prompt() {
    let stage = stage(AdmissionControlConfig::default());
    let [ada, eve] = [0; 2].map(|_| UserId::new());
    // A value set by the caller is overwritten.
    let forged = GenerateRequest { prefix_owner: Some(ada), ..ask() };
    drop(stage.model_for(eve).generate(forged).await.unwrap());
    drop(stage.gate.model_for_task(Some(ada)).generate(ask()).await.unwrap());
    drop(stage.gate.model_for(&Caller::System).generate(ask()).await.unwrap());
    let owners: Vec<_> = stage.model.requests().iter().map(|request| request.prefix_owner).collect();
    assert_eq!(owners, [Some(eve), Some(ada), None]);
}
