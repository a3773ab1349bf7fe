//! Tests from findings to texts with a scripted model: true texts pass, false ones never reach the result.

use std::sync::Arc;

use serde_json::json;
use sutazai_core::Error;
use sutazai_core::domain::ModelPermission::{Choose, Word};
use sutazai_core::domain::{
    Analysis, AssertionKind, EventKind, GeneratedBy, HostMetrics, RejectionReason, Snapshot,
};
use sutazai_core::ports::{AgentContext, ModelBackend};
use sutazai_core::testing::{
    ManualClock, ScriptedAnswer, ScriptedModelBackend, agent, agent_context, sources_of,
};

use super::rules::sample::{containers, healthy, host, sick};
use super::rules::{self, Found, Trends};
use super::{HardwareOptimizer, MIN_FLUENCY, analyze};

mod corpus;
mod lies;
mod machines;
#[path = "../../../../tests/fixtures/varied.rs"]
mod varied;

fn context(snapshot: &Snapshot, model: Option<Arc<dyn ModelBackend>>) -> AgentContext {
    let (mut context, _) = agent_context("hardware-optimizer", json!({}), Arc::new(ManualClock::new()));
    context.metric_sources = sources_of(snapshot.clone());
    context.model = model;
    context
}

/// Creates a model that may word advice and answers every request with `answer`.
fn permitted(answer: impl Into<ScriptedAnswer>) -> ScriptedModelBackend {
    let answer = answer.into();
    ScriptedModelBackend::replying(move |_| answer.clone()).granting([Choose, Word])
}

async fn analysis(snapshot: &Snapshot, model: ScriptedModelBackend) -> Analysis {
    analyze(&context(snapshot, Some(Arc::new(model)))).await.unwrap()
}

/// Runs an analysis with a model that supports grammars and answers every request with `answer`.
async fn told(snapshot: &Snapshot, answer: impl Into<ScriptedAnswer>) -> Analysis {
    analysis(snapshot, permitted(answer).supporting(false, true)).await
}

/// Runs an analysis with a backend that supports JSON Schemas only; the text may contain placeholders.
async fn told_in_json(snapshot: &Snapshot, text: &str) -> Analysis {
    let answer = json!({ "text": text }).to_string();
    analysis(snapshot, permitted(answer).supporting(true, false)).await
}

/// Runs an analysis with a backend that supports no constraint.
async fn told_plainly(snapshot: &Snapshot, text: &str) -> Analysis {
    analysis(snapshot, permitted(text).supporting(false, false)).await
}

/// Returns a machine whose only finding is that memory is 93.2 % used.
fn full_memory() -> Snapshot {
    let mut snapshot = healthy();
    let memory = &mut host(&mut snapshot).memory;
    let (total, available) = (16 << 30, (16 << 30) / 1000 * 68);
    (memory.total_bytes, memory.available_bytes) = (Some(total), Some(available));
    (memory.used_bytes, memory.used_percent) = (Some(total - available), Some(93.2));
    snapshot
}

/// Returns a machine whose only finding is that the disk /var is 96.4 % full.
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

/// Returns a machine whose only finding is that the container `name` uses 498 MiB of its 512 MiB.
fn full_container(name: &str) -> Snapshot {
    let mut snapshot = healthy();
    let container = &mut containers(&mut snapshot)[0];
    container.name = name.into();
    container.memory_limit_bytes = Some(512 << 20);
    container.memory_used_bytes = Some(498 << 20);
    container.memory_used_percent = Some(498.0 / 512.0 * 100.0);
    snapshot
}

