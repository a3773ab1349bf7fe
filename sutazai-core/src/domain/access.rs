//! Permissions of the role `user` that the operator can withdraw.

use super::caller::{Caller, Permission};
use super::user::UserRole;
use crate::error::{Error, ErrorKind, Result};

/// Operator's settings for the role `user`. Admins and the embedder always have every permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessPolicy {
    /// Lets users read the machine's metrics: its name, load, processes and containers. Default true.
    pub users_read_metrics: bool,
}

impl Default for AccessPolicy {
    fn default() -> Self {
        Self { users_read_metrics: true }
    }
}

impl AccessPolicy {
    /// Requires that this caller has the permission. The scopes of an API key were already narrowed to the permissions
    /// of its user when the key was looked up, so they alone decide.
    ///
    /// # Errors
    /// `Forbidden` if the caller lacks the permission.
    pub fn require(&self, caller: &Caller, permission: Permission) -> Result<()> {
        caller.require(permission)?;
        match caller {
            Caller::User { role, .. } if !self.allows(*role, permission) => {
                Err(Error::new(ErrorKind::Forbidden, "only an admin may do this here"))
            }
            _ => Ok(()),
        }
    }

    /// Returns whether this role has the permission.
    pub fn allows(&self, role: UserRole, permission: Permission) -> bool {
        match (role, permission) {
            (UserRole::Admin, _) => true,
            (UserRole::User, Permission::ReadMetrics) => self.users_read_metrics,
            (UserRole::User, Permission::Administer) => false,
            (UserRole::User, _) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UserId;

    #[test]
    fn metrics_require_an_admin_when_closed_to_users() {
        let user = |role| Caller::User { id: UserId::new(), role };
        let closed = AccessPolicy { users_read_metrics: false };
        let metrics = Permission::ReadMetrics;
        assert!(AccessPolicy::default().require(&user(UserRole::User), metrics).is_ok());
        let refused = closed.require(&user(UserRole::User), metrics).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Forbidden);
        for caller in [user(UserRole::Admin), Caller::System] {
            closed.require(&caller, metrics).unwrap();
        }
        closed.require(&user(UserRole::User), Permission::WriteTasks).unwrap();
    }
}
