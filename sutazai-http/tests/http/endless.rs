//! Model that writes until it is stopped, and counts the answers in progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use sutazai_core::Result;
use sutazai_core::domain::{Constraint, Embeddings, GenerateRequest, ModelEvent, ModelInfo};
use sutazai_core::ports::{ModelBackend, ModelStream};

/// Model with an endless answer.
#[derive(Debug, Default)]
pub(crate) struct Endless {
    writing: Arc<AtomicUsize>,
    shown: AtomicUsize,
}

impl Endless {
    /// Returns the number of messages of the latest request.
    pub(crate) fn shown(&self) -> usize {
        self.shown.load(Ordering::SeqCst)
    }

    /// Waits until it writes this number of answers.
    pub(crate) async fn until_writing(&self, count: usize) {
        let reached = async {
            while self.writing.load(Ordering::SeqCst) != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), reached).await.unwrap();
    }
}

struct Written(Arc<AtomicUsize>);

impl Drop for Written {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl ModelBackend for Endless {
    fn name(&self) -> &str {
        "endless"
    }

    fn supports(&self, _: &Constraint) -> bool {
        false
    }

    async fn models(&self) -> Result<Vec<ModelInfo>> {
        Ok(vec![ModelInfo { context_length: Some(64), ..ModelInfo::new("endless", "endless") }])
    }

    async fn generate(&self, request: GenerateRequest) -> Result<ModelStream> {
        self.shown.store(request.messages.len(), Ordering::SeqCst);
        self.writing.fetch_add(1, Ordering::SeqCst);
        let words = stream::unfold(Written(self.writing.clone()), |written| async {
            tokio::task::yield_now().await;
            Some((Ok(ModelEvent::Text("on ".into())), written))
        });
        // Ends after 100,000 words, so that the memory of the test stays bounded.
        Ok(words.take(100_000).chain(stream::pending()).boxed())
    }

    /// Returns vectors of the length of each text and half of it.
    async fn embed(&self, _: Option<String>, texts: &[String]) -> Result<Embeddings> {
        Ok(Embeddings {
            backend: "endless".into(),
            model: "endless".into(),
            vectors: texts.iter().map(|text| vec![text.len() as f32, text.len() as f32 / 2.0]).collect(),
            prompt_tokens: (texts[0] != "untold").then_some(7),
        })
    }
}
