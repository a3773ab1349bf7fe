//! Requests for tasks, built step by step.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::task::NewTask;
use crate::error::{Error, Result};

impl NewTask {
    /// Creates a request with an input of any type, and the default of every other field.
    ///
    /// # Errors
    /// `InvalidInput` naming `payload` if the input cannot be written as JSON.
    ///
    /// # Examples
    ///
    /// ```
    /// use serde::Serialize;
    /// use sutazai_core::domain::NewTask;
    ///
    /// #[derive(Serialize)]
    /// struct Text {
    ///     text: String,
    /// }
    ///
    /// let new = NewTask::from_input("word-counter", Text { text: "one two".into() })?
    ///     .title("Count the words")
    ///     .priority(7)
    ///     .max_attempts(1);
    /// assert_eq!(new.payload["text"], "one two");
    /// assert_eq!((new.priority, new.timeout_seconds), (Some(7), None));
    /// # Ok::<(), sutazai_core::Error>(())
    /// ```
    pub fn from_input(agent: impl Into<String>, input: impl Serialize) -> Result<Self> {
        let payload = serde_json::to_value(input)
            .map_err(|e| Error::invalid("payload", format!("cannot be written as JSON: {e}")))?;
        Ok(Self::new(agent, payload))
    }

    /// Sets the short title for people, of at most 200 characters.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets the longer description for people, of at most 4,000 characters.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets the priority among the owner's tasks, 0 (lowest) to 9 (highest); default: that of the agent.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets the time limit of one attempt in seconds, 1 to 86,400; default: that of the agent.
    #[must_use]
    pub fn timeout_seconds(mut self, seconds: u32) -> Self {
        self.timeout_seconds = Some(seconds);
        self
    }

    /// Sets the number of failed attempts after which the task fails, 1 to 100; default: that of the
    /// agent.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// Sets the earliest start, from one day ago to ten years from now; default: at once.
    #[must_use]
    pub fn run_at(mut self, at: DateTime<Utc>) -> Self {
        self.run_at = Some(at);
        self
    }

    /// Sets the idempotency key: repeated submissions of an owner with the same key return the same task.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Sets the deduplication key: while a task of this owner and agent with this key is pending or processing, a
    /// submission returns that task, whatever else it requests.
    #[must_use]
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.unique_key = Some(key.into());
        self
    }
}
