//! Log records on their way to Python's `logging`: a queue that a thread of Python reads. A record that finds the queue
//! full is dropped and counted, so that a slow handler never delays the engine.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Once, RwLock, TryLockError};
use std::{fmt, thread};

use pyo3::prelude::*;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use crate::queue::{Item, Queue, Sender};
use crate::runtime::Process;

/// Maximum number of records that wait for Python.
const MAX_RECORDS: usize = 4_096;
/// Number of attempts to change the receiver. Readers hold its lock for microseconds, except one that a fork has copied,
/// which holds it for ever.
const MAX_ATTEMPTS: usize = 1_000;
/// Fields of spans that a record has as well.
const INHERITED: [&str; 3] = ["task", "agent", "trace_id"];

static INSTALL: Once = Once::new();
/// Most verbose level that is forwarded: 0 for none, 1 for errors, to 5 for traces.
static LEVEL: AtomicU8 = AtomicU8::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);
static RECEIVER: RwLock<Option<Receiver>> = RwLock::new(None);

/// Queue that receives the records, and the process whose thread reads it.
struct Receiver {
    process: Process,
    queue: Arc<Sender>,
}

/// Forwards records up to this level, from 0 for none to 5 for traces, to this queue.
#[pyfunction]
pub(crate) fn forward_logs(queue: &Queue, level: u8) {
    INSTALL.call_once(|| {
        // Nothing else in this library sets a subscriber.
        let _ = tracing::subscriber::set_global_default(Registry::default().with(Forwarder));
    });
    if receive(Some(Receiver { process: Process::this(), queue: queue.sender() })) {
        LEVEL.store(level, Ordering::Relaxed);
    }
}

/// Forwards no more records, and puts an empty one behind the last in this queue.
#[pyfunction]
pub(crate) fn stop_logs(queue: &Queue) {
    LEVEL.store(0, Ordering::Relaxed);
    receive(None);
    queue.sender().push(Item::Record(Vec::new()));
}

/// Changes the receiver; returns whether that was possible.
fn receive(receiver: Option<Receiver>) -> bool {
    for _ in 0..MAX_ATTEMPTS {
        match RECEIVER.try_write() {
            Ok(mut current) => {
                *current = receiver;
                return true;
            }
            Err(TryLockError::Poisoned(_)) => return false,
            Err(TryLockError::WouldBlock) => thread::yield_now(),
        }
    }
    false
}

/// Returns the last part of the name of the logger in Python; `None` for other libraries.
fn logger_of(target: &str) -> Option<&'static str> {
    let (library, module) = target.split_once("::").unwrap_or((target, ""));
    match library {
        "sutazai_store" => Some("store"),
        "sutazai_http" => Some("http"),
        "sutazai_agent" if module.starts_with("models") => Some("models"),
        "sutazai_core" | "sutazai_agent" | "sutazai" | "_sutazai" => Some("engine"),
        _ => None,
    }
}

fn number_of(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// Fields of a span or a record.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    values: Map<String, Value>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        self.values.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.add(field, format!("{value:?}").into()),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }
}

/// Layer that forwards the records of this project.
#[derive(Debug)]
struct Forwarder;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Forwarder {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match logger_of(metadata.target()) {
            // The level may change with every engine that opens.
            Some(_) => Interest::sometimes(),
            None => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        number_of(*metadata.level()) <= LEVEL.load(Ordering::Relaxed)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(logger) = logger_of(event.metadata().target()) else { return };
        // Without waiting: the lock may be one that a fork has copied.
        let Ok(receiver) = RECEIVER.try_read() else { return };
        let Some(receiver) = receiver.as_ref().filter(|receiver| receiver.process.is_this()) else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut inherited = Map::new();
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            let Some(of_span) = extensions.get::<Fields>() else { continue };
            for name in INHERITED {
                if let Some(value) = of_span.values.get(name) {
                    inherited.entry(name).or_insert_with(|| value.clone());
                }
            }
        }
        let record = json!({
            "logger": logger,
            "level": number_of(*event.metadata().level()),
            "message": fields.message,
            "fields": fields.values,
            "context": inherited,
            "dropped": DROPPED.swap(0, Ordering::Relaxed),
        });
        let record = Item::Record(record.to_string().into_bytes());
        if !receiver.queue.push_unless_full(record, MAX_RECORDS) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
}
