//! Life cycle of a task: the one function that decides what a command does to it.
//!
//! ```text
//!             ┌───── retry, release, reap, wait ─────┐
//!             ▼                                      │
//! enqueue ─▶ pending ───────── claim ─────────▶ processing
//!             ▲  │ cancel, park                      │ complete, fail, cancel, reap, park
//!             │  └──────────────┐                    │
//!       retry │                 ▼                    ▼
//!      by hand└──────────── failed    cancelled    completed
//! ```
//!
//! Effect of each [`Command`] in each status; "refused" is a `Conflict`, and "–" leaves the task as it is:
//!
//! | command | pending | processing | completed | failed | cancelled |
//! |---|---|---|---|---|---|
//! | `Claim` | processing; refused while it waits or is not due | refused | refused | refused | refused |
//! | `Renew` | refused | lease extended | refused | refused | refused |
//! | `Record` `Completed` | refused | completed | refused | refused | refused |
//! | `Record` `Failed` | refused | failed, one failure more | refused | refused | refused |
//! | `Record` `Cancelled` | refused | cancelled | refused | refused | refused |
//! | `Record` `Retry` | refused | pending, one failure more; cancelled if that was requested | refused | refused | refused |
//! | `Record` `Released` | refused | pending; cancelled if that was requested | refused | refused | refused |
//! | `Record` `Wait` | refused | pending and waiting; cancelled if that was requested | refused | refused | refused |
//! | `AwaitChildren` | due after that many ends | – | – | – | – |
//! | `ChildEnded` | waits for one less | – | – | – | – |
//! | `Cancel` | cancelled | cancellation requested | refused | refused | refused |
//! | `Reap` | – | pending, failed or cancelled if its lease has expired; one failure more | – | – | – |
//! | `Park` | failed | failed | – | – | – |
//! | `RetryByHand` | refused | refused | refused | pending, no failures | refused |
//!
//! A task may be deleted once it has ended ([`check_deletion`]).
//!
//! Whoever holds the task applies the [`Transition`] in the same transaction: it writes the event, starts the children,
//! and commands the relatives of an ended task. Retention and the removal of a user delete tasks without a command.

use chrono::{DateTime, Utc};

use super::record::{ClaimKey, Task};
use crate::domain::agent::WaitUntil;
use crate::domain::event::EventKind;
use crate::domain::id::InstanceId;
use crate::domain::outcome::{Outcome, OutcomeRecord, Wait};
use crate::domain::status::TaskStatus;
use crate::domain::task_error::TaskError;
use crate::error::{Error, ErrorKind, Result};

use TaskStatus::{Cancelled, Completed, Failed, Pending, Processing};

/// Every change of status that a command can cause. A task that is enqueued is pending.
pub const TRANSITIONS: [(TaskStatus, TaskStatus); 8] = [
    (Pending, Processing),
    (Pending, Cancelled),
    (Pending, Failed),
    (Processing, Pending),
    (Processing, Completed),
    (Processing, Failed),
    (Processing, Cancelled),
    (Failed, Pending),
];

/// Event in the life of a task: a claim, an outcome, a request of a user.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A worker starts the next attempt.
    Claim {
        /// Instance that holds the claim.
        worker: InstanceId,
        /// Time at which the lease expires unless it is renewed.
        lease_until: DateTime<Utc>,
    },
    /// The holder of the claim extends its lease.
    Renew {
        /// Claim under which the attempt runs.
        claim: ClaimKey,
        /// New end of the lease.
        lease_until: DateTime<Utc>,
    },
    /// The holder of the claim reports how the attempt ended.
    Record(OutcomeRecord),
    /// The children of a recorded [`Outcome::Wait`] have been enqueued.
    AwaitChildren {
        /// Number of children that must end, from the wait.
        until: WaitUntil,
        /// Number of different children that have not ended.
        unfinished: u32,
        /// Number of different children that have ended, although the waiting run did not see it.
        ended: u32,
    },
    /// A child that the task waits for has ended.
    ChildEnded,
    /// A request to cancel the task.
    Cancel,
    /// The lease of the attempt may have expired.
    Reap,
    /// The stored task cannot be read or claimed.
    Park(TaskError),
    /// A request to return a failed task to the queue.
    RetryByHand,
}

