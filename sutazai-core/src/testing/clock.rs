//! The suite of [`crate::ports::Clock`].

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::ports::Clock;

/// Every bullet of the contract. `go_on` is called while somebody sleeps for so long; a clock that runs by itself
/// needs nothing there.
pub async fn run_all<F: Future<Output = ()>>(clock: Arc<dyn Clock>, go_on: impl Fn(Duration) -> F) {
    now_never_goes_back(clock.as_ref());
    sleep_ends_no_earlier(clock, go_on).await;
}

/// `now` never goes back between two calls of one thread.
pub fn now_never_goes_back(clock: &dyn Clock) {
    let mut before = clock.now();
    for _ in 0..10_000 {
        let now = clock.now();
        assert!(now >= before, "the clock went back from {before} to {now}");
        before = now;
    }
}

/// `sleep` ends no earlier than the given time after its call, as `now` tells it.
pub async fn sleep_ends_no_earlier<F: Future<Output = ()>>(
    clock: Arc<dyn Clock>,
    go_on: impl Fn(Duration) -> F,
) {
    let span = Duration::from_millis(20);
    let begun = clock.now();
    tokio::join!(clock.sleep(span), go_on(span));
    let slept = clock.now() - begun;
    assert!(slept.to_std().is_ok_and(|slept| slept >= span), "slept only {slept}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::SystemClock;
    use crate::testing::ManualClock;

    #[tokio::test]
    async fn the_clocks_conform() {
        run_all(Arc::new(SystemClock), |_| async {}).await;
        let manual = Arc::new(ManualClock::new());
        run_all(manual.clone(), |span| {
            let manual = manual.clone();
            async move { manual.advance(span) }
        })
        .await;
    }
}
