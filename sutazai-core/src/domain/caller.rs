//! Callers and their permissions. Every permission check of the project ends here.

use std::num::NonZeroU32;

use super::api_key::Scope;
use super::id::{ApiKeyId, UserId};
use super::user::UserRole;
use crate::error::{Error, ErrorKind, Result};

/// Authenticated identity that calls the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The embedder itself, or an operator at the command line: sees everything; its tasks have no owner.
    System,
    /// A signed-in user: sees their own objects; an admin sees everything.
    User {
        /// Id of the user.
        id: UserId,
        /// Role of the user.
        role: UserRole,
    },
    /// A program with an API key: sees the objects of the key's user within its scopes, even if that user is an admin.
    Key {
        /// Id of the API key.
        id: ApiKeyId,
        /// User for whom the key acts.
        user: UserId,
        /// Scopes of the key.
        scopes: Vec<Scope>,
        /// Rate limit of the key in requests per minute, if below the server's.
        requests_per_minute: Option<NonZeroU32>,
    },
}

/// Permission that a request requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Read tasks and agents.
    ReadTasks,
    /// Submit, cancel, retry and delete tasks.
    WriteTasks,
    /// Read the metrics of the machine.
    ReadMetrics,
    /// Query models, and keep conversations with them.
    UseModels,
    /// Read and search documents.
    ReadDocuments,
    /// Upload and delete documents.
    WriteDocuments,
    /// Manage the caller's own keys, sessions and password.
    ManageAccount,
    /// Manage all users and their objects.
    Administer,
}

impl Permission {
    /// Returns the scope that grants the permission to an API key; `None` if no key may have it.
    pub fn scope(self) -> Option<Scope> {
        match self {
            Self::ReadTasks => Some(Scope::TasksRead),
            Self::WriteTasks => Some(Scope::TasksWrite),
            Self::ReadMetrics => Some(Scope::MetricsRead),
            Self::UseModels => Some(Scope::ModelsUse),
            Self::ReadDocuments => Some(Scope::DocumentsRead),
            Self::WriteDocuments => Some(Scope::DocumentsWrite),
            Self::ManageAccount | Self::Administer => None,
        }
    }
}

impl Caller {
    /// Returns the owner of the tasks that this caller submits.
    pub fn owner(&self) -> Option<UserId> {
        match self {
            Self::System => None,
            Self::User { id, .. } | Self::Key { user: id, .. } => Some(*id),
        }
    }

    /// Returns whether this caller may access objects of `owner`.
    pub fn may_touch(&self, owner: Option<UserId>) -> bool {
        match self {
            Self::System => true,
            Self::User { id, role } => *role == UserRole::Admin || owner == Some(*id),
            Self::Key { user, .. } => owner == Some(*user),
        }
    }

    /// Requires that this caller has the permission; [`may_touch`](Self::may_touch) decides on whose objects.
    ///
    /// # Errors
    /// `Forbidden` if the caller lacks the permission.
    pub fn require(&self, permission: Permission) -> Result<()> {
        let forbidden = |why: &str| Err(Error::new(ErrorKind::Forbidden, why));
        match self {
            Self::System => Ok(()),
            Self::User { role, .. } => match permission {
                Permission::Administer if *role != UserRole::Admin => forbidden("only an admin may do this"),
                _ => Ok(()),
            },
            Self::Key { scopes, .. } => match permission.scope() {
                None => forbidden("no API key may do this; sign in"),
                Some(needed) if scopes.contains(&needed) => Ok(()),
                Some(needed) => forbidden(&format!("this API key lacks the scope {needed}")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Permission; 8] = [
        Permission::ReadTasks,
        Permission::WriteTasks,
        Permission::ReadMetrics,
        Permission::UseModels,
        Permission::ReadDocuments,
        Permission::WriteDocuments,
        Permission::ManageAccount,
        Permission::Administer,
    ];

    fn granted(caller: &Caller) -> Vec<Permission> {
        ALL.into_iter().filter(|permission| caller.require(*permission).is_ok()).collect()
    }

    #[test]
    fn permissions_depend_on_role_and_scopes() {
        let user = |role| Caller::User { id: UserId::new(), role };
        let key = |scopes: &[Scope]| Caller::Key {
            id: ApiKeyId::new(),
            user: UserId::new(),
            scopes: scopes.to_vec(),
            requests_per_minute: None,
        };
        assert_eq!(granted(&Caller::System), ALL);
        assert_eq!(granted(&user(UserRole::Admin)), ALL);
        assert_eq!(granted(&user(UserRole::User)), ALL[..7]);
        assert_eq!(granted(&key(&Scope::ALL)), ALL[..6]);
        assert_eq!(granted(&key(&[Scope::TasksWrite])), [Permission::WriteTasks]);
        assert_eq!(granted(&key(&[])), []);
        let e = key(&[Scope::TasksRead]).require(Permission::WriteTasks).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Forbidden);
        assert!(e.to_string().contains("tasks:write"), "{e}");
    }

    #[test]
    fn api_key_reaches_only_its_users_objects() {
        let (mine, theirs) = (UserId::new(), UserId::new());
        let key = Caller::Key {
            id: ApiKeyId::new(),
            user: mine,
            scopes: Scope::ALL.to_vec(),
            requests_per_minute: None,
        };
        assert_eq!(key.owner(), Some(mine));
        assert!(key.may_touch(Some(mine)) && !key.may_touch(Some(theirs)) && !key.may_touch(None));
    }
}
