//! Fallback chain: the port's conformance suite, the order of backends, and the effect of circuit breakers.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use serde_json::json;
use sutazai_agent::models::{FallbackChain, OllamaModelBackend};
use sutazai_core::domain::{Constraint, GenerateRequest, ModelEvent};
use sutazai_core::ports::{Clock, ModelBackend, ModelBackendExt, SystemClock};
use sutazai_core::testing::{ManualClock, ScriptedAnswer, ScriptedModelBackend, model_backend};
use sutazai_core::{Error, ErrorKind};

use crate::ollama_server::OllamaServer;
use crate::{ask, failure, nowhere, while_time_passes};

/// Creates a backend that answers every request with endless text.
pub(crate) fn writer(name: &str) -> ScriptedModelBackend {
    let reply = |request: &GenerateRequest| match &request.constraint {
        None => "and the ship sailed on ".repeat(500),
        Some(Constraint::JsonSchema(_)) => json!({ "name": "Tom", "legs": 4 }).to_string(),
        Some(Constraint::Grammar(_)) => "yes".into(),
        Some(Constraint::Text(text)) => text.clone(),
    };
    ScriptedModelBackend::replying(reply).named(name).with_models([format!("model-of-{name}")])
}

/// Creates a backend that fails every time with this kind of error.
pub(crate) fn failing(name: &str, kind: ErrorKind) -> ScriptedModelBackend {
    let message = format!("{name} is {kind}");
    ScriptedModelBackend::replying(move |_| ScriptedAnswer::Error(Error::new(kind, message.clone())))
        .named(name)
}

fn chain(backends: &[&Arc<ScriptedModelBackend>]) -> FallbackChain {
    let backends = backends.iter().map(|backend| (*backend).clone() as Arc<dyn ModelBackend>);
    FallbackChain::new(backends.collect(), Arc::new(SystemClock))
}

#[tokio::test]
async fn conforms() {
    let scripted = || async {
        let backends: Vec<Arc<dyn ModelBackend>> =
            vec![Arc::new(writer("first")), Arc::new(writer("second"))];
        Arc::new(FallbackChain::new(backends, Arc::new(SystemClock)))
    };
    model_backend::run_all(scripted).await;

    let server = OllamaServer::start(&["tinyllama:latest"]).await;
    let away: Arc<dyn ModelBackend> = Arc::new(OllamaModelBackend::new(&nowhere()).unwrap());
    let degraded = || async {
        let backends: Vec<Arc<dyn ModelBackend>> = vec![away.clone(), Arc::new(server.backend())];
        Arc::new(FallbackChain::new(backends, Arc::new(SystemClock)))
    };
    model_backend::models_lists_what_is_there(&*degraded().await).await;
    model_backend::generate_streams_text_and_one_done(&*degraded().await).await;
    model_backend::run_all(|| async {
        let server: Arc<dyn ModelBackend> = Arc::new(server.backend());
        Arc::new(FallbackChain::new(vec![server], Arc::new(SystemClock)))
    })
    .await;

    let nobody = FallbackChain::new(vec![away.clone(), away], Arc::new(SystemClock));
    model_backend::unreachable_backend_is_unavailable(&nobody).await;
}

#[tokio::test]
async fn first_backend_answers_and_others_are_not_called() {
    let (first, second) = (Arc::new(writer("first")), Arc::new(writer("second")));
    let (_, usage) = chain(&[&first, &second]).complete(ask()).await.unwrap();
    assert_eq!((usage.backend.as_str(), usage.degraded), ("first", None));
    assert_eq!((first.requests().len(), second.requests().len()), (1, 0));
}

#[tokio::test]
async fn failure_falls_back_and_is_reported_as_degraded() {
    for kind in [
        ErrorKind::Unavailable,
        ErrorKind::Timeout,
        ErrorKind::Busy,
        ErrorKind::RateLimited,
        ErrorKind::Internal,
        ErrorKind::NotFound,
        ErrorKind::Unsupported,
    ] {
        let (first, second) = (Arc::new(failing("first", kind)), Arc::new(writer("second")));
        let (_, usage) = chain(&[&first, &second]).complete(ask()).await.unwrap();
        assert_eq!(usage.backend, "second");
        assert_eq!(usage.degraded, Some(format!("first is {kind}")));
    }
    let broken = |_: &GenerateRequest| {
        ScriptedAnswer::Broken(String::new(), Error::unavailable("it broke off before its first word"))
    };
    let first = Arc::new(ScriptedModelBackend::replying(broken));
    let (_, usage) = chain(&[&first, &Arc::new(writer("second"))]).complete(ask()).await.unwrap();
    assert_eq!(usage.degraded.unwrap(), "it broke off before its first word");
}

