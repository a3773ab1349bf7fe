//! Metrics for Prometheus, served at `GET /metrics`.
//!
//! All crates record through the `metrics` facade; [`Monitoring`] is the recorder behind it. Gauges that nothing
//! increments, such as the depth of the queue and the load of the machine, are updated when somebody reads.
//!
//! * `recorder`: names, units and descriptions of all metrics, and their text form,
//! * `refresh`: updates the gauges that nothing increments,
//! * `request_metrics`: numbers and durations of requests,
//! * `counts`: other counters of this crate,
//! * `disks`: use of the file systems,
//! * `process`: this process, from `/proc`.

pub(crate) mod counts;
mod disks;
mod process;
mod recorder;
pub(crate) mod refresh;
pub(crate) mod request_metrics;

pub use recorder::Monitoring;
