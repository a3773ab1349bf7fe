//! The use cases of identity over time: real hasher and signer, a clock that the test moves.

use std::sync::Arc;
use std::time::Duration;

use sutazai_core::ErrorKind;
use sutazai_core::domain::{Caller, NewUser, User, UserRole};
use sutazai_core::identity::{Identity, IdentityConfig};
use sutazai_core::memory::MemoryIdentityStore;
use sutazai_core::ports::{Clock, IdentityStore};
use sutazai_core::testing::ManualClock;
use sutazai_http::auth::{Argon2Cost, Argon2PasswordHasher, JwtTokenSigner};

use crate::support::{PASSWORD, SECRET};

const ACCESS: Duration = Duration::from_secs(30 * 60);
const REFRESH: Duration = Duration::from_secs(7 * 24 * 3_600);
const SECOND: Duration = Duration::from_secs(1);

struct Parts {
    store: Arc<MemoryIdentityStore>,
    clock: Arc<ManualClock>,
    identity: Identity,
}

impl Parts {
    fn new() -> Self {
        let (store, clock) = (Arc::new(MemoryIdentityStore::new()), Arc::new(ManualClock::new()));
        let identity = Self::process(&store, &clock);
        Self { store, clock, identity }
    }

    /// Identity as another process would have it: the same store and secret, its own memory.
    fn process(store: &Arc<MemoryIdentityStore>, clock: &Arc<ManualClock>) -> Identity {
        let cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
        Identity::new(
            store.clone(),
            Arc::new(Argon2PasswordHasher::new(cost).unwrap()),
            Arc::new(JwtTokenSigner::new(SECRET).unwrap()),
            clock.clone(),
            IdentityConfig { access_ttl: ACCESS, refresh_ttl: REFRESH },
        )
    }

    async fn register(&self, name: &str, role: UserRole) -> User {
        let new = NewUser {
            username: name.into(),
            email: format!("{name}@example.org"),
            password: PASSWORD.into(),
        };
        self.identity.create_user(new, role).await.unwrap()
    }
}

#[tokio::test]
async fn an_access_token_says_who_and_ends_on_the_second() {
    let parts = Parts::new();
    for (name, role) in [("ada", UserRole::User), ("root_1", UserRole::Admin)] {
        let user = parts.register(name, role).await;
        let signed_in = parts.identity.login(name, PASSWORD).await.unwrap();
        assert_eq!((signed_in.expires_in, signed_in.user.last_login_at), (ACCESS, Some(parts.clock.now())));
        let found = parts.identity.authenticate(&signed_in.access_token).unwrap();
        assert_eq!(found.caller, Caller::User { id: user.id, role });
        assert_eq!(found.claims.exp - found.claims.iat, 1_800);
        assert_ne!(
            parts
                .identity
                .authenticate(&parts.identity.login(name, PASSWORD).await.unwrap().access_token)
                .unwrap()
                .claims
                .jti,
            found.claims.jti
        );
        parts.clock.advance(ACCESS - SECOND);
        assert!(parts.identity.authenticate(&signed_in.access_token).is_ok());
        parts.clock.advance(SECOND);
        let e = parts.identity.authenticate(&signed_in.access_token).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unauthenticated);
    }
}

#[tokio::test]
async fn each_refresh_prolongs_the_session_and_a_pause_ends_it() {
    let parts = Parts::new();
    parts.register("ada", UserRole::User).await;
    let mut signed_in = parts.identity.login("ada", PASSWORD).await.unwrap();
    for _ in 0..5 {
        parts.clock.advance(REFRESH - SECOND);
        signed_in = parts.identity.refresh(&signed_in.refresh_token).await.unwrap();
        assert!(parts.identity.authenticate(&signed_in.access_token).is_ok());
    }
    parts.clock.advance(REFRESH);
    let e = parts.identity.refresh(&signed_in.refresh_token).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn of_two_refreshes_at_once_one_wins_and_the_session_ends() {
    let parts = Parts::new();
    parts.register("ada", UserRole::User).await;
    let signed_in = parts.identity.login("ada", PASSWORD).await.unwrap();
    let token = &signed_in.refresh_token;
    let (one, two) = tokio::join!(parts.identity.refresh(token), parts.identity.refresh(token));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let winner = one.or(two).unwrap();
    let e = parts.identity.refresh(&winner.refresh_token).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn a_session_ended_elsewhere_is_refused_at_its_next_refresh() {
    let parts = Parts::new();
    parts.register("ada", UserRole::User).await;
    let signed_in = parts.identity.login("ada", PASSWORD).await.unwrap();
    let session = parts.identity.authenticate(&signed_in.access_token).unwrap().claims.sid;
    let elsewhere = Parts::process(&parts.store, &parts.clock);
    elsewhere.logout(session).await.unwrap();
    assert!(elsewhere.authenticate(&signed_in.access_token).is_err());
    assert!(parts.identity.authenticate(&signed_in.access_token).is_ok(), "for the rest of its life");
    assert!(parts.identity.refresh(&signed_in.refresh_token).await.is_err());
}

#[tokio::test]
async fn a_disabled_user_cannot_sign_in() {
    let parts = Parts::new();
    let ada = parts.register("ada", UserRole::User).await;
    // The port cannot disable yet, so a user is stored who is disabled from the start.
    let eve = User {
        id: sutazai_core::domain::UserId::new(),
        username: "eve".into(),
        email: "e@x.org".into(),
        disabled: true,
        ..ada
    };
    parts.store.create_user(&eve).await.unwrap();
    assert_eq!(parts.identity.login("eve", PASSWORD).await.unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(
        parts.identity.login("eve", "wrong password").await.unwrap_err().kind(),
        ErrorKind::Unauthenticated
    );
    let session = parts.identity.begin_session(eve).await.unwrap();
    assert_eq!(
        parts.identity.refresh(&session.refresh_token).await.unwrap_err().kind(),
        ErrorKind::Unauthenticated
    );
}

#[tokio::test]
async fn secrets_are_stored_as_hashes_and_shown_nowhere() {
    let parts = Parts::new();
    let ada = parts.register("ada", UserRole::User).await;
    let signed_in = parts.identity.login("ada", PASSWORD).await.unwrap();
    let session = parts.identity.authenticate(&signed_in.access_token).unwrap().claims.sid;
    let stored = parts.store.session(session).await.unwrap().unwrap();
    let secret = signed_in.refresh_token.split('.').nth(1).unwrap();
    assert!(!stored.refresh_hash.contains(secret) && stored.refresh_hash.len() == 64);
    assert!(ada.password_hash.starts_with("$argon2id$"));
    let shown = format!("{signed_in:?} {ada:?} {stored:?} {:?}", parts.identity);
    for hidden in [secret, &signed_in.access_token, &ada.password_hash, &stored.refresh_hash, PASSWORD] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}
