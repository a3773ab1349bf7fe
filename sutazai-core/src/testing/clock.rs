//! Conformance suite of the port [`crate::ports::Clock`].

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::ports::Clock;

/// Runs every check of the contract. `go_on` is called while a caller sleeps for the given duration; a clock that runs
/// by itself needs nothing there.
pub async fn run_all<F: Future<Output = ()>>(clock: Arc<dyn Clock>, go_on: impl Fn(Duration) -> F) {
    now_never_goes_back(clock.as_ref());
    steady_grows_with_the_time_that_passes(clock.as_ref(), &go_on).await;
    sleep_ends_no_earlier(clock.clone(), &go_on).await;
    sleep_until_ends_at_its_reading(clock.as_ref(), &go_on).await;
}

/// `now` never goes back between two calls of one thread, unless the clock is set.
pub fn now_never_goes_back(clock: &dyn Clock) {
    let mut before = clock.now();
    for _ in 0..10_000 {
        let now = clock.now();
        assert!(now >= before, "the clock went back from {before} to {now}");
        before = now;
    }
}

/// `monotonic` grows with the elapsed time and never goes back, even if the clock is set.
pub async fn steady_grows_with_the_time_that_passes<F: Future<Output = ()>>(
    clock: &dyn Clock,
    go_on: &impl Fn(Duration) -> F,
) {
    let mut before = clock.monotonic();
    for _ in 0..10_000 {
        let now = clock.monotonic();
        assert!(now >= before, "the monotonic reading went back from {before:?} to {now:?}");
        before = now;
    }
    let span = Duration::from_millis(20);
    tokio::join!(clock.sleep(span), go_on(span));
    let passed = clock.monotonic() - before;
    // `now`, which the sleep is measured by, and the monotonic reading may be rounded differently by up to 1 microsecond.
    assert!(passed + Duration::from_micros(1) >= span, "only {passed:?} passed");
}

/// `sleep` ends no earlier than the given duration after its call, as measured by `now`.
pub async fn sleep_ends_no_earlier<F: Future<Output = ()>>(
    clock: Arc<dyn Clock>,
    go_on: &impl Fn(Duration) -> F,
) {
    let span = Duration::from_millis(20);
    let begun = clock.now();
    tokio::join!(clock.sleep(span), go_on(span));
    let slept = clock.now() - begun;
    assert!(slept.to_std().is_ok_and(|slept| slept >= span), "slept only {slept}");
}

/// `sleep_until` ends no earlier than `monotonic` reaches the given reading, and at once if it is past.
pub async fn sleep_until_ends_at_its_reading<F: Future<Output = ()>>(
    clock: &dyn Clock,
    go_on: &impl Fn(Duration) -> F,
) {
    let span = Duration::from_millis(20);
    let until = clock.monotonic() + span;
    tokio::join!(clock.sleep_until(until), go_on(span));
    let woken = clock.monotonic();
    // As above, by 1 microsecond.
    assert!(woken + Duration::from_micros(1) >= until, "woke at {woken:?} instead of {until:?}");
    clock.sleep_until(until.min(woken)).await;
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::ports::SystemClock;
    use crate::testing::ManualClock;

    #[tokio::test]
    async fn clocks_conform() {
        run_all(Arc::new(SystemClock), |_| async {}).await;
        let manual = Arc::new(ManualClock::new());
        run_all(manual.clone(), |span| {
            let manual = manual.clone();
            async move { manual.advance(span) }
        })
        .await;
    }

    #[tokio::test]
    async fn timeout_is_measured_by_its_clock() {
        let manual = ManualClock::new();
        let clock: &dyn Clock = &manual;
        let limit = Duration::from_secs(3_600);
        assert_eq!(clock.timeout(limit, std::future::ready(7)).await, Some(7));
        let passing = async {
            tokio::task::yield_now().await;
            manual.advance(limit);
        };
        let (ended, ()) = tokio::join!(clock.timeout(limit, std::future::pending::<()>()), passing);
        assert_eq!(ended, None, "the clock was advanced by the limit");
    }

    #[test]
    fn setting_the_clock_does_not_change_the_steady_reading() {
        let clock = ManualClock::new();
        let (now, monotonic) = (clock.now(), clock.monotonic());
        clock.set_by(TimeDelta::minutes(10));
        assert_eq!((clock.now() - now, clock.monotonic()), (TimeDelta::minutes(10), monotonic));
        clock.set_by(TimeDelta::minutes(-15));
        clock.advance(Duration::from_secs(60));
        assert_eq!(
            (clock.now() - now, clock.monotonic() - monotonic),
            (TimeDelta::minutes(-4), Duration::from_secs(60))
        );
    }
}
