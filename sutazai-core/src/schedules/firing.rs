//! Firing of schedules: determines the due times and submits their tasks.
//!
//! Every firing process does all of this. The idempotency key of a task names the schedule and the time, so each time
//! has one task however many processes fire it concurrently. If a process dies between the submission and the update of
//! the schedule, the next one repeats the submission, which returns the same task.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::service::{Schedules, task};
use crate::domain::{Caller, CronTimes, MissedRuns, NewTask, OverlapPolicy, Schedule};
use crate::error::{ErrorKind, Result};

/// Interval at which due schedules are polled: another process may have created one.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Interval at which schedules with queued times are polled for the end of their last task.
const QUEUE_POLL: Duration = Duration::from_secs(1);
/// Number of schedules read together: their payloads, of up to 256 KiB each, are in memory at once.
const SCHEDULE_BATCH_SIZE: u32 = 16;
/// Delay after which a time counts as missed.
const GRACE: TimeDelta = TimeDelta::seconds(60);
/// Maximum number of missed or queued times that have tasks of their own.
const MAX_MISSED: usize = 100;

impl Schedules {
    /// Fires due schedules until `stop` is cancelled. Any number of processes may run it concurrently.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let clock = self.engine.clock();
        loop {
            // Absolute times, because a manual clock may be advanced before the wait begins.
            let looked = clock.monotonic();
            let poll_at = looked.saturating_add(POLL_INTERVAL);
            let due_at = match self.fire_due().await {
                Ok(next) => next.map_or(poll_at, |next| {
                    let monotonic = clock.monotonic();
                    let left = (next - clock.now()).to_std().unwrap_or_default();
                    monotonic.saturating_add(left).min(poll_at)
                }),
                Err(e) => {
                    tracing::warn!(error = %e, "firing schedules failed; retrying");
                    clock.monotonic().saturating_add(POLL_INTERVAL)
                }
            };
            let wake_at = match self.start_queued().await {
                Ok(true) => due_at.min(looked.saturating_add(QUEUE_POLL)),
                Ok(false) => due_at,
                Err(e) => {
                    tracing::warn!(error = %e, "starting queued times failed; retrying");
                    due_at
                }
            };
            if stop.run_until_cancelled(clock.sleep_until(wake_at)).await.is_none() {
                return;
            }
        }
    }

    /// Fires all due schedules; returns when the next one is due.
    async fn fire_due(&self) -> Result<Option<DateTime<Utc>>> {
        loop {
            let upcoming = self.store.upcoming(SCHEDULE_BATCH_SIZE).await?;
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
            // A newer time zone database may no longer contain the zone.
            Err(e) => {
                tracing::error!(schedule = %schedule.id, error = %e, "schedule invalid; it stops");
                (Vec::new(), None)
            }
        };
        let mut fired = Schedule { next_run_at: next, ..schedule.clone() };
        match plan.overlap_policy {
            _ if times.is_empty() => {}
            OverlapPolicy::Allow => self.submit(&mut fired, &times).await?,
            OverlapPolicy::Skip | OverlapPolicy::Queue => {
                let is_busy = !schedule.queued.is_empty() || self.is_running(schedule).await?;
                if is_busy && plan.overlap_policy == OverlapPolicy::Skip {
                    tracing::info!(schedule = %schedule.id, "schedule skipped: its last task has not ended");
                } else {
                    // Several missed times run one after the other.
                    fired.queued.extend(&times);
                    let surplus = fired.queued.len().saturating_sub(MAX_MISSED);
                    fired.queued.drain(..surplus);
                    if !is_busy {
                        self.start_first(&mut fired).await?;
                    }
                }
            }
        }
        self.store.advance(schedule, &fired).await.map(|_| ())
    }

    /// Starts the first queued time of each schedule whose last task has ended. Returns whether queued times are left.
    async fn start_queued(&self) -> Result<bool> {
        let (mut after, mut are_left) = (None, false);
        loop {
            let waiting = self.store.waiting(after, SCHEDULE_BATCH_SIZE).await?;
            for schedule in &waiting {
                let mut fired = schedule.clone();
                if !self.is_running(schedule).await? {
                    self.start_first(&mut fired).await?;
                    self.store.advance(schedule, &fired).await?;
                }
                are_left |= !fired.queued.is_empty();
            }
            // A page may be shorter than the limit, because unreadable schedules are left out; only an empty page is
            // the end.
            let Some(last) = waiting.last() else { return Ok(are_left) };
            after = Some(last.id);
        }
    }

    /// Submits the task of the first queued time.
    async fn start_first(&self, fired: &mut Schedule) -> Result<()> {
        let first = fired.queued.remove(0);
        self.submit(fired, &[first]).await
    }

    /// Returns whether the last submitted task of the schedule has not ended.
    pub(super) async fn is_running(&self, schedule: &Schedule) -> Result<bool> {
        let Some(task) = schedule.last_task else { return Ok(false) };
        match self.engine.task(&Caller::System, task).await {
            Ok(task) => Ok(!task.status.has_ended()),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Submits the tasks of these times and records them in `fired`. Permanently rejected tasks are skipped.
    async fn submit(&self, fired: &mut Schedule, times: &[DateTime<Utc>]) -> Result<()> {
        let task_at = |time: &DateTime<Utc>| NewTask {
            idempotency_key: Some(format!(
                "schedule {} {}",
                fired.id,
                time.to_rfc3339_opts(SecondsFormat::Secs, true)
            )),
            ..task(&fired.plan)
        };
        let tasks = times.iter().map(task_at).collect();
        match self.engine.submit_for(fired.owner, tasks).await {
            Ok(tasks) => fired.last_task = tasks.last().map(|task| task.id),
            // A full queue of one owner must not delay the schedules of the others.
            Err(e) if matches!(e.kind(), ErrorKind::Forbidden | ErrorKind::RateLimited) => {
                tracing::info!(schedule = %fired.id, error = %e, "schedule skipped");
                return Ok(());
            }
            Err(e) if e.kind().is_transient() => return Err(e),
            // The agent is no longer registered, or its input schema has changed: retrying would delay all other
            // schedules.
            Err(e) => {
                tracing::error!(schedule = %fired.id, error = %e, "task of a schedule rejected");
            }
        }
        fired.last_run_at = times.last().copied().or(fired.last_run_at);
        Ok(())
    }
}

/// Returns the times from `due` up to `now` that need tasks, in ascending order.
fn due_times(
    times: &CronTimes,
    missed: MissedRuns,
    due: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Vec<DateTime<Utc>> {
    let keep = if missed == MissedRuns::All { MAX_MISSED } else { 1 };
    // Searches for the latest times from increasingly early starts, because a pattern may be due every minute for
    // years.
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

/// Returns the latest `keep` times from `first` up to `now`.
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
    fn missed_times_run_according_to_the_policy() {
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
