//! API keys, with which programs act for a user without the user's password.

use std::fmt;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::caller::Permission;
use super::id::{ApiKeyId, UserId};

/// One permission that an API key can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Read the tasks of its user, and the agents.
    #[serde(rename = "tasks:read")]
    TasksRead,
    /// Submit, cancel, retry and delete the tasks of its user.
    #[serde(rename = "tasks:write")]
    TasksWrite,
    /// Read the metrics of the machine.
    #[serde(rename = "metrics:read")]
    MetricsRead,
    /// Query models, and keep conversations with them.
    #[serde(rename = "models:use")]
    ModelsUse,
    /// Read and search the documents of its user.
    #[serde(rename = "documents:read")]
    DocumentsRead,
    /// Upload and delete the documents of its user.
    #[serde(rename = "documents:write")]
    DocumentsWrite,
}

impl Scope {
    /// Every scope, in ascending order.
    pub const ALL: [Self; 6] = [
        Self::TasksRead,
        Self::TasksWrite,
        Self::MetricsRead,
        Self::ModelsUse,
        Self::DocumentsRead,
        Self::DocumentsWrite,
    ];

    /// Returns the permission that the scope grants.
    pub fn permission(self) -> Permission {
        match self {
            Self::TasksRead => Permission::ReadTasks,
            Self::TasksWrite => Permission::WriteTasks,
            Self::MetricsRead => Permission::ReadMetrics,
            Self::ModelsUse => Permission::UseModels,
            Self::DocumentsRead => Permission::ReadDocuments,
            Self::DocumentsWrite => Permission::WriteDocuments,
        }
    }

    /// Returns the name used in JSON and in databases.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TasksRead => "tasks:read",
            Self::TasksWrite => "tasks:write",
            Self::MetricsRead => "metrics:read",
            Self::ModelsUse => "models:use",
            Self::DocumentsRead => "documents:read",
            Self::DocumentsWrite => "documents:write",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An API key as it is stored, without its plaintext.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Primary key of the API key; not a secret.
    pub id: ApiKeyId,
    /// User for whom the key acts.
    pub user: UserId,
    /// Name chosen by the user, 1 to 100 characters.
    pub name: String,
    /// First characters of the plaintext, by which its user recognizes the key.
    pub prefix: String,
    /// SHA-256 of the plaintext, in hexadecimal.
    pub hash: String,
    /// Scopes of the key, sorted and without duplicates.
    pub scopes: Vec<Scope>,
    /// Rate limit of the key in requests per minute, if below the server's; `None`: the server's limit applies.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Time at which the key was created.
    pub created_at: DateTime<Utc>,
    /// Time at which the key expires; `None`: never.
    pub expires_at: Option<DateTime<Utc>>,
    /// Time at which the key was last used, accurate to about a minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("id", &self.id)
            .field("user", &self.user)
            .field("prefix", &self.prefix)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// Request to create an API key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// Name chosen by the user, 1 to 100 characters.
    pub name: String,
    /// Scopes of the key; at least one.
    pub scopes: Vec<Scope>,
    /// Rate limit of the key in requests per minute, if below the server's; default: the server's limit applies.
    #[serde(default)]
    pub requests_per_minute: Option<NonZeroU32>,
    /// Time at which the key expires, at most one year from now; default: 90 days from now.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_names_are_consistent() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
            assert_eq!(serde_json::from_value::<Scope>(scope.as_str().into()).unwrap(), scope);
            assert_eq!(scope.permission().scope(), Some(scope));
        }
    }
}
