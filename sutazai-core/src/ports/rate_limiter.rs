//! Who has asked how often: one limiter for each quota.

use std::fmt;
use std::fmt::Debug;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::{ApiKeyId, Caller, UserId};
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

    /// What of it this key has: a limit of its own counts where it is lower.
    pub fn of(self, key: &RateKey) -> Self {
        match key {
            RateKey::Key { limit, .. } => Self { limit: self.limit.min(limit.get()), ..self },
            _ => self,
        }
    }
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RateKey {
    /// Those from one address, or from one network when it is named by its first address.
    Address(IpAddr),
    /// Those from one address, or from one network, with tokens and keys that nobody was given.
    Guesses(IpAddr),
    /// Those of one user, by whatever session or API key.
    User(UserId),
    /// Those with one API key that has a limit of its own.
    Key {
        /// Which.
        id: ApiKeyId,
        /// How many there may be in a window, where the quota allows more. Always the same for one key.
        limit: NonZeroU32,
    },
}

impl RateKey {
    /// Whose requests those of this caller are counted with: an API key's where it has a limit of its own, and those of
    /// its user, who gets no more by having many keys. The system is not counted.
    pub fn of(caller: &Caller) -> impl Iterator<Item = Self> + use<> {
        let own = match caller {
            Caller::Key { id, requests_per_minute: Some(limit), .. } => {
                Some(Self::Key { id: *id, limit: *limit })
            }
            _ => None,
        };
        own.into_iter().chain(caller.owner().map(Self::User))
    }
}

impl fmt::Display for RateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "address:{address}"),
            Self::Guesses(address) => write!(f, "guesses:{address}"),
            Self::User(user) => write!(f, "user:{user}"),
            Self::Key { id, .. } => write!(f, "key:{id}"),
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
/// - A key with a lower limit of its own has that instead of the quota's.
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
