//! What Prometheus reads at `GET /metrics`.
//!
//! All crates count through the `metrics` facade; [`Monitoring`] is the recorder behind it. What nobody counts - how
//! long the queue is, how the machine is - is asked for when somebody reads.
//!
//! * `recorder`: names, units and meanings of all metrics, and their text,
//! * `refresh`: asks for what nobody counts,
//! * `answers`: requests, and how long they took,
//! * `counts`: what else this crate counts,
//! * `disks`: how full file systems are,
//! * `process`: this process, from `/proc`.

pub(crate) mod answers;
pub(crate) mod counts;
mod disks;
mod process;
mod recorder;
pub(crate) mod refresh;

pub use recorder::Monitoring;
