//! Rate limiter port; one limiter per quota.

use std::fmt;
use std::fmt::Debug;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::{ApiKeyId, Caller, UserId};
use crate::error::Result;

/// A rate limit: a number of requests per time window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Burst size, and number of requests per window; at least 1.
    pub limit: u32,
    /// Time after which a used-up quota is completely restored.
    pub window: Duration,
}

impl Quota {
    /// Creates a quota of `limit` requests per minute.
    pub fn per_minute(limit: u32) -> Self {
        Self { limit, window: Duration::from_secs(60) }
    }

    /// Returns the quota that applies to this key: a limit of its own counts if it is lower.
    #[must_use]
    pub fn of(self, key: &RateKey) -> Self {
        match key {
            RateKey::Key { limit, .. } => Self { limit: self.limit.min(limit.get()), ..self },
            _ => self,
        }
    }
}

/// Subject whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RateKey {
    /// Requests from one address, or from one network named by its first address.
    Address(IpAddr),
    /// Requests with unknown tokens or API keys from one address, or from one network.
    FailedAuth(IpAddr),
    /// Requests of one user, through any session or API key.
    User(UserId),
    /// Requests with one API key that has a limit of its own.
    Key {
        /// Id of the API key.
        id: ApiKeyId,
        /// Requests per window, if below the quota's. Always the same for one key.
        limit: NonZeroU32,
    },
}

impl RateKey {
    /// Lists the subjects that a request of this caller counts for: an API key with a limit of its own, and its user,
    /// whom many keys give no more requests. The system is not limited.
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
            Self::FailedAuth(address) => write!(f, "failed-auth:{address}"),
            Self::User(user) => write!(f, "user:{user}"),
            Self::Key { id, .. } => write!(f, "key:{id}"),
        }
    }
}

/// Rate-limit decision for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimitDecision {
    /// The request may pass.
    Granted {
        /// Number of further requests that may follow at once.
        remaining: u32,
        /// Time until the whole quota is restored if no request follows, rounded up.
        whole_after: Duration,
    },
    /// The request is rejected.
    Refused {
        /// Time until a request may pass.
        retry_after: Duration,
    },
}

/// Rate limiter for one quota.
///
/// # Contract
/// - A key may send a burst of as many requests as the quota allows, and no more.
/// - Used requests are restored evenly over the window, never beyond the quota.
/// - A rejected request passes after the announced time, and not before.
/// - A rejected request uses nothing up.
/// - Requests of one key take nothing from another.
/// - A key with a lower limit of its own has that instead of the quota's.
/// - Concurrent requests of one key get no more than sequential ones.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use async_trait::async_trait;
/// use sutazai_core::Result;
/// use sutazai_core::domain::UserId;
/// use sutazai_core::ports::{Quota, RateKey, RateLimitDecision, RateLimiter};
///
/// /// Lets everything pass.
/// #[derive(Debug)]
/// struct Unlimited;
///
/// #[async_trait]
/// impl RateLimiter for Unlimited {
///     fn quota(&self) -> Quota {
///         Quota::per_minute(u32::MAX)
///     }
///
///     async fn take(&self, _: &RateKey) -> Result<RateLimitDecision> {
///         Ok(RateLimitDecision::Granted { remaining: u32::MAX, whole_after: Duration::ZERO })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let decision = Unlimited.take(&RateKey::User(UserId::new())).await?;
/// assert!(matches!(decision, RateLimitDecision::Granted { .. }));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait RateLimiter: Debug + Send + Sync + 'static {
    /// Quota that requests are counted against.
    fn quota(&self) -> Quota;

    /// Counts one request of the key and decides whether it may pass.
    ///
    /// # Errors
    /// `Unavailable` if the storage of the counters cannot be reached.
    ///
    /// # Cancel safety
    /// A future that is dropped may have counted the request.
    async fn take(&self, key: &RateKey) -> Result<RateLimitDecision>;
}
