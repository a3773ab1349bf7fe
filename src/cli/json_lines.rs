//! Log lines as flat JSON objects, with the most important fields first.

use std::fmt::{self, Debug};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats `timestamp`, `level`, `service`, `trace_id`, `user_id`, `message` and `target`, then the fields of the
/// event and of the spans around it. Fields of spans with a dot in their name are meant for traces and omitted;
/// unknown values are `null`. Requires [`JsonFields`](tracing_subscriber::fmt::format::JsonFields).
pub(crate) struct JsonLines {
    service: Value,
}

impl JsonLines {
    /// Creates a formatter for the lines of this service.
    pub(crate) fn new(service: &str) -> Self {
        Self { service: Value::from(service) }
    }
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Map::new();
        // From the outermost span inward, so that a field of an inner span, which is more specific, overrides an
        // outer one.
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let Some(text) = extensions.get::<FormattedFields<N>>() else { continue };
            if let Ok(Value::Object(of_span)) = serde_json::from_str(text) {
                fields.extend(of_span.into_iter().filter(|(name, _)| !name.contains('.')));
            }
        }
        event.record(&mut Fields(&mut fields));
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let first = [
            ("timestamp", Value::from(timestamp)),
            ("level", Value::from(event.metadata().level().as_str())),
            ("service", self.service.clone()),
            ("trace_id", fields.remove("trace_id").unwrap_or_default()),
            ("user_id", fields.remove("user_id").unwrap_or_default()),
            ("message", fields.remove("message").unwrap_or_default()),
            ("target", Value::from(event.metadata().target())),
        ];
        let rest = fields.iter().map(|(name, value)| (name.as_str(), value));
        for (index, (name, value)) in first.iter().map(|(name, value)| (*name, value)).chain(rest).enumerate()
        {
            let before = if index == 0 { '{' } else { ',' };
            write!(writer, "{before}{}:{value}", Value::from(name))?;
        }
        writeln!(writer, "}}")
    }
}

/// Collects the fields of an event in a map.
struct Fields<'m>(&'m mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}"));
    }
}
