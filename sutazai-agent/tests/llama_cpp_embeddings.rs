//! Embeddings of a real model in a child process, compared with those that its published weights give for the same
//! texts.

#![allow(clippy::unwrap_used, clippy::panic)] // a failing test panics

use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use sutazai_agent::models::LlamaCppModelBackend;
use sutazai_core::ErrorKind;
use sutazai_core::domain::{ChatMessage, Constraint, GenerateRequest};
use sutazai_core::ports::ModelBackend;
use sutazai_core::testing::model_backend;

#[path = "fixtures/launcher.rs"]
mod launcher;
#[path = "fixtures/model.rs"]
mod model;

use launcher::launcher;

const NAME: &str = "all-MiniLM-L6-v2";

static BACKEND: LazyLock<Arc<LlamaCppModelBackend>> = LazyLock::new(|| {
    Arc::new(LlamaCppModelBackend::open(model::embedding_model_path(), launcher()).unwrap())
});

/// Vector and token count of a text by the published weights and tokenizer, computed without llama.cpp.
#[derive(Deserialize)]
struct Expected {
    text: String,
    tokens: u32,
    vector: Vec<f32>,
}

fn expected() -> Vec<Expected> {
    let json = std::fs::read(model::embedding_model_path().with_extension("json")).unwrap();
    serde_json::from_slice(&json).unwrap()
}

fn product(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    model_backend::run_embeddings(|| async { BACKEND.clone() }).await;
    let models = BACKEND.models().await.unwrap();
    assert_eq!((models.len(), models[0].name.as_str(), models[0].context_length), (1, NAME, Some(512)));
    assert_eq!(BACKEND.slots(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_and_tokens_match_the_published_model() {
    let expected = expected();
    let texts: Vec<_> = expected.iter().map(|one| one.text.clone()).collect();
    let made = BACKEND.embed(Some(NAME.into()), &texts).await.unwrap();
    assert_eq!(made.prompt_tokens, Some(expected.iter().map(|one| one.tokens).sum()));
    for (one, vector) in expected.iter().zip(&made.vectors) {
        assert_eq!(vector.len(), 384);
        assert!((product(vector, vector) - 1.0).abs() < 1e-5, "not of unit length: {}", one.text);
        let alike = product(&one.vector, vector);
        assert!(alike > 0.999, "{}: {alike}", one.text);
        let alone = BACKEND.embed(None, std::slice::from_ref(&one.text)).await.unwrap();
        assert_eq!(alone.prompt_tokens, Some(one.tokens), "{}", one.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn similar_meanings_have_similar_vectors() {
    let texts = [
        "The cat sleeps on the sofa.",
        "A kitten is napping on the couch.",
        "The disk of the server is full.",
        "No space is left on the machine's hard drive.",
    ]
    .map(String::from);
    let vectors = BACKEND.embed(None, &texts).await.unwrap().vectors;
    let alike = |a: usize, b: usize| product(&vectors[a], &vectors[b]);
    for (near, far) in [((0, 1), (0, 2)), ((0, 1), (1, 3)), ((2, 3), (1, 2)), ((2, 3), (0, 3))] {
        assert!(alike(near.0, near.1) > alike(far.0, far.1) + 0.3, "{near:?} {far:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unsupported_requests_are_rejected() {
    let long = ["short".to_owned(), "word ".repeat(511)];
    let e = BACKEND.embed(None, &long).await.unwrap_err();
    assert_eq!((e.kind(), e.field()), (ErrorKind::ContextLength, Some("input")));
    assert!(e.message().contains("at most 512 tokens, got one of 513"), "{e}");
    assert!(BACKEND.embed(None, &["word ".repeat(510)]).await.is_ok());
    let many = vec!["word ".repeat(300); 50];
    let made = BACKEND.embed(None, &many).await.unwrap();
    assert_eq!((made.vectors.len(), made.prompt_tokens), (50, Some(50 * 302)));
    let Err(e) = BACKEND.generate(GenerateRequest::new(vec![ChatMessage::user("Hello")])).await else {
        panic!("an embedding model wrote")
    };
    assert_eq!(
        (e.kind(), e.message()),
        (ErrorKind::Unsupported, "all-MiniLM-L6-v2 is an embedding model and writes no text")
    );
    assert!(!BACKEND.supports(&Constraint::Grammar("start: \"a\"".into())));
    // A model that generates text.
    let writes = LlamaCppModelBackend::open(model::model_path(), launcher()).unwrap();
    let e = writes.embed(None, &["a".into()]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert!(e.message().contains("writes text and makes no embeddings"), "{e}");
}

#[tokio::test(flavor = "multi_thread")]
async fn short_text_is_not_delayed_by_many_long_ones() {
    let many = vec!["word ".repeat(500); 40];
    let long = BACKEND.embed(None, &many);
    tokio::pin!(long);
    // The request is in progress: the first poll sends it.
    assert!(futures::poll!(&mut long).is_pending());
    let short = ["short".to_owned()];
    tokio::select! {
        biased;
        made = BACKEND.embed(None, &short) => assert_eq!(made.unwrap().vectors.len(), 1),
        _ = &mut long => panic!("the short text waited for all of the long ones"),
    }
    assert_eq!(long.await.unwrap().vectors.len(), 40);
}
