//! Messages for other programs on a message bus, and the format of those about events, which `docs/bus.md` documents: it
//! may be extended, and otherwise changes only with the major version.

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

use super::event::{EventKind, TaskEvent};
use super::status::TaskStatus;
use super::task::Task;
use super::trace::TraceContext;

/// Maximum size of a result inside a message in bytes; consumers read larger ones from the task.
const MAX_RESULT_BYTES: usize = 65_536;

/// One message to publish on the bus.
#[derive(Debug, Clone, PartialEq)]
pub struct BusMessage {
    /// Message id, equal in every publication of the same message, so that consumers can recognize duplicates.
    pub id: String,
    /// Topic in words separated by dots, by which consumers select messages.
    pub topic: String,
    /// Body of the message, a JSON text.
    pub body: String,
    /// Trace context of the message, if it has one.
    pub trace: Option<TraceContext>,
}

impl BusMessage {
    /// Creates the message about an event of this task.
    pub fn of_event(event: &TaskEvent, task: &Task) -> Self {
        let mut body = Map::new();
        let mut say = |name: &str, value: Value| body.insert(name.to_owned(), value);
        let id = format!("{}:{}", event.task_id, event.sequence);
        say("id", json!(id));
        say("type", json!(event.kind.name()));
        say("task_id", json!(event.task_id));
        say("sequence", json!(event.sequence));
        say("at", json!(event.at.to_rfc3339_opts(SecondsFormat::Micros, true)));
        say("agent", json!(task.agent));
        say("owner", json!(task.owner));
        say("trace_id", json!(task.trace.as_ref().map(|trace| trace.id())));
        let last = match &event.kind {
            EventKind::Status { status, attempt, error } => {
                say("status", json!(status));
                say("attempt", json!(attempt));
                if let Some(error) = error {
                    say("error", json!(error));
                }
                if *status == TaskStatus::Completed
                    && let Some(result) = task.result.as_ref().filter(|result| is_small(result))
                {
                    say("result", result.clone());
                }
                status.as_str()
            }
            EventKind::Progress { fraction, message, stage } => {
                say("fraction", json!(fraction));
                say("message", json!(message));
                if let Some(stage) = stage {
                    say("stage", json!(stage));
                }
                event.kind.name()
            }
            EventKind::Text { text, finding_id } => {
                say("text", json!(text));
                if let Some(finding_id) = finding_id {
                    say("finding_id", json!(finding_id));
                }
                event.kind.name()
            }
            EventKind::Findings { findings } => {
                say("findings", json!(findings));
                event.kind.name()
            }
        };
        Self {
            id,
            topic: format!("task.{}.{last}", task.agent),
            body: Value::Object(body).to_string(),
            // Before the first span has started there is no parent for a consumer's span.
            trace: task.trace.clone().filter(|trace| trace.span_id() != 0),
        }
    }
}

fn is_small(result: &Value) -> bool {
    serde_json::to_vec(result).is_ok_and(|text| text.len() <= MAX_RESULT_BYTES)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::NewTask;

    fn said(kind: EventKind, result: Option<Value>) -> (String, Value) {
        let mut task =
            Task::pending(NewTask::new("word-counter", json!({})), None, None, DateTime::UNIX_EPOCH);
        task.result = result;
        let event = TaskEvent { task_id: task.id, sequence: 3, at: DateTime::UNIX_EPOCH, kind };
        let message = BusMessage::of_event(&event, &task);
        let body: Value = serde_json::from_str(&message.body).unwrap();
        assert_eq!(message.id, format!("{}:3", task.id));
        assert_eq!(body["id"], message.id);
        (message.topic, body)
    }

    #[test]
    fn message_of_a_completed_task_contains_a_small_result() {
        let ended = EventKind::Status { status: TaskStatus::Completed, attempt: 1, error: None };
        let (topic, body) = said(ended.clone(), Some(json!({ "words": 4 })));
        assert_eq!(topic, "task.word-counter.completed");
        assert_eq!((&body["status"], &body["result"]["words"]), (&json!("completed"), &json!(4)));
        assert_eq!(body["at"], "1970-01-01T00:00:00.000000Z");
        let (_, body) = said(ended, Some(json!("long".repeat(20_000))));
        assert_eq!(body.get("result"), None);
    }

    #[test]
    fn other_events_name_their_kind() {
        let (topic, body) = said(EventKind::text("so"), Some(json!(1)));
        assert_eq!((topic.as_str(), &body["text"]), ("task.word-counter.text", &json!("so")));
        assert_eq!((body.get("result"), body.get("finding_id")), (None, None));
        let about = EventKind::Text { text: "so".into(), finding_id: Some("swap_full".into()) };
        assert_eq!(said(about, None).1["finding_id"], "swap_full");
        let judging =
            EventKind::Progress { fraction: 0.5, message: "so".into(), stage: Some("judging".into()) };
        assert_eq!(said(judging, None).1["stage"], "judging");
        let (topic, body) = said(EventKind::Findings { findings: Vec::new() }, None);
        assert_eq!((topic.as_str(), &body["findings"]), ("task.word-counter.findings", &json!([])));
    }
}
