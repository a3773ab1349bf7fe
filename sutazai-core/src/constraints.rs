//! Checks of model constraints on threads of their own, outside of the runtime that serves requests.
//!
//! Compiling a schema and validating a long answer takes up to a second within the limits of
//! [`domain::schema`](crate::domain::schema), and recurses on the stack as deeply as the schema nests. Therefore each
//! check runs on a thread of its own with a 16 MiB stack, at most two at once. `spawn_blocking` would be simpler, but
//! its threads have the runtime's stack size and its pool has no limit of its own for this work.

use tokio::sync::{Semaphore, oneshot};

use crate::domain::Constraint;
use crate::error::{Error, Result};

/// Maximum number of concurrent checks in this process; further ones wait.
const MAX_CONCURRENT_CHECKS: usize = 2;

/// Stack size of a checking thread in bytes.
const STACK_BYTES: usize = 16 * 1024 * 1024;

static PERMITS: Semaphore = Semaphore::const_new(MAX_CONCURRENT_CHECKS);

/// Checks that the schema of a constraint is valid and within the limits.
///
/// # Errors
/// Those of [`Constraint::check_schema`].
pub async fn check_schema(constraint: &Constraint) -> Result<()> {
    let constraint = constraint.clone();
    run_on_own_thread(move || constraint.check_schema()).await
}

/// Checks that a finished text conforms to the constraint.
///
/// # Errors
/// Those of [`Constraint::check`].
pub async fn check_answer(constraint: &Constraint, text: &str) -> Result<()> {
    let (constraint, text) = (constraint.clone(), text.to_owned());
    run_on_own_thread(move || constraint.check(&text)).await
}

async fn run_on_own_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let permit = PERMITS.acquire().await.map_err(|e| Error::internal("checks are closed").with_source(e))?;
    let (done, result) = oneshot::channel();
    let work = move || {
        // Held until the check has ended, even if its caller was cancelled: an abandoned check still uses a processor.
        let _permit = permit;
        let _ = done.send(work());
    };
    std::thread::Builder::new()
        .name("constraint".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)
        .map_err(|e| Error::unavailable("no thread can be started for a check").with_source(e))?;
    result.await.map_err(|e| Error::internal("the check of a constraint panicked").with_source(e))?
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn checks_on_own_threads_return_the_same_results() {
        let schema = Constraint::JsonSchema(json!({ "type": "object", "required": ["n"] }));
        check_schema(&schema).await.unwrap();
        check_answer(&schema, r#"{"n": 1}"#).await.unwrap();
        assert_eq!(check_answer(&schema, "[]").await.unwrap_err().kind(), ErrorKind::Misfit);
        let none = Constraint::JsonSchema(json!({ "type": "nonsense" }));
        assert_eq!(check_schema(&none).await.unwrap_err().field(), Some("constraint"));
    }

    #[tokio::test]
    async fn slow_checks_do_not_block_the_runtime_and_are_limited() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let held = Arc::new(Mutex::new(held));
        let slow = || {
            let (held, began) = (held.clone(), began.clone());
            run_on_own_thread(move || {
                began.send(()).unwrap();
                held.lock().unwrap().recv().unwrap();
                Ok(())
            })
        };
        let checks = tokio::spawn(futures::future::join_all((0..2 * MAX_CONCURRENT_CHECKS).map(|_| slow())));
        // The single-threaded runtime of this test stays free while the checks block.
        for _ in 0..MAX_CONCURRENT_CHECKS {
            begun.recv().await.unwrap();
        }
        assert!(begun.try_recv().is_err(), "more than {MAX_CONCURRENT_CHECKS} run at once");
        for _ in 0..2 * MAX_CONCURRENT_CHECKS {
            release.send(()).unwrap();
        }
        assert!(checks.await.unwrap().iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn panicking_check_returns_an_error_and_releases_its_permit() {
        for _ in 0..2 * MAX_CONCURRENT_CHECKS {
            let e = run_on_own_thread::<()>(|| panic!("expected by this test")).await.unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Internal);
        }
        run_on_own_thread(|| Ok(())).await.unwrap();
    }
}
