//! API keys: how programs call in a user's name without the user's password.

use std::fmt;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::caller::Permission;
use super::id::{ApiKeyId, UserId};

/// One thing that a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// See its user's tasks, and the agents.
    #[serde(rename = "tasks:read")]
    TasksRead,
    /// Submit, stop, retry and delete its user's tasks.
    #[serde(rename = "tasks:write")]
    TasksWrite,
    /// See how the machine is doing.
    #[serde(rename = "metrics:read")]
    MetricsRead,
    /// Ask models, and keep conversations with them.
    #[serde(rename = "models:use")]
    ModelsUse,
    /// See and search its user's documents.
    #[serde(rename = "documents:read")]
    DocumentsRead,
    /// Upload and delete its user's documents.
    #[serde(rename = "documents:write")]
    DocumentsWrite,
}

impl Scope {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [
        Self::TasksRead,
        Self::TasksWrite,
        Self::MetricsRead,
        Self::ModelsUse,
        Self::DocumentsRead,
        Self::DocumentsWrite,
    ];

    /// The permission that it gives.
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

    /// As it stands in JSON and in databases.
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

/// An API key as it stands in the store.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its key in the store; not a secret.
    pub id: ApiKeyId,
    /// Whose it is.
    pub user: UserId,
    /// What its user calls it, 1 to 100 characters.
    pub name: String,
    /// How the key begins, so that its user knows it again.
    pub prefix: String,
    /// SHA-256 of the whole key, in hexadecimal.
    pub hash: String,
    /// What it may do; sorted, none twice.
    pub scopes: Vec<Scope>,
    /// So many requests a minute it may make, where the server allows more; none: as many as the server allows.
    pub requests_per_minute: Option<NonZeroU32>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was used last, to about a minute.
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

/// A request for an API key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// What its user calls it, 1 to 100 characters.
    pub name: String,
    /// What it may do; at least one.
    pub scopes: Vec<Scope>,
    /// So many requests a minute it may make, where the server allows more; default: as many as the server allows.
    #[serde(default)]
    pub requests_per_minute: Option<NonZeroU32>,
    /// From when on it is refused, a year from now at most; default: 90 days from now.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_spelt_the_same_everywhere() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
            assert_eq!(serde_json::from_value::<Scope>(scope.as_str().into()).unwrap(), scope);
            assert_eq!(scope.permission().scope(), Some(scope));
        }
    }
}
