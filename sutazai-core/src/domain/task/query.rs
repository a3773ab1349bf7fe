//! Listings of tasks: their filters, and the items that lists show.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::record::Task;
use crate::domain::finding::Severity;
use crate::domain::id::{TaskId, UserId};
use crate::domain::page::PageRequest;
use crate::domain::report::PriorityLevel;
use crate::domain::status::TaskStatus;
use crate::error::{Error, Result};

/// Maximum length of a searched text in characters: that of a title.
const MAX_SEARCH_CHARS: usize = 200;
/// Minimum number of hexadecimal digits that are taken for the beginning of an id. All ids of a year share the first two
/// or three, so that fewer would find everything.
const MIN_ID_DIGITS: usize = 8;
/// Number of hexadecimal digits of an id.
const ID_DIGITS: usize = 32;

/// Filter and page of a listing of tasks, newest first. Set fields are combined with "and".
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskQuery {
    /// Only tasks with one of these ids; empty: with any.
    pub ids: Vec<TaskId>,
    /// Only tasks of this owner.
    pub owner: Option<UserId>,
    /// Only tasks in one of these statuses; empty: in any.
    pub statuses: Vec<TaskStatus>,
    /// Only tasks of this agent.
    pub agent: Option<String>,
    /// Only children of this task.
    pub parent: Option<TaskId>,
    /// Only tasks whose title or id is searched for.
    pub search: Option<TaskSearch>,
    /// Only tasks created at or after this time.
    pub created_after: Option<DateTime<Utc>>,
    /// Only tasks created before this time.
    pub created_before: Option<DateTime<Utc>>,
    /// Page of the listing to return.
    pub page: PageRequest<TaskId>,
}

impl TaskQuery {
    /// Returns whether the task matches all filters; the position in the listing is no filter.
    pub fn matches(&self, task: &Task) -> bool {
        (self.ids.is_empty() || self.ids.contains(&task.id))
            && self.owner.is_none_or(|owner| task.owner == Some(owner))
            && (self.statuses.is_empty() || self.statuses.contains(&task.status))
            && self.agent.as_ref().is_none_or(|agent| task.agent == *agent)
            && self.parent.is_none_or(|parent| task.parent == Some(parent))
            && self.search.as_ref().is_none_or(|search| search.finds(task))
            && self.created_after.is_none_or(|after| task.created_at >= after)
            && self.created_before.is_none_or(|before| task.created_at < before)
    }
}

/// Text that is searched for in titles and ids.
///
/// # Examples
///
/// ```
/// use serde_json::json;
/// use sutazai_core::domain::{NewTask, Task, TaskSearch};
/// # use sutazai_core::ports::{Clock, SystemClock};
/// # let now = SystemClock.now();
///
/// let task = Task::pending(NewTask::new("echo", json!({})).title("Morning look"), None, None, now);
/// assert!(TaskSearch::new("LOOK")?.finds(&task));
/// assert!(TaskSearch::new(&task.id.to_string()[..13])?.finds(&task));
/// assert!(!TaskSearch::new("evening")?.finds(&task));
/// # Ok::<(), sutazai_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSearch {
    title: String,
    ids: Option<(TaskId, TaskId)>,
}

impl TaskSearch {
    /// Creates the search for this part of a title, regardless of the case of ASCII letters, or for an id that begins with
    /// it: with at least 8 hexadecimal digits, with or without hyphens.
    ///
    /// # Errors
    /// `InvalidInput` naming `search` if the text is longer than 200 characters.
    pub fn new(text: &str) -> Result<Self> {
        let count = text.chars().count();
        if count > MAX_SEARCH_CHARS {
            let why = format!("expected at most {MAX_SEARCH_CHARS} characters, got {count}");
            return Err(Error::invalid("search", why));
        }
        Ok(Self { title: text.to_ascii_lowercase(), ids: ids_from(text) })
    }

    /// Returns the part of a title, with its ASCII letters in lower case.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Returns the first and the last id that begin with the text, if it may be the beginning of one.
    pub fn ids(&self) -> Option<(TaskId, TaskId)> {
        self.ids
    }

