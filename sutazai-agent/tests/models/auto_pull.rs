//! Automatic pull of a missing default model.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use sutazai_agent::models::{ModelManager, OllamaModelBackend};
use sutazai_core::ErrorKind;
use sutazai_core::domain::GenerateRequest;
use sutazai_core::ports::{Clock, ModelBackend, ModelBackendExt, SystemClock};
use sutazai_core::testing::ManualClock;

use crate::chain::writer;
use crate::fault::Fault;
use crate::ollama_server::OllamaServer;
use crate::{ask, failure, nowhere};

fn manager(backends: Vec<Arc<dyn ModelBackend>>, clock: Arc<dyn Clock>) -> ModelManager {
    ModelManager::new(backends, "tinyllama", clock).auto_pull(true)
}

fn over(server: &OllamaServer) -> ModelManager {
    manager(vec![Arc::new(server.backend())], Arc::new(SystemClock))
}

#[tokio::test]
async fn requests_share_one_pull_and_then_use_the_model() {
    for models in [&["smollm2:135m"][..], &[]] {
        let server = OllamaServer::start(models).await;
        let manager = over(&server);
        for answer in join_all((0..20).map(|_| manager.complete(ask()))).await {
            let (_, usage) = answer.unwrap();
            assert_eq!((usage.model.as_str(), usage.degraded), ("tinyllama:latest", None));
        }
        assert_eq!(server.posted("/api/pull").len(), 1);
    }
}

#[tokio::test]
async fn loading_before_the_first_request_pulls() {
    let server = OllamaServer::start(&[]).await;
    over(&server).load(None).await.unwrap();
    assert_eq!(server.posted("/api/pull").len(), 1);
    assert_eq!(server.posted("/api/generate")[0]["model"], "tinyllama:latest");
}

#[tokio::test]
async fn nothing_is_pulled_unless_enabled_or_for_a_named_model() {
    let server = OllamaServer::start(&["smollm2:135m"]).await;
    let forbidden = over(&server).auto_pull(false);
    assert_eq!(forbidden.complete(ask()).await.unwrap().1.model, "smollm2:135m");
    forbidden.pull_missing(|step| panic!("{step:?}")).await.unwrap();
    let named = GenerateRequest { model: Some("llama3".into()), ..ask() };
    assert_eq!(failure(&over(&server), named).await.1.kind(), ErrorKind::NotFound);
    assert_eq!(server.posted("/api/pull").len(), 0);
}

#[tokio::test]
async fn present_model_is_not_pulled() {
    let (with, without) = (OllamaServer::start(&["tinyllama:latest"]).await, OllamaServer::start(&[]).await);
    let backends: Vec<Arc<dyn ModelBackend>> = vec![Arc::new(without.backend()), Arc::new(with.backend())];
    let manager = manager(backends, Arc::new(SystemClock));
    manager.complete(ask()).await.unwrap();
    manager.pull_missing(|step| panic!("{step:?}")).await.unwrap();
    assert_eq!((with.posted("/api/pull").len(), without.posted("/api/pull").len()), (0, 0));
}

#[tokio::test]
async fn failed_pull_is_reported_and_retried_after_a_minute() {
    let server = OllamaServer::start(&["smollm2:135m"]).await;
    let clock = Arc::new(ManualClock::new());
    let manager = manager(vec![Arc::new(server.backend())], clock.clone());
    server.fail(Fault::ErrorLine(2, "write blob: no space left on device"));
    for _ in 0..3 {
        let (_, usage) = manager.complete(ask()).await.unwrap();
        assert_eq!(usage.model, "smollm2:135m");
        let degraded = usage.degraded.unwrap();
        for part in ["cannot pull tinyllama", "no space left", "no backend has the model tinyllama"] {
            assert!(degraded.contains(part), "{degraded}");
        }
    }
    assert_eq!(server.posted("/api/pull").len(), 1);
    clock.advance(Duration::from_secs(60));
    let (_, usage) = manager.complete(ask()).await.unwrap();
    assert_eq!((usage.model.as_str(), usage.degraded), ("tinyllama:latest", None));
}

#[tokio::test]
async fn present_model_answers_if_no_backend_can_pull() {
    let only = manager(vec![Arc::new(writer("only"))], Arc::new(SystemClock));
    let degraded = only.complete(ask()).await.unwrap().1.degraded.unwrap();
    assert_eq!(degraded, "only cannot pull models; no backend has the model tinyllama");

    // While no backend is reachable, a pull would fail and delay the next one.
    let away = || Arc::new(OllamaModelBackend::new(&nowhere()).unwrap()) as Arc<dyn ModelBackend>;
    let nobody = manager(vec![away()], Arc::new(SystemClock));
    let e = failure(&nobody, ask()).await.1;
    assert_eq!(e.kind(), ErrorKind::Unavailable);
    assert!(!e.message().contains("pull"), "{e}");

    // The first of several backends that can pull does.
    let server = OllamaServer::start(&[]).await;
    let mixed =
        manager(vec![Arc::new(writer("first")), away(), Arc::new(server.backend())], Arc::new(SystemClock));
    let e = mixed.complete(ask()).await.unwrap().1.degraded.unwrap();
    assert!(e.contains("cannot be reached"), "{e}");
}

#[tokio::test]
async fn request_waits_within_its_time_limit_and_the_pull_continues() {
    let server = OllamaServer::start(&["smollm2:135m"]).await;
    let manager = over(&server);
    server.fail(Fault::Stall(3));
    let request = GenerateRequest { timeout: Some(Duration::from_millis(200)), ..ask() };
    let (_, e) = failure(&manager, request.clone()).await;
    assert_eq!((e.kind(), e.message()), (ErrorKind::Timeout, "the model tinyllama was still being pulled"));
    server.until_writing(1).await;
    // The next request waits for the same pull, as does one that is dropped.
    let dropped = tokio::time::timeout(Duration::from_millis(50), manager.complete(request.clone())).await;
    assert!(dropped.is_err(), "{dropped:?}");
    failure(&manager, request).await;
    assert_eq!(server.posted("/api/pull").len(), 1);
    server.until_writing(1).await;
    // The pull ends with the manager.
    drop(manager);
    server.until_writing(0).await;
}

#[tokio::test]
async fn progress_is_reported_and_logged() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let writer = Arc::new(log.reopen().unwrap());
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish();
    let _log = tracing::subscriber::set_default(subscriber);
    let server = OllamaServer::start(&[]).await;
    let steps = Mutex::new(Vec::new());
    over(&server).pull_missing(|step| steps.lock().unwrap().push(step.clone())).await.unwrap();
    let steps = steps.into_inner().unwrap();
    let fractions: Vec<f32> = steps.iter().map(|step| step.fraction()).collect();
    assert!(fractions.contains(&0.5), "{steps:?}");
    assert!(steps.iter().any(|step| step.status == "pulling 2af3b81862c6"), "{steps:?}");
    let log = std::fs::read_to_string(log.path()).unwrap();
    for (text, times) in [("model pull begins", 1), ("pulling 2af3b81862c6", 1), ("model pulled", 1)] {
        assert_eq!(log.matches(text).count(), times, "{text}: {log}");
    }
}
