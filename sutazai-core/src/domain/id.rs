//! Identifiers: UUIDs of version 7 (RFC 9562), so that keys sort by creation time.

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
            /// Generates an id that sorts after those generated before it in this process.
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
    /// Identifies a task within the store.
    TaskId,
    "task_id"
);
id!(
    /// Identifies a message between two agents.
    AgentMessageId,
    "message_id"
);
id!(
    /// Identifies a user account.
    UserId,
    "user_id"
);
id!(
    /// Identifies a session: one refresh-token family.
    SessionId,
    "session_id"
);
id!(
    /// Identifies an invitation to register.
    InvitationId,
    "invitation_id"
);
id!(
    /// Identifies an API key; not a secret.
    ApiKeyId,
    "api_key_id"
);
id!(
    /// Identifies a conversation with a model.
    ConversationId,
    "conversation_id"
);
id!(
    /// Identifies a message of a conversation.
    MessageId,
    "message_id"
);
id!(
    /// Identifies a document of a user.
    DocumentId,
    "document_id"
);
id!(
    /// Identifies a schedule of a user.
    ScheduleId,
    "schedule_id"
);
id!(
    /// Identifies a worker process (an engine instance) as the holder of its claims.
    InstanceId,
    "worker_id"
);
