//! Schemas of the domain's enumerations, generated from the domain's own lists: a new value is in the description as
//! soon as it is in the list.

use std::borrow::Cow;
use std::marker::PhantomData;

use sutazai_core::ErrorKind;
use sutazai_core::domain::{
    AgentMessageType, FinishReason, MediaType, MissedRuns, OverlapPolicy, PriorityLevel, Role, Scope,
    TaskStatus, UserRole,
};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Schema of the values of `T`. The aliases below replace `T` in `#[schema(value_type = ...)]`.
#[derive(Debug)]
pub struct Word<T>(PhantomData<T>);

/// Status of a task.
pub type StatusWord = Word<TaskStatus>;
/// Role of a user.
pub type RoleWord = Word<UserRole>;
/// Scope of an API key.
pub type ScopeWord = Word<Scope>;
/// Kind of an error.
pub type KindWord = Word<ErrorKind>;
/// Role of the author of a message in a conversation.
pub type RoleOfSpeakerWord = Word<Role>;
/// Handling of missed due times of a schedule.
pub type MissedRunsWord = Word<MissedRuns>;
/// Handling of a due time of a schedule while an earlier task of it has not ended.
pub type OverlapPolicyWord = Word<OverlapPolicy>;
/// Type of a message between agents.
pub type AgentMessageTypeWord = Word<AgentMessageType>;
/// Format of an uploaded file.
pub type MediaTypeWord = Word<MediaType>;
/// Urgency of a whole analysis.
pub type PriorityLevelWord = Word<PriorityLevel>;
/// Reason why a model's answer ended.
pub type FinishReasonWord = Word<FinishReason>;

/// Domain type whose values are a fixed set of strings.
pub trait Vocabulary {
    /// Name of the schema.
    const NAME: &'static str;

    /// Returns all values as they appear in JSON.
    fn words() -> Vec<&'static str>;
}

impl Vocabulary for TaskStatus {
    const NAME: &'static str = "TaskStatus";

    fn words() -> Vec<&'static str> {
        Self::ALL.map(Self::as_str).into()
    }
}

impl Vocabulary for UserRole {
    const NAME: &'static str = "UserRole";

    fn words() -> Vec<&'static str> {
        Self::ALL.map(Self::as_str).into()
    }
}

impl Vocabulary for Scope {
    const NAME: &'static str = "Scope";

    fn words() -> Vec<&'static str> {
        Self::ALL.map(Self::as_str).into()
    }
}

impl Vocabulary for Role {
    const NAME: &'static str = "Speaker";

    fn words() -> Vec<&'static str> {
        Self::ALL.map(Self::as_str).into()
    }
}

impl Vocabulary for AgentMessageType {
    const NAME: &'static str = "AgentMessageType";

    fn words() -> Vec<&'static str> {
        Self::ALL.map(Self::as_str).into()
    }
}

impl Vocabulary for MediaType {
    const NAME: &'static str = "MediaType";

    fn words() -> Vec<&'static str> {
        Self::ALL.map(Self::as_str).into()
    }
}

impl Vocabulary for MissedRuns {
    const NAME: &'static str = "MissedRuns";

    fn words() -> Vec<&'static str> {
        Self::ALL.map(Self::as_str).into()
    }
}

impl Vocabulary for OverlapPolicy {
    const NAME: &'static str = "OverlapPolicy";

    fn words() -> Vec<&'static str> {
        Self::ALL.map(Self::as_str).into()
    }
}

impl Vocabulary for PriorityLevel {
    const NAME: &'static str = "PriorityLevel";

    fn words() -> Vec<&'static str> {
        [Self::Low, Self::Medium, Self::High, Self::Critical].map(Self::as_str).into()
    }
}

impl Vocabulary for FinishReason {
    const NAME: &'static str = "FinishReason";

    fn words() -> Vec<&'static str> {
        Self::ALL.map(Self::as_str).into()
    }
}

impl Vocabulary for ErrorKind {
    const NAME: &'static str = "ErrorKind";

    fn words() -> Vec<&'static str> {
        Self::ALL.map(Self::as_str).into()
    }
}

impl<T: Vocabulary> PartialSchema for Word<T> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(T::words())).into()
    }
}

impl<T: Vocabulary> ToSchema for Word<T> {
    fn name() -> Cow<'static, str> {
        T::NAME.into()
    }
}
