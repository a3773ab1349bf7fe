//! Calls whose panic is an error of that call and nothing else.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use crate::error::{Error, Result};

/// Runs a call to a port. A panic in it is logged and becomes `Internal`, so that the loop that makes the call goes on.
///
/// What the call shares with others must bear a panic: locks are recovered, and a store undoes what it did not commit.
pub(super) async fn guarded<T>(what: &'static str, call: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(what, "call panicked");
        Err(Error::internal(format!("{what} panicked")))
    })
}
