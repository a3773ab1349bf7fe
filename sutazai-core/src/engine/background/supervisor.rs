//! Supervision of the loops that an engine owns, its own and those of the embedder.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::PoisonError;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;

type Run = Box<dyn FnOnce(Engine, CancellationToken) -> BoxFuture<'static, ()> + Send>;

/// A background task of the embedder, until the engine starts it.
pub(crate) struct BackgroundTask {
    name: &'static str,
    run: Run,
}

impl fmt::Debug for BackgroundTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackgroundTask").field("name", &self.name).finish_non_exhaustive()
    }
}

impl BackgroundTask {
    pub(crate) fn new<F, Running>(name: &'static str, run: F) -> Self
    where
        F: FnOnce(Engine, CancellationToken) -> Running + Send + 'static,
        Running: Future<Output = ()> + Send + 'static,
    {
        Self { name, run: Box::new(move |engine, stop| run(engine, stop).boxed()) }
    }

    pub(crate) fn into_parts(self) -> (&'static str, Run) {
        (self.name, self.run)
    }
}

impl Engine {
    /// Spawns a loop that the shutdown waits for. A panic in it is logged, and the shutdown reports it.
    pub(crate) fn spawn(&self, name: &'static str, run: impl Future<Output = ()> + Send + 'static) {
        let shared = self.shared.clone();
        self.shared.tracker.spawn(async move {
            if AssertUnwindSafe(run).catch_unwind().await.is_err() {
                tracing::error!(name, "background loop panicked");
                shared.panicked.lock().unwrap_or_else(PoisonError::into_inner).push(name);
            }
        });
    }
}
