//! Constraints checked away from the threads that serve requests.
//!
//! To compile a schema and to hold a long answer against it takes up to a second within the limits of
//! [`domain::schema`](crate::domain::schema), and follows its nesting on the stack. So each check has a thread of its own
//! with a stack that is large enough, and few run at once.

use tokio::sync::{Semaphore, oneshot};

use crate::domain::Constraint;
use crate::error::{Error, Result};

/// Checks that run at once in this process; the others wait.
const AT_ONCE: usize = 2;

/// Stack of a check in bytes.
const STACK_BYTES: usize = 16 * 1024 * 1024;

static PERMITS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Whether the schema is one and within the limits.
///
/// # Errors
/// Those of [`Constraint::check_schema`].
pub async fn check_schema(constraint: &Constraint) -> Result<()> {
    let constraint = constraint.clone();
    away(move || constraint.check_schema()).await
}

/// Whether a finished text conforms.
///
/// # Errors
/// Those of [`Constraint::check`].
pub async fn check_answer(constraint: &Constraint, text: &str) -> Result<()> {
    let (constraint, text) = (constraint.clone(), text.to_owned());
    away(move || constraint.check(&text)).await
}

async fn away<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let permit = PERMITS.acquire().await.map_err(|e| Error::internal("checks are closed").with_source(e))?;
    let (done, result) = oneshot::channel();
    let work = move || {
        // Held until the work has ended, whether or not anybody waits for it still.
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
    async fn checks_are_made_elsewhere_and_say_the_same() {
        let schema = Constraint::JsonSchema(json!({ "type": "object", "required": ["n"] }));
        check_schema(&schema).await.unwrap();
        check_answer(&schema, r#"{"n": 1}"#).await.unwrap();
        assert_eq!(check_answer(&schema, "[]").await.unwrap_err().kind(), ErrorKind::Misfit);
        let none = Constraint::JsonSchema(json!({ "type": "nonsense" }));
        assert_eq!(check_schema(&none).await.unwrap_err().field(), Some("constraint"));
    }

    #[tokio::test]
    async fn slow_checks_hinder_no_other_work_and_few_run_at_once() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let held = Arc::new(Mutex::new(held));
        let slow = || {
            let (held, began) = (held.clone(), began.clone());
            away(move || {
                began.send(()).unwrap();
                held.lock().unwrap().recv().unwrap();
                Ok(())
            })
        };
        let checks = tokio::spawn(futures::future::join_all((0..2 * AT_ONCE).map(|_| slow())));
        // This test has one thread, which the checks leave free.
        for _ in 0..AT_ONCE {
            begun.recv().await.unwrap();
        }
        assert!(begun.try_recv().is_err(), "more than {AT_ONCE} run at once");
        for _ in 0..2 * AT_ONCE {
            release.send(()).unwrap();
        }
        assert!(checks.await.unwrap().iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn a_check_that_panics_is_an_error_and_gives_its_place_free() {
        for _ in 0..2 * AT_ONCE {
            let e = away::<()>(|| panic!("expected by this test")).await.unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Internal);
        }
        away(|| Ok(())).await.unwrap();
    }
}
