//! Description of an agent, its liveness and the result of one run.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::rule::RuleDescriptor;
use super::task::NewTask;
use crate::error::Result;

/// Self-description of an agent, as its registry lists it.
///
/// # Examples
///
/// ```
/// use serde_json::json;
/// use sutazai_core::domain::AgentDescriptor;
///
/// let descriptor = AgentDescriptor::new("word-counter", "Counts the words of a text.")
///     .capabilities(["count_words"])
///     .input_schema(json!({
///         "type": "object",
///         "properties": { "text": { "type": "string" } },
///         "required": ["text"]
///     }));
/// assert_eq!(descriptor.name, "word-counter");
/// assert_eq!(descriptor.output_schema, None);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentDescriptor {
    /// Name in kebab case, by which tasks address the agent.
    pub name: String,
    /// One sentence on what the agent does, for people.
    pub description: String,
    /// Capabilities of the agent, in snake case.
    pub capabilities: Vec<String>,
    /// JSON Schema (2020-12) that a task's payload must fit.
    pub input_schema: Value,
    /// JSON Schema (2020-12) that a result must fit; `None` if the agent promises no form.
    #[serde(default)]
    pub output_schema: Option<Value>,
    /// Rules by which the agent judges measured values; empty if it judges by none.
    #[serde(default)]
    pub rules: Vec<RuleDescriptor>,
    /// Settings of the agent's tasks whose requests leave them out.
    #[serde(default)]
    pub defaults: TaskDefaults,
}

/// Settings of an agent's tasks whose requests leave them out, wherever these come from: Rust, HTTP, Python or a
/// schedule.
///
/// # Examples
///
/// ```
/// use sutazai_core::domain::{AgentDescriptor, TaskDefaults};
///
/// let defaults = TaskDefaults::default().timeout_seconds(3_600).max_attempts(1);
/// let descriptor = AgentDescriptor::new("archiver", "Packs a folder.").defaults(defaults);
/// assert_eq!((descriptor.defaults.priority, descriptor.defaults.timeout_seconds), (5, 3_600));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TaskDefaults {
    /// Priority among the owner's tasks, 0 (lowest) to 9 (highest); 5 unless set.
    pub priority: u8,
    /// Time limit of one attempt in seconds, 1 to 86,400; 300 unless set.
    pub timeout_seconds: u32,
    /// Number of failed attempts after which a task fails, 1 to 100; 3 unless set.
    pub max_attempts: u32,
}

impl Default for TaskDefaults {
    fn default() -> Self {
        Self { priority: 5, timeout_seconds: 300, max_attempts: 3 }
    }
}

impl TaskDefaults {
    /// Checks the bounds of every field.
    ///
    /// # Errors
    /// `InvalidInput` naming the first invalid field.
    pub(crate) fn validate(&self) -> Result<()> {
        let checked = NewTask::new("any", Value::Null).or_defaults(self).validate();
        checked.map_err(|e| {
            let field = format!("agent.defaults.{}", e.field().unwrap_or_default());
            e.with_field(field)
        })
    }

    /// Sets the priority, 0 (lowest) to 9 (highest).
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the time limit of one attempt in seconds, 1 to 86,400.
    #[must_use]
    pub fn timeout_seconds(mut self, seconds: u32) -> Self {
        self.timeout_seconds = seconds;
        self
    }

    /// Sets the number of failed attempts after which a task fails, 1 to 100.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }
}

impl AgentDescriptor {
    /// Describes an agent that takes any JSON object and promises no form of its results. Its only capability is its
    /// name in snake case.
    pub fn new(name: impl Into<String>, description: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            capabilities: vec![name.replace('-', "_")],
            name,
            description: description.into(),
            input_schema: json!({ "type": "object" }),
            output_schema: None,
            rules: Vec::new(),
            defaults: TaskDefaults::default(),
        }
    }

    /// Sets the capabilities, in snake case.
    #[must_use]
    pub fn capabilities(mut self, capabilities: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.capabilities = capabilities.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the JSON Schema (2020-12) that a task's payload must fit.
    #[must_use]
    pub fn input_schema(mut self, schema: Value) -> Self {
        self.input_schema = schema;
        self
    }

    /// Sets the JSON Schema (2020-12) that a result must fit.
    #[must_use]
    pub fn output_schema(mut self, schema: Value) -> Self {
        self.output_schema = Some(schema);
        self
    }

    /// Sets the rules by which the agent judges measured values.
    #[must_use]
    pub fn rules(mut self, rules: Vec<RuleDescriptor>) -> Self {
        self.rules = rules;
        self
    }

    /// Sets the settings of the agent's tasks whose requests leave them out.
    #[must_use]
    pub fn defaults(mut self, defaults: TaskDefaults) -> Self {
        self.defaults = defaults;
        self
    }
}

/// Liveness of an agent over all processes that share the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentStatus {
    /// Indicates that a worker process sent a heartbeat for the agent within the last minute.
    pub online: bool,
    /// Time of the last heartbeat, if there was one.
    pub last_seen_at: Option<DateTime<Utc>>,
}

/// Result of one run of an agent.
///
/// # Examples
///
/// ```
/// use serde_json::{Value, json};
/// use sutazai_core::domain::{NewTask, Step, Task};
///
/// /// Counts two texts in child tasks, then adds up their results.
/// fn step(children: &[Task]) -> Step {
///     if children.is_empty() {
///         let child = |text| NewTask::new("word-counter", json!({ "text": text }));
///         return Step::wait_for_all(vec![child("one"), child("two words")], Value::Null);
///     }
///     let words = children.iter().filter_map(|child| child.result.as_ref()?["words"].as_u64());
///     Step::Done(json!({ "words": words.sum::<u64>() }))
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The task has ended with this result.
    Done(Value),
    /// Runs `children` and then the agent again, with `state` and all children that it waited for. No worker is
    /// occupied meanwhile.
    ///
    /// Children of an earlier wait that had not ended when this run began are waited for as well. Those that had ended are
    /// not given again, so what is still needed of them belongs into `state`.
    Wait {
        /// Tasks to run, submitted in this order; at least one, unless earlier children have not ended.
        children: Vec<NewTask>,
        /// State that the next run receives unchanged.
        state: Value,
        /// Children that must end before the next run.
        until: WaitUntil,
    },
}

impl Step {
    /// Creates the step that runs the agent again when all children have ended.
    pub fn wait_for_all(children: Vec<NewTask>, state: Value) -> Self {
        Self::Wait { children, state, until: WaitUntil::All }
    }

    /// Creates the step that runs the agent again when at least one more child has ended.
    pub fn wait_for_any(children: Vec<NewTask>, state: Value) -> Self {
        Self::Wait { children, state, until: WaitUntil::Any }
    }
}

/// Number of children that must end before a task that waits for them is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitUntil {
    /// One child that had not ended when the waiting run began. Several that end before the next claim make the task due
    /// once.
    Any,
    /// Every child that is waited for.
    All,
}