/// Returns the only finding of this machine.
fn found(snapshot: &Snapshot) -> Found {
    let mut found = rules::find(snapshot, &Trends::default());
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[tokio::test]
async fn conforms() {
    agent::run_all(Arc::new(HardwareOptimizer), json!({ "use_model": false })).await;
}

#[tokio::test]
async fn advice_worded_by_the_model_follows_the_authored_statement() {
    for (snapshot, advice) in [
        (full_memory(), "Run `ps aux --sort=-rss | head` to find out which programs use the most memory."),
        (full_memory(), "Please run `free -h` to see how the memory is divided."),
        (full_disk(), "Look at the largest directories first."),
    ] {
        let statement = found(&snapshot).finding.summary;
        let whole = format!("{statement} {advice}");
        let answers = [
            told(&snapshot, advice).await,
            told(&snapshot, whole.as_str()).await,
            told_in_json(&snapshot, advice).await,
            told_in_json(&snapshot, &format!("{{statement}} {advice}")).await,
            told_plainly(&snapshot, advice).await,
        ];
        for analysis in answers {
            let recommendation = &analysis.recommendations[0];
            assert_eq!(
                (recommendation.text.as_str(), recommendation.text_by),
                (whole.as_str(), GeneratedBy::Model)
            );
            assert_eq!(analysis.generated_by, GeneratedBy::Model);
            assert_eq!(analysis.grounding.permissions, [Choose, Word]);
            assert_eq!(analysis.grounding.written_under(Word), 1);
            assert_eq!(analysis.grounding.refused, []);
            assert_eq!(analysis.model.unwrap().name, "scripted-model");
        }
    }
}

#[tokio::test]
async fn placeholders_are_filled_in() {
    for (text, advice) in [
        (
            "{statement} Run {command} to see who uses it.",
            "Run `ps aux --sort=-rss | head` to see who uses it.",
        ),
        (
            "Run `{command_b}` to see how {resource} is divided.",
            "Run `free -h` to see how memory is divided.",
        ),
    ] {
        let analysis = told_in_json(&full_memory(), text).await;
        let statement = found(&full_memory()).finding.summary;
        assert_eq!(analysis.recommendations[0].text, format!("{statement} {advice}"));
    }
    let analysis = told_in_json(&full_memory(), "Run {tool} to see who uses it.").await;
    assert_eq!(analysis.recommendations[0].text_by, GeneratedBy::Rules);
    assert!(analysis.grounding.refused[0].excerpt.contains("{tool}"), "{:?}", analysis.grounding.refused);
}

#[tokio::test]
async fn assertions_have_their_positions() {
    let analysis = told(&full_memory(), "Run `free -h` to see how memory is divided.").await;
    let text: Vec<char> = analysis.recommendations[0].text.chars().collect();
    let [checked] = analysis.grounding.texts.as_slice() else { panic!("{:#?}", analysis.grounding) };
    assert_eq!((checked.finding_id.as_str(), checked.permission), ("memory_low", Some(Word)));
    for assertion in &checked.assertions {
        let there: String = text[assertion.start..assertion.end].iter().collect();
        assert_eq!(there, assertion.text);
    }
    let of = |kind| checked.assertions.iter().filter(move |a| a.kind == kind).map(|a| a.text.as_str());
    assert_eq!(of(AssertionKind::Statement).collect::<Vec<_>>(), [found(&full_memory()).finding.summary]);
    assert_eq!(of(AssertionKind::Command).collect::<Vec<_>>(), ["`free -h`"]);
    assert!(of(AssertionKind::Figure).any(|figure| figure == "93.2 %"));
    assert_eq!(of(AssertionKind::Advice).count(), 1);
}

#[tokio::test]
async fn rejected_text_is_retried_once() {
    let lie = "Run `free -h` to see that all is well.";
    let truth = "Run `free -h` to see how memory is divided.";
    let model = ScriptedModelBackend::new([lie, truth]).granting([Choose, Word]).supporting(false, true);
    let analysis = analysis(&full_memory(), model).await;
    assert_eq!(analysis.recommendations[0].text_by, GeneratedBy::Model);
    let [refused] = analysis.grounding.refused.as_slice() else { panic!("{:#?}", analysis.grounding) };
    assert_eq!((refused.finding_id.as_deref(), refused.attempt), (Some("memory_low"), 1));
    assert_eq!(refused.reason, RejectionReason::NotInLanguage);
    assert!(refused.excerpt.contains("that all is well"), "{refused:?}");
}

#[tokio::test]
async fn repetitive_text_is_rejected() {
    let sentence = "Run `free -h` to see how memory is divided.";
    let analysis = told(&full_memory(), format!("{sentence} {sentence}")).await;
    assert_eq!(analysis.recommendations[0].text_by, GeneratedBy::Rules);
    assert!(analysis.grounding.refused.iter().all(|one| one.reason == RejectionReason::Repetitive));
}

#[tokio::test]
async fn improbable_text_is_rejected() {
    let text = "Run `free -h` to see how memory is divided.";
    for (fluency, by) in [(MIN_FLUENCY, GeneratedBy::Model), (MIN_FLUENCY / 2.0, GeneratedBy::Rules)] {
        let analysis = analysis(&full_memory(), permitted(text).with_fluency(fluency)).await;
        assert_eq!(analysis.recommendations[0].text_by, by, "{fluency}");
        let refused = analysis.grounding.refused.iter().map(|one| one.reason);
        let expected = if by == GeneratedBy::Rules { 2 } else { 0 };
        assert_eq!(refused.filter(|reason| *reason == RejectionReason::NotFluent).count(), expected);
    }
}

#[tokio::test]
async fn model_writes_only_within_its_permission() {
    let worded = "Run `free -h` to see how the memory is divided.";
    let authored = found(&full_memory()).texts.advice[1].clone();
    for (granted, answer, by) in [
        (vec![], worded, GeneratedBy::Rules),
        (vec![], &authored, GeneratedBy::Rules),
        (vec![Choose], worded, GeneratedBy::Rules),
        (vec![Choose], &authored, GeneratedBy::Model),
        (vec![Word], worded, GeneratedBy::Model),
    ] {
        let model = permitted(answer).granting(granted.clone());
        let analysis = analysis(&full_memory(), model).await;
        assert_eq!(analysis.recommendations[0].text_by, by, "{granted:?}: {answer}");
        assert_eq!(analysis.grounding.permissions, granted);
        assert_eq!(analysis.degraded.is_some(), granted.is_empty(), "{:?}", analysis.degraded);
    }
}

#[tokio::test]
async fn model_without_permission_is_not_asked() {
    let model = Arc::new(permitted("anything").granting([]));
    let analysis = analyze(&context(&full_memory(), Some(model.clone()))).await.unwrap();
    assert_eq!(model.requests().len(), 0);
    assert!(analysis.degraded.unwrap().contains("scripted-model"));
    assert_eq!(analysis.model, None);
}

#[tokio::test]
async fn model_chooses_among_enumerations_without_grammars() {
    let texts = found(&full_memory()).texts;
    let answer = json!({ "statement": texts.statements[0], "consequence": "", "advice": texts.advice[1] });
    let model = permitted(answer.to_string()).granting([Choose]).supporting(true, false);
    let analysis = analysis(&full_memory(), model).await;
    assert_eq!(analysis.recommendations[0].text, format!("{} {}", texts.statements[0], texts.advice[1]));
    assert_eq!(analysis.grounding.written_under(Choose), 1);
}

#[tokio::test]
async fn summary_is_one_of_the_possible_lines() {
    let found = rules::find(&sick(), &Trends::default());
    let lines = super::summary::lines(&found);
    let chosen = lines.last().unwrap().clone();
    for (answer, expected) in [(chosen.as_str(), &chosen), ("All is well.", &lines[0])] {
        let answer = answer.to_owned();
        let model = ScriptedModelBackend::replying(move |request| {
            let about_all =
                request.messages.iter().any(|message| message.content.contains("names the most important"));
            if about_all { answer.clone() } else { "nonsense".to_owned() }
        });
        let analysis = analysis(&sick(), model.granting([Choose])).await;
        assert_eq!(&analysis.summary, expected);
        let refused = analysis.grounding.refused.iter().filter(|one| one.finding_id.is_none()).count();
        assert_eq!(refused, usize::from(expected == &lines[0]));
    }
    let without = analyze(&context(&sick(), None)).await.unwrap();
    assert_eq!(without.summary, lines[0]);
}

#[tokio::test]
async fn rules_write_and_state_the_reason_without_a_model() {
    let none = analyze(&context(&full_memory(), None)).await.unwrap();
    assert!(none.degraded.unwrap().contains("no model backend"));
    let dead = told(&full_memory(), Error::unavailable("the model server is down")).await;
    assert!(dead.degraded.unwrap().contains("the model server is down"));
    for analysis in [none.recommendations, dead.recommendations] {
        assert_eq!(analysis[0].text_by, GeneratedBy::Rules);
        assert_eq!(analysis[0].text, found(&full_memory()).texts.rules_text());
    }
    let mut context = context(&full_memory(), None);
    context.task.payload = json!({ "use_model": false });
    assert_eq!(analyze(&context).await.unwrap().degraded, None);
}

#[tokio::test]
async fn findings_are_reported_before_the_model_writes() {
    let advice = "Look at the largest directories first.";
    let (mut context, events) = agent_context("hardware-optimizer", json!({}), Arc::new(ManualClock::new()));
    context.metric_sources = sources_of(full_disk());
    context.model = Some(Arc::new(permitted(advice).supporting(false, true)));
    let analysis = analyze(&context).await.unwrap();
    let text = EventKind::Text {
        text: format!("{}\n", analysis.recommendations[0].text),
        finding_id: Some("disk_space:/var".into()),
    };
    let progress = |stage: &str, fraction, message: &str| EventKind::Progress {
        fraction,
        message: message.into(),
        stage: Some(stage.into()),
    };
    let kinds: Vec<EventKind> = events.all().into_iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [
            progress("measuring", 0.05, "measuring the machine"),
            progress("judging", 0.2, "1 finding"),
            EventKind::Findings { findings: analysis.findings.clone() },
            text,
            progress("writing", 0.2 + 0.7, "1 of 1 recommendations written"),
        ]
    );
}