/// Consequences of a command, which the holder of the task applies in the same transaction.
#[derive(Debug, Default, PartialEq)]
#[must_use = "the event, the children and the relatives of the task depend on it"]
pub struct Transition {
    /// Indicates that the task differs from before.
    pub changed: bool,
    /// Event to append to the task.
    pub event: Option<EventKind>,
    /// Indicates that the task may be due, so that claimers are woken.
    pub wakes_queue: bool,
    /// Indicates that the subscribers of the task are woken.
    pub wakes_subscribers: bool,
    /// Children to enqueue or to continue to wait for; [`Command::AwaitChildren`] follows.
    pub wait: Option<Wait>,
    /// Indicates that the task has ended: every task that waits for it gets [`Command::ChildEnded`], and every
    /// unfinished child that it created in its last wait gets [`Command::Cancel`].
    pub ended: bool,
}

/// Returns the transition of a new task: it is pending and has its first event.
pub fn enqueued(task: &Task) -> Transition {
    entered(task, None)
}

/// Applies a command to a task at the time `now`.
///
/// # Errors
/// `Conflict` if the status of the task does not allow the command, or if the claim of the command is no longer held; the
/// task is unchanged.
pub fn apply(task: &mut Task, command: Command, now: DateTime<Utc>) -> Result<Transition> {
    let status = task.status;
    match command {
        Command::Claim { worker, lease_until } => {
            if status != Pending || task.waiting_for > 0 || task.run_at > now {
                return Err(refusal("a due task can be claimed", status));
            }
            task.attempt = task.attempt.saturating_add(1);
            (task.worker, task.lease_until) = (Some(worker), Some(lease_until));
            task.started_at = Some(now);
            Ok(enter(task, Processing, None, now))
        }
        Command::Renew { claim, lease_until } => {
            fence(task, &claim)?;
            // The time of the last change stays: a running task is renewed all the time.
            task.lease_until = Some(lease_until);
            Ok(Transition { changed: true, ..Transition::default() })
        }
        Command::Record(OutcomeRecord { claim, outcome }) => {
            fence(task, &claim)?;
            Ok(record(task, outcome, now))
        }
        Command::AwaitChildren { until, unfinished, ended } => Ok(match (status, until) {
            (Pending, WaitUntil::All) => wait_for(task, unfinished, now),
            (Pending, WaitUntil::Any) if ended > 0 => wait_for(task, 0, now),
            (Pending, WaitUntil::Any) => wait_for(task, unfinished.min(1), now),
            (Processing | Completed | Failed | Cancelled, _) => Transition::default(),
        }),
        Command::ChildEnded => Ok(match (status, task.waiting_for.checked_sub(1)) {
            (Pending, Some(left)) => wait_for(task, left, now),
            // It does not wait any more: another child has made it due, or it is being run or has ended.
            _ => Transition::default(),
        }),
        Command::Cancel => match status {
            Pending => Ok(enter(task, Cancelled, None, now)),
            Processing => {
                task.cancel_requested = true;
                task.updated_at = now;
                Ok(Transition { changed: true, wakes_subscribers: true, ..Transition::default() })
            }
            Completed | Failed | Cancelled => {
                Err(Error::conflict(format!("the task has already ended: {status}")))
            }
        },
        Command::Reap => {
            let expired = task.lease_until.is_none_or(|until| until <= now);
            Ok(if status == Processing && expired { reap(task, now) } else { Transition::default() })
        }
        Command::Park(error) => {
            Ok(if status.has_ended() { Transition::default() } else { enter(task, Failed, Some(error), now) })
        }
        Command::RetryByHand => {
            if status != Failed {
                return Err(refusal("a failed task can be retried", status));
            }
            (task.failures, task.run_at, task.finished_at) = (0, now, None);
            Ok(enter(task, Pending, None, now))
        }
    }
}

impl Task {
    /// Claims a task that is not stored yet; the store that adds it records that it was enqueued and claimed.
    ///
    /// # Errors
    /// `Conflict` unless the task is pending and due.
    pub fn claim(
        &mut self,
        worker: InstanceId,
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        apply(self, Command::Claim { worker, lease_until }, now).map(drop)
    }
}

/// Returns whether this claim still holds the task.
pub fn holds(task: &Task, claim: &ClaimKey) -> bool {
    (task.status, task.attempt, task.worker) == (Processing, claim.attempt, Some(claim.worker))
}

/// Checks that this claim still holds the task.
///
/// # Errors
/// `Conflict` for a claim that no longer does.
pub fn fence(task: &Task, claim: &ClaimKey) -> Result<()> {
    if holds(task, claim) { Ok(()) } else { Err(claim_lost(claim)) }
}

