//! The way from findings to texts, with a scripted model: what is true passes, what is not never reaches the result.

use std::sync::Arc;

use serde_json::json;
use sutazai_core::Error;
use sutazai_core::domain::{Analysis, GeneratedBy, HostMetrics, Snapshot};
use sutazai_core::ports::{AgentContext, ModelBackend};
use sutazai_core::testing::{
    ManualClock, ScriptedAnswer, ScriptedModelBackend, agent, agent_context, sources_of,
};

use super::rules::sample::{containers, healthy, host, sick};
use super::rules::{self, Trends};
use super::support::Support;
use super::{HardwareOptimizer, analyze, grammar, grounding};

mod corpus;
mod lies;
mod machines;
#[path = "../../../tests/fixtures/varied.rs"]
mod varied;

fn context(snapshot: &Snapshot, model: Option<Arc<dyn ModelBackend>>) -> AgentContext {
    let (mut context, _) = agent_context("hardware-optimizer", json!({}), Arc::new(ManualClock::new()));
    context.metric_sources = sources_of(snapshot.clone());
    context.model = model;
    context
}

/// An analysis in which the model answers every request with this.
async fn told(snapshot: &Snapshot, answer: impl Into<ScriptedAnswer>) -> Analysis {
    let answer = answer.into();
    let model = ScriptedModelBackend::replying(move |_| answer.clone()).supporting(false, true);
    analyze(&context(snapshot, Some(Arc::new(model)))).await.unwrap()
}

/// The same from a backend that takes JSON Schemas only; the text may have slots.
async fn told_in_json(snapshot: &Snapshot, text: &str) -> Analysis {
    let answer = json!({ "text": text }).to_string();
    let model = ScriptedModelBackend::replying(move |_| answer.clone()).supporting(true, false);
    analyze(&context(snapshot, Some(Arc::new(model)))).await.unwrap()
}

/// Memory is 93.2 % used; nothing else is found.
fn full_memory() -> Snapshot {
    let mut snapshot = healthy();
    let memory = &mut host(&mut snapshot).memory;
    memory.total_bytes = 16 << 30;
    memory.available_bytes = (16 << 30) / 1000 * 68;
    memory.used_bytes = memory.total_bytes - memory.available_bytes;
    memory.used_percent = 93.2;
    snapshot
}

/// The disk /var is 96.4 % full; nothing else is found.
fn full_disk() -> Snapshot {
    let mut snapshot = healthy();
    let host: &mut HostMetrics = host(&mut snapshot);
    let mut disk = host.disks[0].clone();
    disk.mount = "/var".into();
    disk.total_bytes = 100 << 30;
    disk.available_bytes = (36 << 30) / 10;
    disk.used_bytes = disk.total_bytes - disk.available_bytes;
    disk.used_percent = 96.4;
    host.disks.push(disk);
    snapshot
}

/// The container of this name uses 498 MiB of its 512 MiB; nothing else is found.
fn full_container(name: &str) -> Snapshot {
    let mut snapshot = healthy();
    let container = &mut containers(&mut snapshot)[0];
    container.name = name.into();
    container.memory_limit_bytes = Some(512 << 20);
    container.memory_used_bytes = Some(498 << 20);
    container.memory_used_percent = Some(498.0 / 512.0 * 100.0);
    snapshot
}

fn support(snapshot: &Snapshot) -> Support {
    let found = rules::find(snapshot, &Trends::default());
    assert_eq!(found.len(), 1, "{found:#?}");
    Support::of(&found[0])
}

#[tokio::test]
async fn conforms() {
    agent::run_all(Arc::new(HardwareOptimizer), json!({ "use_model": false })).await;
}

#[tokio::test]
async fn what_is_true_is_told_in_the_models_words() {
    for (snapshot, text) in [
        (
            full_memory(),
            "Memory is 93.2 % used, so see which processes hold the most of it with `ps aux --sort=-rss | head`.",
        ),
        (full_memory(), "The memory is 93 % used. Run `free -h` to see how it is divided."),
        (
            full_memory(),
            "At 93% the memory of this server is nearly used up, and one more large job may slow down others.",
        ),
        (full_disk(), "Disk /var is 96.4 % full, so look at what takes the most space soon."),
        (full_disk(), "The disk /var is 96 percent full and programs may fail when they write."),
        (full_container("web"), "Container web uses 498 MiB of its 512 MiB, so it may soon reach the limit."),
        (
            full_container("web"),
            "The container web is at 97.3 % of its memory limit. Find out why it needs so much memory.",
        ),
    ] {
        let analysis = told(&snapshot, text).await;
        let recommendation = &analysis.recommendations[0];
        assert_eq!((recommendation.text.as_str(), recommendation.text_by), (text, GeneratedBy::Model));
        assert_eq!(analysis.generated_by, GeneratedBy::Model);
        let grounding = analysis.grounding;
        assert!(grounding.claims >= 2 && grounding.claims == grounding.supported, "{text}: {grounding:?}");
        assert_eq!((grounding.rewritten, grounding.replaced), (0, 0));
        assert_eq!(analysis.model.unwrap().name, "scripted-model");
    }
}

