//! Who is calling, and what they may do. Every permission check of the project ends here.

use std::num::NonZeroU32;

use super::api_key::Scope;
use super::id::{ApiKeyId, UserId};
use super::user::UserRole;
use crate::error::{Error, ErrorKind, Result};

/// Who is calling the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The embedder itself, or an operator at the command line: sees everything; its tasks have no owner.
    System,
    /// A signed-in user: sees what is theirs; an admin sees everything.
    User {
        /// Who.
        id: UserId,
        /// What they may do.
        role: UserRole,
    },
    /// A program with an API key: sees what is its user's, whatever that user's role, as far as its scopes go.
    Key {
        /// Which key.
        id: ApiKeyId,
        /// Whose key it is.
        user: UserId,
        /// What it may do.
        scopes: Vec<Scope>,
        /// So many requests a minute it may make, where the server allows more.
        requests_per_minute: Option<NonZeroU32>,
    },
}

/// What a request needs to be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// See tasks and agents.
    ReadTasks,
    /// Submit, stop, retry and delete tasks.
    WriteTasks,
    /// See how the machine is doing.
    ReadMetrics,
    /// Ask models, and keep conversations with them.
    UseModels,
    /// See and search documents.
    ReadDocuments,
    /// Upload and delete documents.
    WriteDocuments,
    /// Manage one's own keys, sessions and password.
    ManageAccount,
    /// Manage everybody.
    Administer,
}

impl Permission {
    /// The scope that gives it to an API key; none where no key may have it.
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
    /// The owner that tasks of this caller get.
    pub fn owner(&self) -> Option<UserId> {
        match self {
            Self::System => None,
            Self::User { id, .. } | Self::Key { user: id, .. } => Some(*id),
        }
    }

    /// Whether this caller may see and touch what belongs to `owner`.
    pub fn may_touch(&self, owner: Option<UserId>) -> bool {
        match self {
            Self::System => true,
            Self::User { id, role } => *role == UserRole::Admin || owner == Some(*id),
            Self::Key { user, .. } => owner == Some(*user),
        }
    }

    /// Whether this caller may do such a thing at all; with what belongs to whom [`may_touch`](Self::may_touch) says.
    ///
    /// # Errors
    /// `Forbidden`.
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
    fn who_may_do_what() {
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
    fn a_key_touches_its_users_things_only() {
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