/// Returns the error of a claim that no longer holds its task.
pub fn claim_lost(claim: &ClaimKey) -> Error {
    let ClaimKey { task, attempt, .. } = claim;
    Error::conflict(format!("attempt {attempt} of task {task} is no longer held by this worker"))
}

/// Checks that the task may be deleted: it has ended.
///
/// # Errors
/// `Conflict` for a task that has not ended.
pub fn check_deletion(task: &Task) -> Result<()> {
    if task.status.has_ended() { Ok(()) } else { Err(refusal("an ended task can be deleted", task.status)) }
}

fn refusal(rule: &str, status: TaskStatus) -> Error {
    Error::conflict(format!("only {rule}, and this one is {status}"))
}

fn record(task: &mut Task, outcome: Outcome, now: DateTime<Utc>) -> Transition {
    let stop = task.cancel_requested;
    match outcome {
        Outcome::Completed(result) => {
            (task.result, task.error) = (Some(result), None);
            enter(task, Completed, None, now)
        }
        Outcome::Failed(error) => {
            task.failures = task.failures.saturating_add(1);
            enter(task, Failed, Some(error), now)
        }
        Outcome::Cancelled => enter(task, Cancelled, None, now),
        // Cancellation was requested, so an outcome that would run the task again ends it instead.
        Outcome::Retry { .. } | Outcome::Released | Outcome::Wait(_) if stop => {
            enter(task, Cancelled, None, now)
        }
        Outcome::Retry { at, error } => {
            task.failures = task.failures.saturating_add(1);
            task.run_at = at;
            enter(task, Pending, Some(error), now)
        }
        Outcome::Released => enter(task, Pending, None, now),
        Outcome::Wait(mut wait) => {
            task.state = Some(std::mem::take(&mut wait.state));
            wait.children.iter_mut().for_each(|child| child.parent = Some(task.id));
            // Claimers are woken by `AwaitChildren`, which knows whether the task has to wait.
            Transition { wait: Some(wait), wakes_queue: false, ..enter(task, Pending, None, now) }
        }
    }
}

fn reap(task: &mut Task, now: DateTime<Utc>) -> Transition {
    task.failures = task.failures.saturating_add(1);
    let error = TaskError { kind: ErrorKind::Timeout, message: "the lease of the worker expired".into() };
    if task.cancel_requested {
        enter(task, Cancelled, None, now)
    } else if task.failures < task.max_attempts {
        enter(task, Pending, Some(error), now)
    } else {
        enter(task, Failed, Some(error), now)
    }
}

fn wait_for(task: &mut Task, children: u32, now: DateTime<Utc>) -> Transition {
    task.waiting_for = children;
    task.updated_at = now;
    Transition { changed: true, wakes_queue: children == 0, ..Transition::default() }
}

fn enter(task: &mut Task, status: TaskStatus, error: Option<TaskError>, now: DateTime<Utc>) -> Transition {
    debug_assert!(TRANSITIONS.contains(&(task.status, status)), "{} -> {status}", task.status);
    task.status = status;
    task.updated_at = now;
    if status != Processing {
        (task.worker, task.lease_until) = (None, None);
    }
    if status.has_ended() {
        task.finished_at = Some(now);
        (task.waiting_for, task.cancel_requested) = (0, false);
    }
    if error.is_some() {
        task.error.clone_from(&error);
    }
    entered(task, error)
}