#[tokio::test]
async fn slots_are_filled_in() {
    for (text, expected) in [
        (
            "{resource} is {figure} used, so programs may have to wait. Run {command} to see who holds it.",
            "Memory is 93.2 % used, so programs may have to wait. Run `ps aux --sort=-rss | head` to see who holds it.",
        ),
        (
            "The {resource} is {figure} used. Run `{command_b}` to see how it is divided.",
            "The memory is 93.2 % used. Run `free -h` to see how it is divided.",
        ),
    ] {
        let analysis = told_in_json(&full_memory(), text).await;
        assert_eq!(analysis.recommendations[0].text, expected);
        assert_eq!(analysis.recommendations[0].text_by, GeneratedBy::Model);
    }
    for text in [
        "Memory is 93.2 % used, so look at what holds it.",
        "{resource} is {percent} used, so look at it now.",
    ] {
        let analysis = told_in_json(&full_memory(), text).await;
        assert_eq!(analysis.recommendations[0].text_by, GeneratedBy::Rules, "{text}");
        assert_eq!((analysis.grounding.rewritten, analysis.grounding.replaced), (1, 1));
    }
}

#[tokio::test]
async fn a_refused_text_is_written_again_once() {
    let model = ScriptedModelBackend::new([
        "Memory is 12 % used, so look at what holds the most of it.",
        "Memory is 93.2 % used, so look at what holds the most of it.",
    ])
    .supporting(false, true);
    let analysis = analyze(&context(&full_memory(), Some(Arc::new(model)))).await.unwrap();
    assert_eq!(analysis.recommendations[0].text_by, GeneratedBy::Model);
    assert_eq!((analysis.grounding.rewritten, analysis.grounding.replaced), (1, 0));
}

#[tokio::test]
async fn without_a_model_the_rules_speak_and_say_why() {
    let none = analyze(&context(&full_memory(), None)).await.unwrap();
    assert!(none.degraded.unwrap().contains("no model backend"));
    let dead = told(&full_memory(), Error::unavailable("the model server is down")).await;
    assert!(dead.degraded.unwrap().contains("the model server is down"));
    for analysis in [none.recommendations, dead.recommendations] {
        assert_eq!(analysis[0].text_by, GeneratedBy::Rules);
        assert!(analysis[0].text.contains("93.2 %"), "{}", analysis[0].text);
    }
    let mut context = context(&full_memory(), None);
    context.task.payload = json!({ "use_model": false });
    assert_eq!(analyze(&context).await.unwrap().degraded, None);
}

#[tokio::test]
async fn a_dead_model_is_asked_once_not_for_every_finding() {
    let model =
        Arc::new(ScriptedModelBackend::replying(|_| Error::unavailable("down")).supporting(false, true));
    let analysis = analyze(&context(&sick(), Some(model.clone()))).await.unwrap();
    assert!(analysis.findings.len() > 20);
    assert!(model.requests().len() <= 4, "{}", model.requests().len());
}

#[tokio::test]
async fn a_cancelled_analysis_ends() {
    let model =
        ScriptedModelBackend::replying(|_| ScriptedAnswer::Stall("Memory is".into())).supporting(false, true);
    let context = context(&full_memory(), Some(Arc::new(model)));
    let cancellation = context.cancellation.clone();
    let (result, ()) = tokio::join!(analyze(&context), async move {
        tokio::task::yield_now().await;
        cancellation.cancel();
    });
    assert_eq!(result.unwrap_err().kind(), sutazai_core::ErrorKind::Cancelled);
}

#[test]
fn every_sentence_of_the_rules_is_supported_by_its_own_evidence() {
    let made = [sick(), healthy(), full_memory(), full_disk(), full_container("web"), varied::recorded()];
    for snapshot in made.into_iter().chain((0..300).map(varied::varied)) {
        for found in rules::find(&snapshot, &Trends::default()) {
            let support = Support::of(&found);
            let text = support.rules_text();
            let claims = grounding::check(&text, GeneratedBy::Rules, &support);
            assert!(claims.is_ok(), "{}: {text}\n{}", found.finding.id, claims.unwrap_err());
        }
    }
}

#[test]
fn a_grammar_has_no_digit_and_no_command_but_those_of_the_finding() {
    for found in rules::find(&sick(), &Trends::default()) {
        let support = Support::of(&found);
        let mut grammar = grammar::grammar(&support);
        for own in ["lead ::=", "figure ::=", "name ::=", "command ::="] {
            grammar = grammar.lines().filter(|line| !line.starts_with(own)).collect::<Vec<_>>().join("\n");
        }
        let rest = grammar.replace(|c: char| "{},".contains(c), " ");
        let words: Vec<_> = rest.split('"').skip(1).step_by(2).collect();
        assert!(
            words.iter().all(|word| !word.contains(|c: char| c.is_ascii_digit() || "`/$|;".contains(c))),
            "{words:?}"
        );
    }
}
