//! [`PasswordHasher`] with argon2id (RFC 9106).
//!
//! One hash takes tens of milliseconds of a core and megabytes of memory, by design. So hashes run on blocking
//! threads, at most one per core, with a short queue; when the queue is full, callers are told to retry. `Identity`
//! has a fair queue in front of this one, which therefore fills only when a hasher is used on its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use async_trait::async_trait;
use sutazai_core::ports::PasswordHasher;
use sutazai_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;

/// Maximum number of waiting hashes per core.
const QUEUE_PER_CORE: usize = 16;
/// Retry delay for callers: approximately the time in which a full queue empties.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Cost of one hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    /// Memory in KiB; default 19,456 (19 MiB).
    pub memory_kib: u32,
    /// Passes over the memory; default 2.
    pub iterations: u32,
    /// Degree of parallelism; default 1.
    pub parallelism: u32,
}

impl Default for Argon2Cost {
    /// Parameters that OWASP's Password Storage Cheat Sheet lists second, for servers with little memory.
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

/// Password hasher with argon2id.
#[derive(Clone)]
pub struct Argon2PasswordHasher {
    argon2: Argon2<'static>,
    /// Hash that is verified for an unknown user, so that the response takes the same time. It has the same cost and
    /// matches no password.
    dummy_hash: Arc<str>,
    /// Permits of hashes that run or wait.
    places: Arc<Semaphore>,
    /// Permits of hashes that run, one per core.
    cores: Arc<Semaphore>,
}

impl Argon2PasswordHasher {
    /// Creates a hasher with this cost. Hashes with another cost are still verified, each at its own cost.
    ///
    /// # Errors
    /// `InvalidInput` when argon2 does not support the cost.
    pub fn new(cost: Argon2Cost) -> Result<Self> {
        let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None).map_err(|e| {
            Error::invalid("argon2_cost", format!("expected a cost that argon2 supports: {e}"))
        })?;
        Ok(Self::of(params))
    }

    fn of(params: Params) -> Self {
        let (memory, iterations, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        // 16 zero bytes of salt and 32 zero bytes of hash, in Base64.
        let dummy_hash = format!(
            "$argon2id$v=19$m={memory},t={iterations},p={lanes}${}${}",
            "A".repeat(22),
            "A".repeat(43)
        );
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            dummy_hash: dummy_hash.into(),
            places: Arc::new(Semaphore::new(cores * (1 + QUEUE_PER_CORE))),
            cores: Arc::new(Semaphore::new(cores)),
        }
    }

    /// Waits for a core, then runs `work` on a blocking thread.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            Error::new(ErrorKind::Busy, "too many passwords are being checked at once")
                .with_retry_after(RETRY_AFTER)
        })?;
        let stopped = |_| Error::unavailable("the server is stopping");
        let core = self.cores.clone().acquire_owned().await.map_err(stopped)?;
        let argon2 = self.argon2.clone();
        // The permits move into the closure: if the caller is cancelled, the core stays occupied until the hash is
        // done.
        let done = tokio::task::spawn_blocking(move || {
            let _held = (place, core);
            work(&argon2)
        });
        done.await.map_err(|e| Error::internal("hashing a password failed").with_source(e))?
    }
}

impl Default for Argon2PasswordHasher {
    fn default() -> Self {
        Self::of(Params::default())
    }
}

impl fmt::Debug for Argon2PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Argon2PasswordHasher").field("params", self.argon2.params()).finish_non_exhaustive()
    }
}

#[async_trait]
impl PasswordHasher for Argon2PasswordHasher {
    async fn hash(&self, password: &str) -> Result<String> {
        let password = password.to_owned();
        self.run(move |argon2| {
            let hash: PasswordHash = argon2.hash_password(password.as_bytes()).map_err(failed)?;
            Ok(hash.to_string())
        })
        .await
    }

    async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool> {
        let password = password.to_owned();
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.dummy_hash.to_string());
        self.run(move |argon2| {
            let hash = PasswordHash::new(&hash).map_err(|_| failed("a stored hash is not in PHC form"))?;
            match argon2.verify_password(password.as_bytes(), &hash) {
                Ok(()) => Ok(known),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(e) => Err(failed(e)),
            }
        })
        .await
    }

    fn is_outdated(&self, hash: &str) -> bool {
        let of = PasswordHash::new(hash).ok().and_then(|hash| {
            let kind = (hash.algorithm.as_str(), hash.version);
            Params::try_from(&hash).ok().filter(|_| kind == ("argon2id", Some(Version::V0x13.into())))
        });
        let cost = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        of.is_none_or(|params| cost(&params) != cost(self.argon2.params()))
    }
}

fn failed(e: impl fmt::Display) -> Error {
    Error::internal(format!("argon2: {e}"))
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn conforms() {
        let hasher = Arc::new(Argon2PasswordHasher::default());
        sutazai_core::testing::password_hasher::run_all(|| async { hasher.clone() }).await;
    }

    #[tokio::test]
    async fn hash_has_the_configured_cost() {
        let cost = Argon2Cost { memory_kib: 64, iterations: 3, parallelism: 2 };
        let hash = Argon2PasswordHasher::new(cost).unwrap().hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=3,p=2$"), "{hash}");
        let other = Argon2PasswordHasher::default();
        assert!(other.is_outdated(&hash) && !Argon2PasswordHasher::new(cost).unwrap().is_outdated(&hash));
        assert!(
            other.verify("correct horse", Some(hash)).await.unwrap(),
            "a hash of another cost still verifies"
        );
        assert!(other.hash("x").await.unwrap().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let e = Argon2PasswordHasher::new(Argon2Cost { memory_kib: 1, ..cost }).unwrap_err();
        assert_eq!(e.field(), Some("argon2_cost"));
    }

    #[tokio::test]
    async fn full_queue_is_busy_and_empties() {
        let hasher = Argon2PasswordHasher::default();
        let places = hasher.places.available_permits();
        let results = join_all((0..places + 5).map(|_| hasher.verify("x", None))).await;
        let busy: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
        assert_eq!(busy.len(), 5);
        for e in busy {
            assert_eq!((e.kind(), e.retry_after()), (ErrorKind::Busy, Some(RETRY_AFTER)));
        }
        assert!(!hasher.verify("x", None).await.unwrap());
    }
}
