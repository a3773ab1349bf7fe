//! Workers: from a due task to the recorded outcome of its attempt.
//!
//! * `claimer`: claims due tasks and starts them as workers become free,
//! * `dispatch`: local dispatch of new tasks to free workers, `reservation`: what a submitter holds meanwhile,
//! * `in_flight`: the claims held by this process, with their cancellation handles,
//! * `run`: runs one claim and determines its outcome, `retry`: backoff between attempts,
//! * `outcome_writer`: records outcomes, many per transaction,
//! * `heartbeat`: renews leases, receives cancellations, gives up lost claims,
//! * `clock_watch`: suspends reaping after the wall clock was set forward,
//! * `attempt_duration`: estimates the duration of attempts, `attempt_metrics`: metrics of attempts.

pub(crate) mod attempt_duration;
mod attempt_metrics;
pub(crate) mod claimer;
mod clock_watch;
pub(crate) mod dispatch;
pub(crate) mod heartbeat;
pub(crate) mod in_flight;
pub(crate) mod outcome_writer;
pub(crate) mod reservation;
mod retry;
mod run;