#[tokio::test]
async fn invalid_request_does_not_fall_back() {
    for kind in [ErrorKind::InvalidInput, ErrorKind::Cancelled] {
        let (first, second) = (Arc::new(failing("first", kind)), Arc::new(writer("second")));
        let (_, e) = failure(&chain(&[&first, &second]), ask()).await;
        assert_eq!((e.kind(), second.requests().len()), (kind, 0));
    }
}

#[tokio::test]
async fn constraint_goes_to_a_backend_that_enforces_it() {
    let first = Arc::new(writer("first").supporting(true, false));
    let second = Arc::new(writer("second"));
    let chain = chain(&[&first, &second]);
    let grammar = Constraint::Grammar("start: \"yes\"".into());
    assert!(!chain.supports(&grammar), "the first choice cannot");
    let request = GenerateRequest { constraint: Some(grammar), ..ask() };
    // It is no failure of the first backend, however often it happens.
    for _ in 0..7 {
        let (text, usage) = chain.complete(request.clone()).await.unwrap();
        assert_eq!((text.as_str(), usage.backend.as_str()), ("yes", "second"));
        assert_eq!(usage.degraded.unwrap(), "first cannot enforce such a constraint");
    }
    assert!(first.requests().is_empty());
    assert_eq!(chain.complete(ask()).await.unwrap().1.backend, "first");
}

#[tokio::test]
async fn text_of_two_models_is_never_concatenated() {
    let broken = || ScriptedAnswer::Broken("half an answer".into(), Error::unavailable("cut"));
    let (first, second) = (Arc::new(ScriptedModelBackend::new([broken()])), Arc::new(writer("second")));
    let (pieces, e) = failure(&chain(&[&first, &second]), ask()).await;
    assert_eq!((pieces, e.message()), (3, "cut"));
    assert!(second.requests().is_empty());
}

#[tokio::test]
async fn failing_backend_is_suspended_and_tried_again() {
    let clock = Arc::new(ManualClock::new());
    let first = Arc::new(ScriptedModelBackend::new(Vec::<ScriptedAnswer>::new()).named("first"));
    let second = Arc::new(writer("second"));
    let chain = FallbackChain::new(vec![first.clone(), second.clone()], clock.clone());
    for asked in 1..=5 {
        let (_, usage) = while_time_passes(&clock, chain.complete(ask())).await.unwrap();
        assert_eq!(usage.backend, "second");
        assert_eq!(first.requests().len(), asked * 3, "each call is made three times and counts once");
    }
    for _ in 0..20 {
        let (_, usage) = chain.complete(ask()).await.unwrap();
        assert!(usage.degraded.unwrap().starts_with("first: the circuit is open"));
    }
    assert_eq!(first.requests().len(), 15, "asked although the circuit is open");

    // After the cool-down one trial call is made without retries, and the circuit opens again.
    clock.advance(Duration::from_secs(30));
    for _ in 0..3 {
        assert_eq!(chain.complete(ask()).await.unwrap().1.backend, "second");
    }
    assert_eq!(first.requests().len(), 16);

    clock.advance(Duration::from_secs(30));
    for answer in ["well again", "and again"] {
        first.push(answer);
        let (text, usage) = chain.complete(ask()).await.unwrap();
        assert_eq!((text.as_str(), usage.degraded), (answer, None));
    }
}

#[tokio::test]
async fn open_circuit_returns_a_retry_delay() {
    let clock = Arc::new(ManualClock::new());
    let only = Arc::new(failing("only", ErrorKind::Unavailable));
    let chain = FallbackChain::new(vec![only], clock.clone());
    for _ in 0..5 {
        let (_, e) = while_time_passes(&clock, failure(&chain, ask())).await;
        assert_eq!(e.message(), "only is unavailable");
    }
    clock.advance(Duration::from_secs(12));
    let (_, e) = failure(&chain, ask()).await;
    assert_eq!((e.kind(), e.retry_after()), (ErrorKind::Unavailable, Some(Duration::from_secs(18))));
}