    /// Returns whether the task has this title or id.
    pub fn finds(&self, task: &Task) -> bool {
        task.title.to_ascii_lowercase().contains(&self.title)
            || self.ids.is_some_and(|(first, last)| (first..=last).contains(&task.id))
    }
}

fn ids_from(text: &str) -> Option<(TaskId, TaskId)> {
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
    let fits =
        (MIN_ID_DIGITS..=ID_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let id = |filler: char| {
        let filled: String = digits.chars().chain(std::iter::repeat(filler)).take(ID_DIGITS).collect();
        u128::from_str_radix(&filled, 16).ok().map(|bits| TaskId(Uuid::from_u128(bits)))
    };
    if fits { id('0').zip(id('f')) } else { None }
}

/// A task as lists show it, without what may be large. An analysis, for one, has a whole snapshot in its result.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSummary {
    /// The task; its payload is null, and it has neither result nor state.
    pub task: Task,
    /// `priority_level` of the result, if it is that of an analysis.
    pub priority_level: Option<PriorityLevel>,
    /// Numbers of the findings in the result, if it has a list of them.
    pub findings: Option<FindingCounts>,
}

impl From<Task> for TaskSummary {
    fn from(task: Task) -> Self {
        let result = task.result.as_ref();
        let (priority_level, findings) =
            (result.and_then(Self::level_of), result.and_then(FindingCounts::in_result));
        let task = Task { payload: Value::Null, result: None, state: None, ..task };
        Self { task, priority_level, findings }
    }
}

/// Numbers of the findings of an analysis by severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FindingCounts {
    /// Number of problems that must be solved now.
    pub critical: u32,
    /// Number of problems that should be solved.
    pub warning: u32,
    /// Number of findings that are good to know.
    pub info: u32,
}

impl FindingCounts {
    /// Counts the `findings` of a result; `None` if it has no such list. Elements without a severity count as none.
    pub fn in_result(result: &Value) -> Option<Self> {
        let findings = result.get("findings")?.as_array()?;
        let severities = findings.iter().filter_map(|finding| finding.as_object()?.get("severity")?.as_str());
        Some(Self::of(severities))
    }

    /// Counts these severities, each by its name in lower case; other names count as none.
    pub fn of<'s>(severities: impl IntoIterator<Item = &'s str>) -> Self {
        let mut counts = Self::default();
        for name in severities {
            let count = match name {
                _ if name == Severity::Critical.as_str() => &mut counts.critical,
                _ if name == Severity::Warning.as_str() => &mut counts.warning,
                _ if name == Severity::Info.as_str() => &mut counts.info,
                _ => continue,
            };
            *count += 1;
        }
        counts
    }
}

impl TaskSummary {
    /// Returns the `priority_level` of a result, if it is that of an analysis.
    pub fn level_of(result: &Value) -> Option<PriorityLevel> {
        result.get("priority_level").and_then(Value::as_str).and_then(Self::level)
    }

    /// Returns the level that this word stands for.
    pub fn level(word: &str) -> Option<PriorityLevel> {
        serde_json::from_value(word.into()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_of_ids_have_at_least_8_digits() {
        let range = |text: &str| {
            let ids = TaskSearch::new(text).unwrap().ids();
            ids.map(|(first, last)| (first.0.simple().to_string(), last.0.simple().to_string()))
        };
        let of = |first: &str, last: &str| Some((first.to_owned(), last.to_owned()));
        let (zeros, fs) = ("0".repeat(24), "f".repeat(24));
        assert_eq!(range("0195F3A0"), of(&format!("0195f3a0{zeros}"), &format!("0195f3a0{fs}")));
        assert_eq!(range(" 0195f3a0-"), range("0195f3a0"));
        let whole = "0195f3a0-0000-7000-8000-000000000001";
        assert_eq!(range(whole), of(&whole.replace('-', ""), &whole.replace('-', "")));
        for none in ["", "0195f3a", "0195f3a0g", "look", &format!("{whole}0"), "--------"] {
            assert_eq!(range(none), None, "{none}");
        }
        let e = TaskSearch::new(&"x".repeat(201)).unwrap_err();
        assert_eq!(e.field(), Some("search"), "{e}");
    }
}
