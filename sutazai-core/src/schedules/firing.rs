//! Which times of a schedule are due, and the tasks for them.
//!
//! Every process that fires does all of this. A time of a schedule is named by the idempotency key of its task, so it has
//! one task however many fire at once, and one that is ended between the task and the note of it is gone on with by the
//! next.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::service::{Schedules, task};
use crate::domain::{CronTimes, MissedRuns, NewTask, Schedule};
use crate::error::{ErrorKind, Result};

/// Looks for schedules at least so often: another process may have made one.
const POLL: Duration = Duration::from_secs(5);
/// So many are looked at together.
const TOGETHER: u32 = 100;
/// A time that passed so long ago was missed.
const GRACE: TimeDelta = TimeDelta::seconds(60);
/// The most missed times that have tasks of their own.
const MOST_MISSED: usize = 100;

impl Schedules {
    /// Fires what is due until `stop`. Any number of processes may do so at once.
    pub async fn run(&self, stop: CancellationToken) {
        let clock = self.engine.clock();
        loop {
            let pause = match self.fire_due().await {
                Ok(Some(next)) => (next - clock.now()).to_std().unwrap_or_default().min(POLL),
                Ok(None) => POLL,
                Err(e) => {
                    tracing::warn!(error = %e, "schedules could not be fired; trying again");
                    POLL
                }
            };
            if stop.run_until_cancelled(clock.sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Fires what is due now; gives when something is due next.
    async fn fire_due(&self) -> Result<Option<DateTime<Utc>>> {
        loop {
            let upcoming = self.store.upcoming(TOGETHER).await?;
            let now = self.engine.clock().now();
            let mut fired = false;
            for schedule in &upcoming {
                let Some(due) = schedule.next_run_at else { continue };
                if due > now {
                    return Ok(Some(due));
                }
                self.fire(schedule, due, now).await?;
                fired = true;
            }
            if !fired {
                return Ok(None);
            }
        }
    }

    async fn fire(&self, schedule: &Schedule, due: DateTime<Utc>, now: DateTime<Utc>) -> Result<()> {
        let plan = &schedule.plan;
        let (times, next) = match CronTimes::parse(&plan.cron, &plan.time_zone) {
            Ok(times) => (due_times(&times, plan.missed_runs, due, now), times.after(now)),
            // A later version of the time zones may not know it any more.
            Err(e) => {
                tracing::error!(schedule = %schedule.id, error = %e, "the schedule cannot be understood; it stops");
                (Vec::new(), None)
            }
        };
        let task_at = |time: &DateTime<Utc>| NewTask {
            idempotency_key: Some(format!(
                "schedule {} {}",
                schedule.id,
                time.to_rfc3339_opts(SecondsFormat::Secs, true)
            )),
            ..task(plan)
        };
        if !times.is_empty() {
            let tasks = times.iter().map(task_at).collect();
            if let Err(e) = self.engine.submit_for(schedule.owner, tasks).await {
                // One owner's full queue must not hold up the schedules of all others.
                if matches!(e.kind(), ErrorKind::Forbidden | ErrorKind::RateLimited) {
                    tracing::info!(schedule = %schedule.id, error = %e, "schedule skipped");
                    return self.store.advance(schedule.id, due, None, next).await.map(|_| ());
                }
                if e.kind().is_temporary() {
                    return Err(e);
                }
                // Its agent is gone, or takes other payloads by now: that is no reason to hold up all others.
                tracing::error!(schedule = %schedule.id, error = %e, "the schedule's task is refused");
            }
        }
        self.store.advance(schedule.id, due, times.last().copied(), next).await.map(|_| ())
    }
}

/// The times from `due` up to `now` that are to have tasks, in order.
fn due_times(
    times: &CronTimes,
    missed: MissedRuns,
    due: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Vec<DateTime<Utc>> {
    let keep = if missed == MissedRuns::All { MOST_MISSED } else { 1 };
    // The latest of many: looked for from later on first, since there may be a time each minute for years.
    for back in [TimeDelta::hours(1), TimeDelta::days(2), TimeDelta::days(40), TimeDelta::days(800)] {
        let from = now - back;
        if from <= due {
            break;
        }
        let latest = collect(times, times.after(from), now, keep);
        if latest.len() == keep {
            return wanted(latest, missed, now);
        }
    }
    wanted(collect(times, Some(due), now, keep), missed, now)
}

/// The latest `keep` times from `first` up to `now`.
fn collect(
    times: &CronTimes,
    first: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    keep: usize,
) -> VecDeque<DateTime<Utc>> {
    let mut latest = VecDeque::with_capacity(keep + 1);
    let mut next = first;
    while let Some(time) = next.filter(|time| *time <= now) {
        latest.push_back(time);
        if latest.len() > keep {
            latest.pop_front();
        }
        next = times.after(time);
    }
    latest
}

fn wanted(latest: VecDeque<DateTime<Utc>>, missed: MissedRuns, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    latest.into_iter().filter(|time| missed != MissedRuns::Skip || now - *time <= GRACE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_was_missed_there_is_what_the_policy_says() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let hourly = CronTimes::parse("0 * * * *", "UTC").unwrap();
        let due = at("2026-01-01T00:00:00Z");
        for (missed, now, count, last) in [
            (MissedRuns::Skip, "2026-01-01T00:00:30Z", 1, Some("2026-01-01T00:00:00Z")),
            (MissedRuns::Skip, "2026-01-01T00:02:00Z", 0, None),
            (MissedRuns::Skip, "2026-01-03T07:00:10Z", 1, Some("2026-01-03T07:00:00Z")),
            (MissedRuns::Once, "2026-01-01T00:02:00Z", 1, Some("2026-01-01T00:00:00Z")),
            (MissedRuns::Once, "2026-05-01T07:02:00Z", 1, Some("2026-05-01T07:00:00Z")),
            (MissedRuns::All, "2026-01-01T00:00:30Z", 1, Some("2026-01-01T00:00:00Z")),
            (MissedRuns::All, "2026-01-01T07:02:00Z", 8, Some("2026-01-01T07:00:00Z")),
            (MissedRuns::All, "2026-05-01T07:02:00Z", 100, Some("2026-05-01T07:00:00Z")),
        ] {
            let times = due_times(&hourly, missed, due, at(now));
            assert_eq!((times.len(), times.last().copied()), (count, last.map(at)), "{missed} at {now}");
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::hours(1)), "{times:?}");
        }
        let yearly = CronTimes::parse("0 0 1 1 *", "UTC").unwrap();
        let times = due_times(&yearly, MissedRuns::All, due, at("2029-06-01T00:00:00Z"));
        assert_eq!(times.len(), 4);
        let minutely = CronTimes::parse("* * * * *", "UTC").unwrap();
        let times = due_times(&minutely, MissedRuns::All, due, at("2036-01-01T00:00:00Z"));
        assert_eq!((times.len(), times[99]), (100, at("2036-01-01T00:00:00Z")), "ten years, and no wait");
    }
}
