//! The closed vocabularies of the domain as schemas, made from the domain's own lists: a new status is in the document
//! as soon as it is in the list.

use std::borrow::Cow;
use std::marker::PhantomData;

use sutazai_core::ErrorKind;
use sutazai_core::domain::{
    AgentMessageType, FinishReason, MediaType, MissedRuns, OverlapPolicy, Role, Scope, TaskStatus, UserRole,
};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// One of the words of `T`. Stands for `T` in `#[schema(value_type = ...)]`, by one of the names below.
#[derive(Debug)]
pub(crate) struct Word<T>(PhantomData<T>);

/// Where a task stands.
pub(crate) type StatusWord = Word<TaskStatus>;
/// What a user may do.
pub(crate) type RoleWord = Word<UserRole>;
/// What an API key may do.
pub(crate) type ScopeWord = Word<Scope>;
/// What kind of error it is.
pub(crate) type KindWord = Word<ErrorKind>;
/// Who speaks in a conversation.
pub(crate) type RoleOfSpeakerWord = Word<Role>;
/// What becomes of the times that a schedule missed.
pub(crate) type MissedRunsWord = Word<MissedRuns>;
/// What happens at a time of a schedule while an earlier task of it has not ended.
pub(crate) type OverlapPolicyWord = Word<OverlapPolicy>;
/// What one agent says to another.
pub(crate) type AgentMessageTypeWord = Word<AgentMessageType>;
/// What kind of file a document was read from.
pub(crate) type MediaTypeWord = Word<MediaType>;
/// Why an answer ended.
pub(crate) type FinishReasonWord = Word<FinishReason>;

/// A type of the domain whose values are words.
pub(crate) trait Vocabulary {
    /// Its name in the document.
    const NAME: &'static str;

    /// All its words.
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