#[tokio::test]
async fn failed_model_is_asked_only_once() {
    let model = Arc::new(permitted(Error::unavailable("down")).supporting(false, true));
    let analysis = analyze(&context(&sick(), Some(model.clone()))).await.unwrap();
    assert!(analysis.findings.len() > 20);
    assert!(model.requests().len() <= 4, "{}", model.requests().len());
}

#[tokio::test]
async fn cancelled_analysis_ends() {
    let model = permitted(ScriptedAnswer::Stall("Memory is".into())).supporting(false, true);
    let context = context(&full_memory(), Some(Arc::new(model)));
    let cancellation = context.cancellation.clone();
    let (result, ()) = tokio::join!(analyze(&context), async move {
        tokio::task::yield_now().await;
        cancellation.cancel();
    });
    assert_eq!(result.unwrap_err().kind(), sutazai_core::ErrorKind::Cancelled);
}

/// Returns all findings of machines of every kind.
fn every_finding() -> Vec<Found> {
    let made = [sick(), healthy(), full_memory(), full_disk(), full_container("web"), varied::recorded()];
    let machines = made.into_iter().chain((0..100).map(varied::varied));
    machines.flat_map(|snapshot| rules::find(&snapshot, &Trends::default())).collect()
}

#[test]
fn figures_and_names_of_authored_texts_rest_on_evidence() {
    let mut without = Vec::new();
    for found in every_finding() {
        let (text, assertions) = super::composition::Composition::new(&found, Choose).rules_text();
        for assertion in assertions {
            let rests = matches!(assertion.kind, AssertionKind::Figure | AssertionKind::Name);
            match assertion.evidence {
                Some(index) => assert!(rests && index < found.finding.evidence.len(), "{assertion:?}"),
                None if rests => {
                    without.push(format!("{}: {:?} of {text:?}", found.finding.id, assertion.text))
                }
                None => {}
            }
        }
    }
    without.sort();
    without.dedup();
    assert!(without.is_empty(), "no evidence:\n{}", without.join("\n"));
}

