//! Calls whose panic becomes an error of that call only.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use crate::error::{Error, Result};

/// Runs a call to a port. A panic in it is logged and becomes an `Internal` error, so that the calling loop continues.
///
/// State that the call shares with others must tolerate a panic: poisoned locks are recovered, and a store rolls back
/// uncommitted changes.
pub(crate) async fn guarded<T>(what: &'static str, call: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(what, "call panicked");
        Err(Error::internal(format!("{what} panicked")))
    })
}
