//! Conformance suite of the port [`crate::ports::EventSink`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use chrono::DateTime;

use crate::domain::{EventKind, NewEvent, TaskError, TaskStatus};
use crate::error::ErrorKind;
use crate::ports::EventSink;

/// Time limit for calls that must not wait; generous, because machines of tests are slow.
const HANG_LIMIT: Duration = Duration::from_secs(60);

/// Runs every check of the contract. `make` returns a new sink each time, and `passed_on` the events that a sink has
/// passed on so far: none for a sink that shows or discards them.
pub fn run_all<S: EventSink>(make: impl Fn() -> S, passed_on: impl Fn(&S) -> Vec<NewEvent>) {
    every_event_is_accepted_without_a_reader(make());
    events_keep_the_order_of_their_thread(make(), passed_on);
}

/// `emit` accepts every event, and returns even if nothing reads the events.
pub fn every_event_is_accepted_without_a_reader<S: EventSink>(sink: S) {
    let (done, accepted) = channel();
    thread::spawn(move || {
        let texts = ["", "a\0b", "\u{1f600}\n\u{1b}[31m"].map(str::to_owned);
        let texts = || texts.iter().cloned().chain(["x".repeat(3_000_000)]);
        for fraction in [0.0, 0.5, 1.0, -1.0, f32::NAN, f32::INFINITY] {
            texts()
                .for_each(|message| sink.emit(event(EventKind::Progress { fraction, message, stage: None })));
        }
        texts().for_each(|text| sink.emit(event(EventKind::text(text))));
        let error = Some(TaskError { kind: ErrorKind::Internal, message: String::new() });
        sink.emit(event(EventKind::Status { status: TaskStatus::Failed, attempt: u32::MAX, error }));
        sink.emit(event(EventKind::Findings { findings: Vec::new() }));
        (0..20_000).for_each(|n| sink.emit(progress(0, n)));
        let _ = done.send(());
    });
    accepted.recv_timeout(HANG_LIMIT).expect("an event was not accepted");
}

/// Events that are passed on keep the order in which one thread emitted them, also under concurrent calls. Consecutive
/// texts may be joined, and events may be dropped.
pub fn events_keep_the_order_of_their_thread<S: EventSink>(sink: S, passed_on: impl Fn(&S) -> Vec<NewEvent>) {
    const THREADS: usize = 4;
    const EACH: usize = 500;
    let sink = Arc::new(sink);
    let emitters = [0, 1, 2, 3].map(|thread| {
        let sink = sink.clone();
        thread::spawn(move || {
            for n in 0..EACH {
                // Each in a line of its own, so that joined texts can be told apart.
                let text = format!("{thread} {n}\n");
                sink.emit(if n % 2 == 0 { event(EventKind::text(text)) } else { progress(thread, n) });
            }
        })
    });
    emitters.into_iter().for_each(|emitter| emitter.join().unwrap());
    let mut latest: HashMap<usize, usize> = HashMap::new();
    for NewEvent { kind, .. } in passed_on(&sink) {
        let (EventKind::Text { text, .. } | EventKind::Progress { message: text, .. }) = kind else {
            panic!("an event that was not emitted: {kind:?}");
        };
        for line in text.lines() {
            let numbers: Vec<usize> = line.split(' ').map(|number| number.parse().unwrap()).collect();
            let [thread, n] = numbers[..] else { panic!("a text that was not emitted: {line:?}") };
            assert!(thread < THREADS && n < EACH, "an event that was not emitted: {line:?}");
            let before = latest.insert(thread, n);
            assert!(before.is_none_or(|before| before < n), "{n} of thread {thread} came after {before:?}");
        }
    }
}

fn progress(thread: usize, n: usize) -> NewEvent {
    event(EventKind::progress(0.5, format!("{thread} {n}")))
}

fn event(kind: EventKind) -> NewEvent {
    NewEvent { at: DateTime::UNIX_EPOCH, kind }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::SilentEventSink;
    use crate::testing::RecordedEvents;

    #[test]
    fn sinks_conform() {
        run_all(|| SilentEventSink, |_| Vec::new());
        run_all(RecordedEvents::default, RecordedEvents::all);
    }
}
