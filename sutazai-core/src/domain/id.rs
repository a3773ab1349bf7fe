//! Identifiers: UUID version 7 (RFC 9562), so that keys sort by the time they were made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh one, later than those before it.
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(s: &str) -> Result<Self> {
                Uuid::parse_str(s).map(Self).map_err(|_| Error::invalid($what, "expected a UUID"))
            }
        }
    };
}

id!(
    /// A task.
    TaskId,
    "task_id"
);
id!(
    /// A message between two agents.
    AgentMessageId,
    "message_id"
);
id!(
    /// A user.
    UserId,
    "user_id"
);
id!(
    /// A signed-in session: one refresh-token family.
    SessionId,
    "session_id"
);
id!(
    /// An invitation to register.
    InvitationId,
    "invitation_id"
);
id!(
    /// An API key.
    ApiKeyId,
    "api_key_id"
);
id!(
    /// A conversation with a model.
    ConversationId,
    "conversation_id"
);
id!(
    /// A message of a conversation.
    MessageId,
    "message_id"
);
id!(
    /// A document of a user.
    DocumentId,
    "document_id"
);
id!(
    /// A schedule.
    ScheduleId,
    "schedule_id"
);
id!(
    /// A worker process, as it signs its claims.
    WorkerId,
    "worker_id"
);
