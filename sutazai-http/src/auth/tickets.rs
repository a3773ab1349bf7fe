//! Stream tickets: replace a credential in the URL of a stream, because browsers cannot set headers when they open
//! one.
//!
//! Tickets are kept in the memory of this process, so a ticket is valid only on the server that issued it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use rand::RngCore;
use sha2::{Digest, Sha256};
use sutazai_core::domain::UserId;
use sutazai_core::{Error, ErrorKind, Result};

use crate::auth::credential::Credential;

/// Lifetime of a ticket.
pub(crate) const LIFE: Duration = Duration::from_secs(30);
/// Maximum number of unused tickets of one user.
const MAX_TICKETS_PER_USER: usize = 32;
/// Maximum number of unused tickets of all users.
const MAX_TICKETS: usize = 10_000;

/// Unused tickets. Each stands for the credential that requested it, and is valid once, for 30 seconds.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    /// Tickets by their hash, so that the duration of a look-up reveals nothing about other tickets.
    out: Mutex<HashMap<[u8; 32], Ticket>>,
}

#[derive(Debug)]
struct Ticket {
    user: Option<UserId>,
    credential: Credential,
    until: DateTime<Utc>,
}

impl Tickets {
    /// Issues a ticket: 256 random bits in hexadecimal.
    ///
    /// # Errors
    /// `RateLimited` when the user has 32 unused tickets, `Busy` when all users together have 10,000.
    pub(crate) fn issue(
        &self,
        user: Option<UserId>,
        credential: Credential,
        now: DateTime<Utc>,
    ) -> Result<String> {
        let mut secret = [0_u8; 32];
        rand::rng().fill_bytes(&mut secret);
        let text = HEXLOWER.encode(&secret);
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Expired tickets are removed, and the user's counted, by a scan on each issue: for at most 10,000 entries it
        // is cheap enough. A larger maximum would need an index by user and by expiry.
        out.retain(|_, ticket| ticket.until > now);
        let full = if out.values().filter(|ticket| ticket.user == user).count() >= MAX_TICKETS_PER_USER {
            Some((
                ErrorKind::RateLimited,
                format!("expected at most {MAX_TICKETS_PER_USER} unused tickets of one user"),
            ))
        } else if out.len() >= MAX_TICKETS {
            Some((ErrorKind::Busy, format!("expected at most {MAX_TICKETS} unused tickets")))
        } else {
            None
        };
        if let Some((kind, why)) = full {
            return Err(Error::new(kind, why).with_retry_after(LIFE));
        }
        out.insert(hash(&text), Ticket { user, credential, until: now + LIFE });
        Ok(text)
    }

    /// Redeems a ticket for its credential; the ticket is spent.
    ///
    /// # Errors
    /// `Unauthenticated` when the ticket is unknown, spent or expired.
    pub(crate) fn redeem(&self, ticket: &str, now: DateTime<Utc>) -> Result<Credential> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let good = out.remove(&hash(ticket)).filter(|ticket| ticket.until > now);
        good.map(|ticket| ticket.credential).ok_or_else(|| {
            Error::new(
                ErrorKind::Unauthenticated,
                "the ticket is unknown, used or expired; a ticket is valid once, for 30 seconds",
            )
        })
    }
}

fn hash(ticket: &str) -> [u8; 32] {
    Sha256::digest(ticket).into()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn tickets_are_bounded_and_expire() {
        let tickets = Tickets::default();
        let headers = HeaderMap::from_iter([(
            axum::http::header::AUTHORIZATION,
            HeaderValue::from_static("Bearer secret"),
        )]);
        let credential = Credential::of(&headers).unwrap();
        let now = DateTime::UNIX_EPOCH;
        let mut first = String::new();
        for _ in 0..MAX_TICKETS / MAX_TICKETS_PER_USER {
            let user = Some(UserId::new());
            for _ in 0..MAX_TICKETS_PER_USER {
                first = tickets.issue(user, credential.clone(), now).unwrap();
            }
            let e = tickets.issue(user, credential.clone(), now).unwrap_err();
            assert_eq!((e.kind(), e.retry_after()), (ErrorKind::RateLimited, Some(LIFE)));
        }
        assert!(!format!("{tickets:?}").contains("secret"));
        while tickets.out.lock().unwrap().len() < MAX_TICKETS {
            tickets.issue(Some(UserId::new()), credential.clone(), now).unwrap();
        }
        let e = tickets.issue(Some(UserId::new()), credential.clone(), now).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Busy);
        assert!(tickets.redeem(&first, now + LIFE).is_err(), "a ticket was accepted at its end");
        tickets.issue(None, credential, now + LIFE).unwrap();
        assert_eq!(tickets.out.lock().unwrap().len(), 1, "an expired ticket was not removed");
    }
}
