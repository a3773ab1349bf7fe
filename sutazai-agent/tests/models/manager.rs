//! Model manager: the port's conformance suite, the choice of the model, and how the choice is reported.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sutazai_agent::models::{MeasuredModel, ModelManager, OllamaModelBackend, PermissionStore};
use sutazai_core::ErrorKind;
use sutazai_core::domain::{GenerateRequest, ModelPermission};
use sutazai_core::ports::{Clock, ModelBackend, ModelBackendExt, SystemClock};
use sutazai_core::testing::{ManualClock, ScriptedModelBackend, model_backend};

use crate::chain::{failing, writer};
use crate::fault::Fault;
use crate::ollama_server::OllamaServer;
use crate::{HANG_LIMIT, ask, failure, nowhere, while_time_passes};

fn manager(backends: Vec<Arc<dyn ModelBackend>>) -> ModelManager {
    ModelManager::new(backends, "tinyllama", Arc::new(SystemClock))
}

#[tokio::test]
async fn conforms() {
    let scripted = || async {
        Arc::new(manager(vec![
            Arc::new(writer("first")),
            Arc::new(writer("second").with_models(["tinyllama", "other"])),
        ]))
    };
    model_backend::run_all(scripted).await;

    let server = OllamaServer::start(&["smollm2:135m", "tinyllama:latest"]).await;
    model_backend::run_all(|| async { Arc::new(manager(vec![Arc::new(server.backend())])) }).await;

    let away = || Arc::new(OllamaModelBackend::new(&nowhere()).unwrap());
    let nobody = manager(vec![away(), away()]);
    model_backend::unreachable_backend_is_unavailable(&nobody).await;
}

#[tokio::test]
async fn model_that_would_answer_is_loaded() {
    let server = OllamaServer::start(&["smollm2:135m", "tinyllama:latest"]).await;
    let manager = manager(vec![Arc::new(writer("first")), Arc::new(server.backend())]);
    manager.load(None).await.unwrap();
    manager.load(Some("smollm2:135m".into())).await.unwrap();
    let loaded: Vec<_> = server.posted("/api/generate").iter().map(|body| body["model"].clone()).collect();
    assert_eq!(loaded, ["tinyllama:latest", "smollm2:135m"]);
    let e = manager.load(Some("llama3".into())).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound, "{e}");
}

#[tokio::test]
async fn default_model_is_chosen_from_any_backend() {
    let server = OllamaServer::start(&["smollm2:135m", "tinyllama:latest"]).await;
    let first = Arc::new(writer("first"));
    let manager = manager(vec![first.clone(), Arc::new(server.backend())]);
    let (_, usage) = manager.complete(ask()).await.unwrap();
    assert_eq!((usage.backend.as_str(), usage.model.as_str()), ("ollama", "tinyllama:latest"));
    assert_eq!(usage.degraded, None);
    assert!(first.requests().is_empty());

    // A request that names a model gets that one.
    let request = GenerateRequest { model: Some("model-of-first".into()), ..ask() };
    let (_, usage) = manager.complete(request).await.unwrap();
    assert_eq!((usage.backend.as_str(), usage.model.as_str()), ("first", "model-of-first"));
    let request = GenerateRequest { model: Some("llama3".into()), ..ask() };
    let (_, e) = failure(&manager, request).await;
    assert_eq!(e.kind(), ErrorKind::NotFound);
    for there in ["llama3", "model-of-first", "smollm2:135m", "tinyllama:latest"] {
        assert!(e.message().contains(there), "{e}");
    }
}