#[tokio::test]
async fn broken_answers_count_as_failures_and_dropped_ones_do_not() {
    let clock = Arc::new(ManualClock::new());
    let dropped = Arc::new(ScriptedModelBackend::replying(|_| ScriptedAnswer::Stall("word".into())));
    let chain = FallbackChain::new(vec![dropped.clone()], clock.clone());
    for _ in 0..10 {
        let mut stream = chain.generate(ask()).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), ModelEvent::Text("word".into()));
    }
    assert_eq!(dropped.requests().len(), 10);

    let reply = |_: &GenerateRequest| ScriptedAnswer::Broken("half".into(), Error::unavailable("cut"));
    let broken = Arc::new(ScriptedModelBackend::replying(reply));
    let chain = FallbackChain::new(vec![broken.clone()], clock);
    for _ in 0..10 {
        failure(&chain, ask()).await;
    }
    assert_eq!(broken.requests().len(), 5);
}

#[tokio::test]
async fn time_limit_covers_all_attempts() {
    let clock = Arc::new(ManualClock::new());
    let stuck = |name: &str| {
        let silent =
            ScriptedModelBackend::replying(|_: &GenerateRequest| ScriptedAnswer::Stall(String::new()));
        Arc::new(silent.named(name).with_clock(clock.clone()))
    };
    let links = [stuck("one"), stuck("two"), stuck("three")];
    let backends = links.iter().map(|link| link.clone() as Arc<dyn ModelBackend>).collect();
    let chain = FallbackChain::new(backends, clock.clone());
    let begun = clock.now();
    let request = GenerateRequest { timeout: Some(Duration::from_secs(1)), ..ask() };
    let (_, e) = while_time_passes(&clock, failure(&chain, request)).await;
    assert_eq!(e.kind(), ErrorKind::Timeout, "{e}");
    // Separate limits would add up to 3 s; the clock advances by 10 ms.
    let took = (clock.now() - begun).num_milliseconds();
    assert!((1_000..1_100).contains(&took), "{took} ms");
    for link in &links[1..] {
        assert_eq!(link.requests()[0].timeout, Some(Duration::ZERO), "the first used up all of it");
    }
}

#[tokio::test]
async fn combined_error_names_every_backend() {
    let (one, two) = (failing("one", ErrorKind::Busy), failing("two", ErrorKind::Timeout));
    let (_, e) = failure(&chain(&[&Arc::new(one), &Arc::new(two)]), ask()).await;
    assert_eq!(e.kind(), ErrorKind::Unavailable);
    assert_eq!(e.message(), "no model backend could answer: one is busy; two is timeout");
    let (_, e) = failure(&chain(&[]), ask()).await;
    assert_eq!((e.kind(), e.field()), (ErrorKind::Unavailable, Some("MODEL_BACKENDS")));
}

#[tokio::test]
async fn embeddings_and_pulls_fall_back_too() {
    let server = OllamaServer::start(&["m:latest"]).await;
    let backends: Vec<Arc<dyn ModelBackend>> = vec![Arc::new(writer("first")), Arc::new(server.backend())];
    let chain = FallbackChain::new(backends, Arc::new(SystemClock));
    let made = chain.embed(None, &["a".into(), "b".into()]).await.unwrap();
    assert_eq!((made.backend.as_str(), made.vectors.len(), made.prompt_tokens), ("ollama", 2, Some(6)));
    let steps: Vec<_> = chain.pull("tinyllama").await.unwrap().collect().await;
    assert_eq!(steps.last().unwrap().as_ref().unwrap().status, "success");
    let names: Vec<_> = chain.models().await.unwrap().into_iter().map(|model| model.name).collect();
    assert_eq!(names, ["model-of-first", "m:latest", "tinyllama:latest"]);

    let nobody = FallbackChain::new(vec![Arc::new(writer("first"))], Arc::new(SystemClock));
    let Err(e) = nobody.pull("tinyllama").await else { panic!("a scripted model cannot pull") };
    assert_eq!((e.kind(), e.message()), (ErrorKind::Unsupported, "first cannot pull models"));
    // `NotFound` of the other backend must not change the error of the one that has the model.
    let e = chain.embed(Some("model-of-first".into()), &["a".into()]).await.unwrap_err();
    assert_eq!((e.kind(), e.message()), (ErrorKind::Unsupported, "first makes no embeddings"));
    let e = chain.embed(Some("nowhere".into()), &["a".into()]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
}
