//! Who has asked how often: one limiter for each quota.

use std::fmt;
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::UserId;
use crate::error::Result;

/// How many requests there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many at once, and in each window; at least 1.
    pub limit: u32,
    /// How long it takes until all of them are back.
    pub window: Duration,
}

impl Quota {
    /// So many a minute.
    pub fn per_minute(limit: u32) -> Self {
        Self { limit, window: Duration::from_secs(60) }
    }
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RateKey {
    /// Those from one address, or from one network when it is named by its first address.
    Address(IpAddr),
    /// Those of one user, by whatever key or session.
    User(UserId),
}

impl fmt::Display for RateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "address:{address}"),
            Self::User(user) => write!(f, "user:{user}"),
        }
    }
}

/// What a request is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// It may pass.
    Granted {
        /// So many more may follow at once.
        remaining: u32,
        /// How long until the whole quota is back, if nothing follows; rounded up.
        whole_after: Duration,
    },
    /// It may not.
    Refused {
        /// How long until one may pass.
        retry_after: Duration,
    },
}

/// Counts requests against one quota.
///
/// # Contract
/// - Of one key as many requests pass at once as the quota says, and no more.
/// - What was used comes back evenly over the window, and never more than the quota.
/// - A refused request passes after the time it was told, and not before.
/// - A refused request uses nothing up.
/// - What one key uses takes nothing from another.
/// - Requests of one key at the same time get no more than those one after the other.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait RateLimiter: Debug + Send + Sync + 'static {
    /// What is counted against.
    fn quota(&self) -> Quota;

    /// Counts one request.
    ///
    /// # Errors
    /// `Unavailable` when what the counts are kept in cannot be reached.
    async fn take(&self, key: &RateKey) -> Result<Allowance>;
}