#[tokio::test]
async fn first_model_is_the_default_when_none_is_named() {
    let (first, second) = (Arc::new(writer("first")), Arc::new(writer("second")));
    let manager = ModelManager::new(vec![first, second], "", Arc::new(SystemClock)).auto_pull(true);
    let (_, usage) = manager.complete(ask()).await.unwrap();
    assert_eq!((usage.model.as_str(), usage.degraded), ("model-of-first", None));
    assert_eq!(manager.answering(None).await.unwrap().name, "model-of-first");
    manager.load(None).await.unwrap();

    let nobody = ModelManager::new(
        vec![Arc::new(failing("first", ErrorKind::Unavailable))],
        "",
        Arc::new(SystemClock),
    );
    assert_eq!(nobody.complete(ask()).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn other_tag_is_another_model() {
    for (listed, degraded) in [("tinyllama:latest", false), ("tinyllama", false), ("tinyllama:1.1b", true)] {
        let only = Arc::new(writer("only").with_models(["mistral", listed]));
        let (_, usage) = manager(vec![only]).complete(ask()).await.unwrap();
        assert_eq!(usage.model, if degraded { "mistral" } else { listed });
        assert_eq!(usage.degraded.is_some(), degraded);
    }
}

#[tokio::test]
async fn missing_default_is_replaced_and_reported() {
    let away = Arc::new(OllamaModelBackend::new(&nowhere()).unwrap());
    let (empty, server) =
        (OllamaServer::start(&[]).await, OllamaServer::start(&["smollm2:135m", "b:1"]).await);
    let manager = manager(vec![away, Arc::new(empty.backend()), Arc::new(server.backend())]);
    let (_, usage) = manager.complete(ask()).await.unwrap();
    assert_eq!((usage.backend.as_str(), usage.model.as_str()), ("ollama", "smollm2:135m"));
    let degraded = usage.degraded.unwrap();
    assert!(degraded.contains("no backend has the model tinyllama"), "{degraded}");
    assert_eq!(degraded.matches("cannot be reached").count(), 1, "{degraded}");
    assert!(!degraded.contains("127.0.0.1"), "{degraded}");
    assert!(empty.posted("/api/chat").is_empty());
}

#[tokio::test]
async fn pulled_default_is_used_afterwards() {
    let server = OllamaServer::start(&["smollm2:135m"]).await;
    let manager = manager(vec![Arc::new(server.backend())]);
    assert_eq!(manager.complete(ask()).await.unwrap().1.model, "smollm2:135m");
    let steps = manager.pull("tinyllama").await.unwrap();
    futures::StreamExt::for_each(steps, |step| async { drop(step.unwrap()) }).await;
    let (_, usage) = manager.complete(ask()).await.unwrap();
    assert_eq!((usage.model.as_str(), usage.degraded), ("tinyllama:latest", None));
}

#[tokio::test]
async fn unreachable_backends_are_named() {
    let (one, two) = (nowhere(), nowhere());
    let away = |url: &str| Arc::new(OllamaModelBackend::new(url).unwrap());
    let (_, e) = failure(&manager(vec![away(&one), away(&two)]), ask()).await;
    assert_eq!(e.kind(), ErrorKind::Unavailable);
    let (said, told) = (e.to_string(), e.message());
    assert!(said.contains(&one) && said.contains(&two), "{said}");
    // Addresses of backends are for operators only.
    assert!(!told.contains(&one) && !told.contains(&two), "{told}");

    let empty = OllamaServer::start(&[]).await;
    let (_, e) = failure(&manager(vec![Arc::new(empty.backend())]), ask()).await;
    assert_eq!(e.kind(), ErrorKind::NotFound, "{e}");
    assert!(e.message().contains("tinyllama"), "{e}");
}

#[tokio::test]
async fn backend_that_lists_but_never_answers_is_suspended() {
    let clock = Arc::new(ManualClock::new());
    let first = Arc::new(failing("first", ErrorKind::Unavailable).with_models(["tinyllama"]));
    let backends: Vec<Arc<dyn ModelBackend>> = vec![first.clone(), Arc::new(writer("second"))];
    let manager = ModelManager::new(backends, "tinyllama", clock.clone());
    for _ in 0..10 {
        let (_, usage) = while_time_passes(&clock, manager.complete(ask())).await.unwrap();
        assert_eq!(usage.backend, "second");
        assert!(usage.degraded.unwrap().contains("first"));
    }
    assert_eq!(first.requests().len(), 15, "five calls, each made three times");
    clock.advance(Duration::from_secs(30));
    for _ in 0..3 {
        manager.complete(ask()).await.unwrap();
    }
    assert_eq!(first.requests().len(), 16);
}

#[tokio::test]
async fn backend_that_lists_too_slowly_is_skipped() {
    // Accepts connections and never answers.
    let stuck = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", stuck.local_addr().unwrap());
    let stuck = Arc::new(OllamaModelBackend::new(&url).unwrap());
    let begun = Instant::now();
    let second = Arc::new(writer("second").with_models(["tinyllama"]));
    let (_, usage) = manager(vec![stuck, second]).complete(ask()).await.unwrap();
    assert_eq!(usage.backend, "second");
    assert!(usage.degraded.unwrap().contains("did not list its models within 3s"));
    assert!(begun.elapsed() < HANG_LIMIT, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn failing_model_is_replaced_by_another() {
    let server = OllamaServer::start(&["tinyllama:latest"]).await;
    let manager = manager(vec![Arc::new(server.backend()), Arc::new(writer("second"))]);
    for _ in 0..3 {
        server.fail(Fault::Refuse(503, r#"{"error":"server busy, please try again."}"#, Some("0")));
    }
    let (_, usage) = manager.complete(ask()).await.unwrap();
    assert_eq!((usage.backend.as_str(), usage.model.as_str()), ("second", "model-of-second"));
    assert!(usage.degraded.unwrap().contains("503 Service Unavailable"));
    assert_eq!(manager.complete(ask()).await.unwrap().1.degraded, None);
}

#[tokio::test]
async fn permissions_belong_to_the_answering_model() {
    let folder = tempfile::tempdir().unwrap();
    let store = PermissionStore::new(folder.path().join("permissions.json"));
    let backend = Arc::new(ScriptedModelBackend::new(["text"]).with_models(["small", "large"]));
    let manager = |default: &str| {
        ModelManager::new(vec![backend.clone()], default, Arc::new(SystemClock))
            .with_permissions(store.clone())
    };
    let unmeasured = manager("large").permissions(None).await.unwrap();
    assert_eq!((unmeasured.model.as_str(), unmeasured.granted.len()), ("large", 0));
    assert!(unmeasured.note.unwrap().contains("sutazai models check large"));
    let measured = MeasuredModel {
        backend: "scripted".into(),
        model: "large".into(),
        measured_at: SystemClock.now(),
        granted: vec![ModelPermission::Choose],
        measurements: Vec::new(),
    };
    let large = backend.models().await.unwrap().remove(1);
    store.record(&large, measured).unwrap();
    let permissions = manager("large").permissions(None).await.unwrap();
    assert_eq!(permissions.granted, [ModelPermission::Choose]);
    assert_eq!((permissions.backend.as_str(), permissions.note), ("scripted", None));
    // Without the default model the first one answers, which has no permission.
    let other = manager("absent").permissions(None).await.unwrap();
    assert_eq!((other.model.as_str(), other.granted.len()), ("small", 0));
    assert_eq!(manager("small").permissions(Some("large".into())).await.unwrap().granted.len(), 1);
    std::fs::write(store.path(), "{").unwrap();
    let damaged = manager("large").permissions(None).await.unwrap();
    assert!(damaged.granted.is_empty() && damaged.note.unwrap().contains("damaged"));
}
