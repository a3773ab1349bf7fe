//! Permissions that the operator gives to the role `user`, beyond those that every user has.

use super::caller::{Caller, Permission};
use super::user::UserRole;
use crate::error::{Error, ErrorKind, Result};

/// Which permissions of the role `user` depend on the operator. Admins and the embedder have all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessPolicy {
    /// Whether users may see how the machine is doing: its name, load, processes and containers. Default true.
    pub users_read_metrics: bool,
}

impl Default for AccessPolicy {
    fn default() -> Self {
        Self { users_read_metrics: true }
    }
}

impl AccessPolicy {
    /// Whether this caller may do such a thing here. An API key has been narrowed to what its user may do when it was
    /// looked up, so its scopes decide.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn require(&self, caller: &Caller, permission: Permission) -> Result<()> {
        caller.require(permission)?;
        match caller {
            Caller::User { role, .. } if !self.allows(*role, permission) => {
                Err(Error::new(ErrorKind::Forbidden, "only an admin may do this here"))
            }
            _ => Ok(()),
        }
    }

    /// Whether this role may do such a thing here.
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
    fn metrics_are_for_admins_where_the_operator_says_so() {
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
