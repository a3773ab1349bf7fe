//! Event sink port: receives what an agent reports while it runs.

use std::fmt::Debug;

use crate::domain::NewEvent;

/// Receiver of an agent's progress and text. That of a worker stores them in batches.
///
/// # Contract
/// - `emit` accepts every event, and returns even if nothing reads the events.
/// - Events that are passed on keep the order in which one thread emitted them, also under concurrent calls. Consecutive
///   texts may be joined, and events may be dropped.
///
/// # Examples
///
/// ```
/// use sutazai_core::domain::{EventKind, NewEvent};
/// use sutazai_core::ports::{Clock, EventSink, SystemClock};
///
/// /// Prints what an agent reports.
/// #[derive(Debug)]
/// struct Terminal;
///
/// impl EventSink for Terminal {
///     fn emit(&self, event: NewEvent) {
///         if let EventKind::Progress { fraction, message, .. } = event.kind {
///             println!("{:3.0} % {message}", fraction * 100.0);
///         }
///     }
/// }
///
/// let kind = EventKind::progress(0.5, "counting");
/// Terminal.emit(NewEvent { at: SystemClock.now(), kind });
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
pub trait EventSink: Debug + Send + Sync + 'static {
    /// Accepts an event without waiting.
    fn emit(&self, event: NewEvent);
}

/// Event sink that discards all events, for callers that only need the result of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct SilentEventSink;

impl EventSink for SilentEventSink {
    fn emit(&self, _event: NewEvent) {}
}