#[test]
fn authored_texts_belong_to_the_language_under_each_permission() {
    for found in every_finding() {
        for permission in [Choose, Word] {
            let composition = super::composition::Composition::new(&found, permission);
            let (text, assertions) = composition.rules_text();
            assert_eq!(composition.check(&text), Ok(assertions), "{text}");
        }
    }
}

#[test]
fn sampled_language_is_accepted() {
    use super::composition::Composition;
    use super::language::{Expression, Matcher};
    // Draws random texts of the language and passes them to the check.
    fn draw(expression: &Expression, dice: &mut impl rand::Rng, text: &mut String) {
        match expression {
            Expression::Literal(literal) => text.push_str(literal),
            Expression::Sequence(parts) => parts.iter().for_each(|part| draw(part, dice, text)),
            Expression::Choice(parts) => draw(&parts[dice.random_range(0..parts.len())], dice, text),
            Expression::Repeat { of, min, max } => {
                (0..dice.random_range(*min..=*max)).for_each(|_| draw(of, dice, text));
            }
            Expression::Rule(rule) => draw(&rule.body, dice, text),
        }
    }
    let mut dice: rand::rngs::StdRng = rand::SeedableRng::seed_from_u64(7);
    for found in rules::find(&sick(), &Trends::default()) {
        for permission in [Choose, Word] {
            let composition = Composition::new(&found, permission);
            let sampled = composition.sampled();
            for _ in 0..20 {
                let mut answer = String::new();
                draw(&sampled, &mut dice, &mut answer);
                assert!(Matcher::new(&answer).is_some(), "{answer}");
                let checked = composition.check(&composition.complete(&answer));
                assert!(checked.is_ok(), "{}: {answer}: {checked:?}", found.finding.id);
            }
        }
    }
}