fn entered(task: &Task, error: Option<TaskError>) -> Transition {
    Transition {
        changed: true,
        event: Some(EventKind::Status { status: task.status, attempt: task.attempt, error }),
        wakes_queue: task.status == Pending && task.waiting_for == 0,
        wakes_subscribers: true,
        wait: None,
        ended: task.status.has_ended(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use chrono::TimeDelta;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::id::TaskId;
    use crate::domain::task::NewTask;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn error() -> TaskError {
        TaskError { kind: ErrorKind::Unavailable, message: "no".into() }
    }

    fn task() -> Task {
        Task::pending(NewTask { max_attempts: Some(2), ..NewTask::new("echo", json!({})) }, None, None, at(0))
    }

    fn claim(task: &mut Task, now: DateTime<Utc>) -> ClaimKey {
        let worker = InstanceId::new();
        let command = Command::Claim { worker, lease_until: now + TimeDelta::seconds(10) };
        assert!(apply(task, command, now).unwrap().event.is_some());
        ClaimKey { task: task.id, attempt: task.attempt, worker }
    }

    /// A task in this status, as its life brings it there, and the last claim on it.
    fn task_in(status: TaskStatus) -> (Task, ClaimKey) {
        let mut task = task();
        let key = claim(&mut task, at(1));
        let outcome = match status {
            Pending => Outcome::Released,
            Processing => return (task, key),
            Completed => Outcome::Completed(json!(1)),
            Failed => Outcome::Failed(error()),
            Cancelled => Outcome::Cancelled,
        };
        let _ = apply(&mut task, Command::Record(OutcomeRecord { claim: key, outcome }), at(2)).unwrap();
        assert_eq!(task.status, status);
        (task, key)
    }

    /// Every command, with the outcomes of `Record` one by one.
    fn commands(claim: ClaimKey) -> Vec<(&'static str, Command)> {
        let record = |outcome| Command::Record(OutcomeRecord { claim, outcome });
        let lease_until = at(100);
        vec![
            ("claim", Command::Claim { worker: InstanceId::new(), lease_until }),
            ("renew", Command::Renew { claim, lease_until }),
            ("complete", record(Outcome::Completed(Value::Null))),
            ("fail", record(Outcome::Failed(error()))),
            ("cancelled", record(Outcome::Cancelled)),
            ("retry", record(Outcome::Retry { at: at(50), error: error() })),
            ("release", record(Outcome::Released)),
            ("wait", record(Outcome::wait_for_all(vec![task()], json!(1)))),
            ("await", Command::AwaitChildren { until: WaitUntil::All, unfinished: 2, ended: 1 }),
            ("child ended", Command::ChildEnded),
            ("cancel", Command::Cancel),
            ("reap", Command::Reap),
            ("park", Command::Park(error())),
            ("retry by hand", Command::RetryByHand),
        ]
    }

    #[test]
    fn table_in_the_documentation_is_what_happens() {
        // The status afterwards, "!" for a refusal; in the order of the statuses.
        let table = [
            ("claim", ["processing", "!", "!", "!", "!"]),
            ("renew", ["!", "processing", "!", "!", "!"]),
            ("complete", ["!", "completed", "!", "!", "!"]),
            ("fail", ["!", "failed", "!", "!", "!"]),
            ("cancelled", ["!", "cancelled", "!", "!", "!"]),
            ("retry", ["!", "pending", "!", "!", "!"]),
            ("release", ["!", "pending", "!", "!", "!"]),
            ("wait", ["!", "pending", "!", "!", "!"]),
            ("await", ["pending", "processing", "completed", "failed", "cancelled"]),
            ("child ended", ["pending", "processing", "completed", "failed", "cancelled"]),
            ("cancel", ["cancelled", "processing", "!", "!", "!"]),
            ("reap", ["pending", "pending", "completed", "failed", "cancelled"]),
            ("park", ["failed", "failed", "completed", "failed", "cancelled"]),
            ("retry by hand", ["!", "!", "!", "pending", "!"]),
        ];
        for (status, column) in TaskStatus::ALL.into_iter().zip(0..) {
            let (before, key) = task_in(status);
            for ((name, command), (row, expected)) in commands(key).into_iter().zip(table) {
                assert_eq!(name, row);
                let mut task = before.clone();
                let applied = apply(&mut task, command, at(20));
                let got = applied.as_ref().map_or("!", |_| task.status.as_str());
                assert_eq!(got, expected[column], "{name} while it is {status}");
                match applied {
                    Err(e) => {
                        assert_eq!(e.kind(), ErrorKind::Conflict, "{e}");
                        assert_eq!(task, before, "a refused {name} changed the task");
                    }
                    Ok(transition) => {
                        assert_eq!(transition.changed, task != before, "{name} while it is {status}");
                        assert_eq!(
                            transition.event.is_some(),
                            task.status != status,
                            "{name}: {transition:?}"
                        );
                        assert_eq!(transition.ended, task.status.has_ended() && !status.has_ended());
                    }
                }
            }
            assert_eq!(check_deletion(&before).is_ok(), status.has_ended());
        }
    }

    #[test]
    fn task_that_waits_or_is_early_is_not_claimed() {
        let command = || Command::Claim { worker: InstanceId::new(), lease_until: at(100) };
        let mut waiting = Task { waiting_for: 1, ..task() };
        let mut early = Task { run_at: at(5), ..task() };
        assert!(apply(&mut waiting, command(), at(4)).is_err());
        assert!(apply(&mut early, command(), at(4)).is_err());
        assert!(apply(&mut early, command(), at(5)).is_ok());
    }

    #[test]
    fn requested_cancellation_ends_whatever_would_run_the_task_again() {
        for (name, command) in commands(task_in(Processing).1) {
            let (mut task, key) = task_in(Processing);
            let _ = apply(&mut task, Command::Cancel, at(3)).unwrap();
            assert!(task.cancel_requested);
            let Command::Record(OutcomeRecord { outcome, .. }) = command else { continue };
            let transition = apply(&mut task, Command::Record(OutcomeRecord { claim: key, outcome }), at(4));
            let expected = match name {
                "complete" => Completed,
                "fail" => Failed,
                _ => Cancelled,
            };
            assert_eq!((task.status, task.cancel_requested), (expected, false), "{name}");
            assert_eq!(transition.unwrap().wait, None, "{name} enqueues no children");
        }
    }

    #[test]
    fn lease_is_reaped_once_it_has_expired() {
        let (mut task, _) = task_in(Processing);
        assert_eq!(apply(&mut task, Command::Reap, at(10)).unwrap(), Transition::default());
        let _ = apply(&mut task, Command::Reap, at(11)).unwrap();
        assert_eq!((task.status, task.failures), (Pending, 1));
        claim(&mut task, at(12));
        let _ = apply(&mut task, Command::Reap, at(22)).unwrap();
        assert_eq!((task.status, task.failures, task.finished_at), (Failed, 2, Some(at(22))));
        assert_eq!(task.error.map(|error| error.kind), Some(ErrorKind::Timeout));
    }

    #[test]
    fn parent_waits_for_as_many_ends_as_its_wait_says() {
        for (until, unfinished, ended, expected) in [
            (WaitUntil::All, 3, 0, 3),
            (WaitUntil::All, 3, 1, 3),
            (WaitUntil::All, 0, 2, 0),
            (WaitUntil::Any, 3, 0, 1),
            (WaitUntil::Any, 3, 1, 0),
            (WaitUntil::Any, 0, 1, 0),
            (WaitUntil::Any, 0, 0, 0),
        ] {
            let (mut parent, _) = task_in(Pending);
            let transition = apply(&mut parent, Command::AwaitChildren { until, unfinished, ended }, at(3));
            assert_eq!(parent.waiting_for, expected, "{until:?} {unfinished} {ended}");
            assert_eq!(transition.unwrap().wakes_queue, expected == 0);
            for left in (0..expected).rev() {
                let transition = apply(&mut parent, Command::ChildEnded, at(4)).unwrap();
                assert_eq!((parent.waiting_for, transition.wakes_queue), (left, left == 0));
            }
            let last = apply(&mut parent, Command::ChildEnded, at(5)).unwrap();
            assert_eq!(last, Transition::default(), "it is due already, and is woken once");
        }
    }

    /// A family of tasks that follows the transitions, as a store does.
    #[derive(Default)]
    struct Family {
        tasks: BTreeMap<TaskId, Task>,
        events: BTreeMap<TaskId, Vec<TaskStatus>>,
        /// Children of the last wait of each parent, and the unfinished ones that it waits for.
        children: BTreeMap<TaskId, BTreeSet<TaskId>>,
        open: BTreeMap<TaskId, BTreeSet<TaskId>>,
    }

    impl Family {
        fn enqueue(&mut self, task: Task) -> TaskId {
            let (id, transition) = (task.id, enqueued(&task));
            self.tasks.insert(id, task);
            self.follow(id, transition, at(0));
            id
        }

        fn command(&mut self, id: TaskId, command: Command, now: DateTime<Utc>) {
            let task = self.tasks.get_mut(&id).unwrap();
            let before = task.clone();
            match apply(task, command, now) {
                Ok(transition) => self.follow(id, transition, now),
                Err(_) => assert_eq!(*task, before),
            }
        }

        fn follow(&mut self, id: TaskId, transition: Transition, now: DateTime<Utc>) {
            if let Some(EventKind::Status { status, .. }) = transition.event {
                self.events.entry(id).or_default().push(status);
            }
            if let Some(wait) = transition.wait {
                let new: Vec<TaskId> = wait.children.into_iter().map(|child| self.enqueue(child)).collect();
                let children: BTreeSet<TaskId> = wait.unfinished.into_iter().chain(new).collect();
                let has_ended = |id: &TaskId| self.tasks[id].status.has_ended();
                let (ended, open): (BTreeSet<_>, BTreeSet<_>) = children.iter().copied().partition(has_ended);
                let (unfinished, ended) = (open.len() as u32, ended.len() as u32);
                self.children.insert(id, children);
                self.open.insert(id, open);
                self.command(id, Command::AwaitChildren { until: wait.until, unfinished, ended }, now);
            }
            if transition.ended {
                let waits =
                    |(parent, open): (&TaskId, &mut BTreeSet<TaskId>)| open.remove(&id).then_some(*parent);
                let parents: Vec<TaskId> = self.open.iter_mut().filter_map(waits).collect();
                parents.into_iter().for_each(|parent| self.command(parent, Command::ChildEnded, now));
                for child in self.children.get(&id).cloned().unwrap_or_default() {
                    self.command(child, Command::Cancel, now);
                }
            }
        }

        fn check(&self) {
            for (id, task) in &self.tasks {
                let events = &self.events[id];
                assert_eq!((events[0], events.last()), (Pending, Some(&task.status)));
                for pair in events.windows(2) {
                    assert!(TRANSITIONS.contains(&(pair[0], pair[1])), "{events:?}");
                }
                let waits = task.status == Pending && task.waiting_for > 0;
                let open = self.open.get(id).map_or(0, BTreeSet::len) as u32;
                assert!(task.waiting_for <= open || !waits, "it waits for {} of {open}", task.waiting_for);
                assert_eq!(task.worker.is_some(), task.status == Processing);
                assert_eq!(task.lease_until.is_some(), task.status == Processing);
                assert_eq!(task.finished_at.is_some(), task.status.has_ended());
                assert_eq!(
                    task.attempt as usize,
                    events.iter().filter(|status| **status == Processing).count()
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        /// No sequence of commands reaches a status that the table lacks, loses an event, ends a parent twice or leaves
        /// it waiting for nobody.
        #[test]
        fn any_sequence_of_commands_keeps_the_properties(
            script in prop::collection::vec((any::<prop::sample::Index>(), 0..14_usize, 0..30_i64, any::<bool>()), 1..60),
        ) {
            let mut family = Family::default();
            family.enqueue(task());
            let mut now = at(0);
            for (which, command, seconds, any) in script {
                now += TimeDelta::seconds(seconds);
                let ids: Vec<TaskId> = family.tasks.keys().copied().collect();
                let id = *which.get(&ids);
                let task = &family.tasks[&id];
                let held = ClaimKey { task: id, attempt: task.attempt, worker: task.worker.unwrap_or(InstanceId(uuid::Uuid::nil())) };
                let (_, mut command) = commands(held).swap_remove(command);
                match &mut command {
                    // A store sends these as answers to a transition only.
                    Command::AwaitChildren { .. } | Command::ChildEnded => continue,
                    Command::Claim { lease_until, .. } => *lease_until = now + TimeDelta::seconds(10),
                    Command::Record(OutcomeRecord { outcome: Outcome::Wait(wait), .. }) => {
                        wait.until = if any { WaitUntil::Any } else { WaitUntil::All };
                        let open = family.open.get(&id).into_iter().flatten();
                        wait.unfinished = open.copied().collect();
                        if ids.len() > 20 {
                            wait.children.clear();
                        }
                    }
                    _ => {}
                }
                family.command(id, command, now);
                family.check();
            }
            // Whatever has happened, workers that complete everything bring all of it to its end.
            for _ in 0..200 {
                now += TimeDelta::seconds(60);
                for id in family.tasks.keys().copied().collect::<Vec<_>>() {
                    family.command(id, Command::Reap, now);
                    let worker = InstanceId::new();
                    family.command(id, Command::Claim { worker, lease_until: now + TimeDelta::seconds(10) }, now);
                    let attempt = family.tasks[&id].attempt;
                    let (claim, outcome) = (ClaimKey { task: id, attempt, worker }, Outcome::Completed(json!(1)));
                    family.command(id, Command::Record(OutcomeRecord { claim, outcome }), now);
                }
                family.check();
            }
            let unfinished: Vec<_> = family.tasks.values().filter(|task| !task.status.has_ended()).collect();
            prop_assert!(unfinished.is_empty(), "{unfinished:?}");
        }
    }
}
