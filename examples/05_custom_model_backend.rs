//! Defines a model backend, checks it with the port's conformance suite, and asks it for a text.
//!
//! The "model" is a Markov chain over a text: small enough to read, and it generates text. Run it: `cargo run
//! --features test-util --example 05_custom_model_backend`

#![allow(clippy::print_stdout)] // an example prints what it does

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream;
use sutazai::domain::{
    ChatMessage, Constraint, FinishReason, GenerateRequest, ModelEvent, ModelInfo, ModelUsage,
};
use sutazai::ports::{ModelBackend, ModelBackendExt, ModelStream};
use sutazai::{Error, Result, testing};

const TEXT: &str = "the task waits for a worker and the worker takes the task under a lease and the lease runs out \
                    when the worker is gone and another worker takes the task";

#[derive(Debug, Clone)]
struct MarkovModelBackend;

#[async_trait]
impl ModelBackend for MarkovModelBackend {
    fn name(&self) -> &str {
        "markov"
    }

    fn supports(&self, _: &Constraint) -> bool {
        false
    }

    async fn models(&self) -> Result<Vec<ModelInfo>> {
        let size_bytes = Some(TEXT.len() as u64);
        Ok(vec![ModelInfo { size_bytes, ..ModelInfo::new("lease-chain", "markov") }])
    }

    async fn generate(&self, request: GenerateRequest) -> Result<ModelStream> {
        if request.constraint.is_some() {
            return Err(Error::unsupported("markov cannot follow a grammar or a schema"));
        }
        if let Some(model) = request.model.as_deref().filter(|model| *model != "lease-chain") {
            return Err(Error::not_found(format!("model {model}; there is lease-chain")));
        }
        let words: Vec<&str> = TEXT.split(' ').collect();
        let prompt = request.messages.iter().map(|m| m.content.split(' ').count()).sum::<usize>();
        let mut at = prompt % words.len();
        let mut events = Vec::new();
        for step in 0..request.max_tokens as usize {
            events.push(Ok(ModelEvent::Text(format!("{} ", words[at]))));
            let next: Vec<usize> = (1..words.len()).filter(|i| words[i - 1] == words[at]).collect();
            at = next[(step + prompt) % next.len().max(1)..].first().copied().unwrap_or(0);
        }
        events.push(Ok(ModelEvent::Done(ModelUsage {
            backend: "markov".into(),
            model: "lease-chain".into(),
            prompt_tokens: prompt as u32,
            completion_tokens: request.max_tokens,
            finish_reason: FinishReason::Length,
            refusal: None,
            degraded: None,
            fluency: None,
        })));
        Ok(Box::pin(stream::iter(events)))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    testing::model_backend::run_all(|| async { Arc::new(MarkovModelBackend) as Arc<dyn ModelBackend> }).await;
    println!("it conforms");

    let mut request = GenerateRequest::new(vec![ChatMessage::user("what happens to a task?")]);
    request.max_tokens = 16;
    let (text, usage) = MarkovModelBackend.complete(request).await?;
    println!("{} wrote: {}", usage.model, text.trim());
    Ok(())
}
