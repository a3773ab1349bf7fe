//! Identity use cases over time: with the real hasher and signer, and a manual clock.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use sutazai_core::domain::{Caller, NewApiKey, NewUser, Scope, SessionId, User, UserChange, UserRole};
use sutazai_core::identity::{Client, Identity, IdentityConfig, SignedIn};
use sutazai_core::memory::{MemoryApiKeyStore, MemoryIdentityStore};
use sutazai_core::ports::{ApiKeyStore, Clock, IdentityStore, PasswordHasher};
use sutazai_core::testing::{ManualClock, MockApiKeyStore, MockIdentityStore};
use sutazai_core::{Error, ErrorKind};
use sutazai_http::auth::{Argon2Cost, Argon2PasswordHasher, JwtTokenSigner};

use tokio_util::sync::CancellationToken;
use unicode_normalization::UnicodeNormalization;

use crate::support::{PASSWORD, SECRET};

const ACCESS: Duration = Duration::from_secs(30 * 60);
const REFRESH: Duration = Duration::from_secs(7 * 24 * 3_600);
const SECOND: Duration = Duration::from_secs(1);

struct Parts {
    store: Arc<MemoryIdentityStore>,
    keys: Arc<MemoryApiKeyStore>,
    clock: Arc<ManualClock>,
    identity: Identity,
}

impl Parts {
    fn new() -> Self {
        let (store, clock) = (Arc::new(MemoryIdentityStore::new()), Arc::new(ManualClock::new()));
        let keys = Arc::new(MemoryApiKeyStore::new());
        let identity = process(store.clone(), keys.clone(), &clock);
        Self { store, keys, clock, identity }
    }

    /// Creates the identity of another process: same stores and secret, own memory.
    fn elsewhere(&self) -> Identity {
        process(self.store.clone(), self.keys.clone(), &self.clock)
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

fn process(store: Arc<dyn IdentityStore>, keys: Arc<dyn ApiKeyStore>, clock: &Arc<ManualClock>) -> Identity {
    let cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
    Identity::new(
        store,
        keys,
        Arc::new(Argon2PasswordHasher::new(cost).unwrap()),
        Arc::new(JwtTokenSigner::new(SECRET).unwrap()),
        clock.clone(),
        IdentityConfig { access_ttl: ACCESS, refresh_ttl: REFRESH, ..IdentityConfig::default() },
    )
}

/// Lets spawned tasks run until they wait.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn access_token_identifies_its_user_and_expires_exactly() {
    let parts = Parts::new();
    for (name, role) in [("ada", UserRole::User), ("root_1", UserRole::Admin)] {
        let user = parts.register(name, role).await;
        let signed_in = parts.identity.login(name, PASSWORD, None).await.unwrap();
        assert_eq!((signed_in.expires_in, signed_in.user.last_login_at), (ACCESS, Some(parts.clock.now())));
        let found = parts.identity.authenticate(&signed_in.access_token).unwrap();
        assert_eq!(found.caller, Caller::User { id: user.id, role });
        assert_eq!(found.claims.exp - found.claims.iat, 1_800);
        assert_ne!(
            parts
                .identity
                .authenticate(&parts.identity.login(name, PASSWORD, None).await.unwrap().access_token)
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
async fn refresh_extends_the_session_and_a_pause_ends_it() {
    let parts = Parts::new();
    parts.register("ada", UserRole::User).await;
    let mut signed_in = parts.identity.login("ada", PASSWORD, None).await.unwrap();
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
async fn concurrent_refreshes_of_one_client_get_the_same_successor() {
    let parts = Parts::new();
    parts.register("ada", UserRole::User).await;
    let signed_in = parts.identity.login("ada", PASSWORD, None).await.unwrap();
    let refreshing = (0..8).map(|_| parts.identity.refresh(&signed_in.refresh_token));
    let tokens: Vec<String> = futures::future::join_all(refreshing)
        .await
        .into_iter()
        .map(|refreshed| refreshed.unwrap().refresh_token)
        .collect();
    assert!(
        tokens.iter().all(|token| *token == tokens[0] && *token != signed_in.refresh_token),
        "{tokens:?}"
    );
    parts.identity.refresh(&tokens[0]).await.unwrap();
}

#[tokio::test]
async fn spent_refresh_token_may_be_repeated_for_30_seconds_by_its_client() {
    let client =
        |user_agent, last| Client { user_agent: Some(user_agent), address: Some([192, 0, 2, last].into()) };
    let mine = client("browser", 1);
    let parts = Parts::new();
    parts.register("ada", UserRole::User).await;
    let begin = async || parts.identity.login_from("ada", PASSWORD, mine).await.unwrap().refresh_token;
    let refresh = async |token: &str, client| {
        parts.identity.refresh_from(token, client).await.map(|signed_in| signed_in.refresh_token)
    };
    let first = begin().await;
    let second = refresh(&first, mine).await.unwrap();
    parts.clock.advance(Duration::from_secs(20));
    assert_eq!(refresh(&first, mine).await.unwrap(), second, "a repeated request got another response");
    let third = refresh(&second, mine).await.unwrap();
    parts.clock.advance(Duration::from_secs(10));
    assert_eq!(refresh(&first, mine).await.unwrap(), second, "30 seconds, and spent again meanwhile");
    assert_eq!(refresh(&second, mine).await.unwrap(), third);
    parts.clock.advance(Duration::from_micros(1));
    assert!(refresh(&first, mine).await.is_err(), "a spent token was accepted after 30 s");
    assert!(refresh(&third, mine).await.is_err(), "reuse of a spent token did not end the session");

    for thief in [client("browser", 2), client("curl", 1), Client::default()] {
        let token = begin().await;
        let next = refresh(&token, mine).await.unwrap();
        assert!(refresh(&token, thief).await.is_err(), "{thief:?}");
        assert!(refresh(&next, mine).await.is_err(), "{thief:?} ended the session");
    }
    // The current token is valid from any address, because users move between networks.
    let token = begin().await;
    refresh(&token, client("browser", 3)).await.unwrap();
    // An ended session stays ended.
    let token = begin().await;
    let next = refresh(&token, mine).await.unwrap();
    let session = SessionId(next.split('.').next().unwrap().parse().unwrap());
    parts.identity.logout(session).await.unwrap();
    assert!(refresh(&token, mine).await.is_err() && refresh(&next, mine).await.is_err());
}

#[tokio::test]
async fn session_revoked_by_another_process_is_rejected_within_a_minute() {
    let parts = Parts::new();
    let mut tokens = Vec::new();
    for name in ["ada", "eve", "bob", "dan"] {
        let user = parts.register(name, UserRole::User).await;
        tokens.push((user, parts.identity.login(name, PASSWORD, None).await.unwrap()));
    }
    let elsewhere = parts.elsewhere();
    let stop = CancellationToken::new();
    let following = tokio::spawn({
        let (identity, stop) = (parts.identity.clone(), stop.clone());
        async move { identity.follow_ended_sessions(stop).await }
    });
    settle().await;
    let session = parts.identity.authenticate(&tokens[0].1.access_token).unwrap().claims.sid;
    elsewhere.logout(session).await.unwrap();
    elsewhere.set_disabled(&Caller::System, tokens[1].0.id, true).await.unwrap();
    elsewhere.set_role(&Caller::System, tokens[2].0.id, UserRole::Admin).await.unwrap();
    let good = |identity: &Identity| {
        tokens
            .iter()
            .map(|(_, signed)| identity.authenticate(&signed.access_token).is_ok())
            .collect::<Vec<_>>()
    };
    assert_eq!(good(&elsewhere), [false, false, false, true]);
    assert_eq!(good(&parts.identity), [true; 4], "the process cannot know of the revocation yet");
    for _ in 0..3 {
        parts.clock.advance(20 * SECOND);
        settle().await;
    }
    assert_eq!(good(&parts.identity), [false, false, false, true]);
    for (_, signed) in &tokens[..3] {
        assert!(parts.identity.refresh(&signed.refresh_token).await.is_err());
    }
    // A process that starts later knows at once: it reads all revocations within the lifetime of an access token.
    let late = parts.elsewhere();
    let beginning = tokio::spawn({
        let (late, stop) = (late.clone(), stop.clone());
        async move { late.follow_ended_sessions(stop).await }
    });
    settle().await;
    assert_eq!(good(&late), [false, false, false, true]);
    stop.cancel();
    following.await.unwrap();
    beginning.await.unwrap();
}

#[tokio::test]
async fn unavailable_store_delays_revocations_and_loses_none() {
    let parts = Parts::new();
    parts.register("ada", UserRole::User).await;
    let signed = parts.identity.login("ada", PASSWORD, None).await.unwrap();
    let session = parts.identity.authenticate(&signed.access_token).unwrap().claims.sid;
    let begun = parts.clock.now();
    let mut store = MockIdentityStore::new();
    let mut turns = [Ok(vec![]), Err("cut"), Err("cut"), Ok(vec![session])].into_iter();
    store.expect_revoked_since().times(4).returning(move |since| {
        assert!(since <= begun, "revocations during the outage would be missed");
        turns.next().unwrap().map_err(Error::unavailable)
    });
    let identity = process(Arc::new(store), parts.keys.clone(), &parts.clock);
    let stop = CancellationToken::new();
    let following = tokio::spawn({
        let (identity, stop) = (identity.clone(), stop.clone());
        async move { identity.follow_ended_sessions(stop).await }
    });
    settle().await;
    for _ in 0..3 {
        assert!(identity.authenticate(&signed.access_token).is_ok());
        parts.clock.advance(20 * SECOND);
        settle().await;
    }
    assert!(identity.authenticate(&signed.access_token).is_err());
    stop.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn disabled_user_cannot_sign_in_until_enabled() {
    let parts = Parts::new();
    let eve = parts.register("eve", UserRole::User).await;
    let before = parts.identity.login("eve", PASSWORD, None).await.unwrap();
    let disabled = parts.identity.set_disabled(&Caller::System, eve.id, true).await.unwrap();
    assert!(disabled.disabled);
    let refused = |result: Result<_, Error>| result.map(|_: SignedIn| ()).unwrap_err().kind();
    assert_eq!(refused(parts.identity.login("eve", PASSWORD, None).await), ErrorKind::Forbidden);
    assert_eq!(
        refused(parts.identity.login("eve", "wrong password", None).await),
        ErrorKind::Unauthenticated
    );
    // A sign-in whose password was checked just before the user was disabled.
    assert_eq!(refused(parts.identity.begin_session(eve.clone(), None).await), ErrorKind::Forbidden);
    assert_eq!(refused(parts.identity.refresh(&before.refresh_token).await), ErrorKind::Unauthenticated);
    assert!(parts.identity.authenticate(&before.access_token).is_err());
    parts.identity.set_disabled(&Caller::System, eve.id, false).await.unwrap();
    assert!(parts.identity.login("eve", PASSWORD, None).await.is_ok());
    assert!(
        parts.identity.authenticate(&before.access_token).is_err(),
        "an ended session became valid again"
    );
}

#[tokio::test]
async fn change_during_sign_in_ends_the_new_session() {
    let parts = Parts::new();
    parts.register("root_1", UserRole::Admin).await;
    let before = parts.register("ada", UserRole::Admin).await;
    let signed = parts.identity.begin_session(before.clone(), None).await.unwrap();
    let session = parts.identity.authenticate(&signed.access_token).unwrap().claims.sid;
    let open = async || parts.identity.sessions(before.id).await.unwrap().len();
    let stale = async |user: &User| match parts.identity.begin_session(user.clone(), None).await {
        Ok(_) => false,
        Err(e) => e.kind() == ErrorKind::Unauthenticated,
    };
    let passwords = (PASSWORD, "another good password");
    parts.identity.change_password(before.id, session, passwords, true).await.unwrap();
    assert!(stale(&before).await);
    assert_eq!(open().await, 1, "the session of the old password is still active");
    let between = parts.identity.user(before.id).await.unwrap();
    parts.identity.set_role(&Caller::System, before.id, UserRole::User).await.unwrap();
    assert!(stale(&between).await);
    assert_eq!(open().await, 0, "the session of the old role is still active");
    let now = parts.identity.user(before.id).await.unwrap();
    assert!(parts.identity.begin_session(now, None).await.is_ok());
}

#[tokio::test]
async fn api_key_is_queried_twice_a_minute_and_its_use_recorded_once() {
    let parts = Parts::new();
    parts.register("root_1", UserRole::Admin).await;
    let ada = parts.register("ada", UserRole::Admin).await;
    let new = NewApiKey {
        name: "backup".into(),
        scopes: vec![Scope::TasksWrite, Scope::TasksRead, Scope::TasksWrite],
        expires_at: Some(parts.clock.now() + 3_600 * SECOND),
        requests_per_minute: NonZeroU32::new(30),
    };
    let made = parts.identity.create_api_key(ada.id, new).await.unwrap();
    let used = async || parts.keys.find(&made.key.hash).await.unwrap().unwrap().last_used_at;
    let begun = parts.clock.now();
    let caller = Caller::Key {
        id: made.key.id,
        user: ada.id,
        scopes: vec![Scope::TasksRead, Scope::TasksWrite],
        requests_per_minute: NonZeroU32::new(30),
    };
    assert_eq!(used().await, None);
    for (wait, recorded) in [(0, 0), (1, 0), (58, 0), (1, 60), (59, 60), (1, 120)] {
        parts.clock.advance(wait * SECOND);
        assert_eq!(parts.identity.authenticate_key(&made.text).await.unwrap(), caller);
        assert_eq!(used().await, Some(begun + recorded * SECOND));
    }
    // A change in another process takes effect within a minute.
    let elsewhere = parts.elsewhere();
    assert!(elsewhere.authenticate_key(&made.text).await.is_ok());
    parts.identity.set_disabled(&Caller::System, ada.id, true).await.unwrap();
    let refused = async |identity: &Identity| match identity.authenticate_key(&made.text).await {
        Ok(_) => false,
        Err(e) => e.kind() == ErrorKind::Unauthenticated,
    };
    assert!(refused(&parts.identity).await && !refused(&elsewhere).await);
    parts.clock.advance(30 * SECOND);
    assert!(refused(&elsewhere).await);
    parts.identity.set_disabled(&Caller::System, ada.id, false).await.unwrap();
    assert!(!refused(&parts.identity).await && !refused(&elsewhere).await);
    parts.identity.delete_api_key(ada.id, made.key.id).await.unwrap();
    assert!(refused(&parts.identity).await && !refused(&elsewhere).await);
    parts.clock.advance(30 * SECOND);
    assert!(refused(&elsewhere).await);
}

#[tokio::test]
async fn api_key_expires_exactly_and_works_while_its_use_cannot_be_recorded() {
    let parts = Parts::new();
    let ada = parts.register("ada", UserRole::User).await;
    let end = Some(parts.clock.now() + 25 * SECOND);
    let new = NewApiKey {
        name: "backup".into(),
        scopes: vec![Scope::TasksRead],
        expires_at: end,
        requests_per_minute: None,
    };
    let made = parts.identity.create_api_key(ada.id, new).await.unwrap();
    let mut keys = MockApiKeyStore::new();
    let key = made.key.clone();
    keys.expect_find().times(1).returning(move |_| Ok(Some(key.clone())));
    keys.expect_record_use().times(1).returning(|_, _| Err(Error::unavailable("the disk is full")));
    let identity = process(parts.store.clone(), Arc::new(keys), &parts.clock);
    assert!(identity.authenticate_key(&made.text).await.is_ok());
    parts.clock.advance(24 * SECOND);
    assert!(
        identity.authenticate_key(&made.text).await.is_ok(),
        "remembered, so neither asked nor told again"
    );
    parts.clock.advance(SECOND);
    assert_eq!(identity.authenticate_key(&made.text).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    let mut keys = MockApiKeyStore::new();
    keys.expect_find().returning(|_| Err(Error::unavailable("the line is cut")));
    let identity = process(parts.store.clone(), Arc::new(keys), &parts.clock);
    assert_eq!(identity.authenticate_key(&made.text).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn first_admin_is_created_once() {
    let parts = Parts::new();
    let new =
        || NewUser { username: "root_1".into(), email: "root_1@localhost".into(), password: PASSWORD.into() };
    let (one, two) = tokio::join!(parts.identity.ensure_admin(new()), parts.identity.ensure_admin(new()));
    one.unwrap();
    two.unwrap();
    let made = parts.identity.login("root_1", PASSWORD, None).await.unwrap().user;
    assert_eq!(made.role, UserRole::Admin);
    let other = NewUser { password: "another good password".into(), ..new() };
    parts.identity.ensure_admin(other).await.unwrap();
    assert!(parts.identity.login("root_1", PASSWORD, None).await.is_ok(), "the admin's password was changed");
    parts.register("ada", UserRole::User).await;
    parts.identity.ensure_admin(NewUser { username: "ada".into(), ..new() }).await.unwrap();
    let ada = parts.identity.login("ada", PASSWORD, None).await.unwrap().user;
    assert_eq!(ada.role, UserRole::User, "an existing user of that name became an admin");
    let weak = NewUser { username: "root_2".into(), password: "short".into(), ..new() };
    assert_eq!(parts.identity.ensure_admin(weak).await.unwrap_err().field(), Some("password"));
}

#[tokio::test]
async fn secrets_are_stored_as_hashes_and_never_shown() {
    let parts = Parts::new();
    let ada = parts.register("ada", UserRole::User).await;
    let signed_in = parts.identity.login("ada", PASSWORD, None).await.unwrap();
    let session = parts.identity.authenticate(&signed_in.access_token).unwrap().claims.sid;
    let stored = parts.store.session(session).await.unwrap().unwrap();
    let secret = signed_in.refresh_token.split('.').nth(1).unwrap();
    assert!(!stored.refresh_hash.contains(secret) && stored.refresh_hash.len() == 64);
    assert!(ada.password_hash.starts_with("$argon2id$"));
    let new = NewApiKey {
        name: "backup".into(),
        scopes: vec![Scope::TasksRead],
        expires_at: None,
        requests_per_minute: None,
    };
    let key = parts.identity.create_api_key(ada.id, new).await.unwrap();
    parts.identity.authenticate_key(&key.text).await.unwrap();
    let stored_key = parts.keys.find(&key.key.hash).await.unwrap().unwrap();
    assert!(
        !format!("{} {} {}", stored_key.hash, stored_key.prefix, stored_key.name).contains(&key.text[13..])
    );
    let shown = format!("{signed_in:?} {ada:?} {stored:?} {key:?} {stored_key:?} {:?}", parts.identity);
    for hidden in [
        secret,
        &key.text[13..],
        &key.key.hash,
        &signed_in.access_token,
        &ada.password_hash,
        &stored.refresh_hash,
        PASSWORD,
    ] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[tokio::test]
async fn password_matches_in_every_unicode_normalization_form() {
    let parts = Parts::new();
    let (composed, decomposed) = (
        "pässwörter über 한국",
        "pa\u{308}sswo\u{308}rter u\u{308}ber \u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}",
    );
    let hash = async |id| parts.store.user(id).await.unwrap().unwrap().password_hash;
    for (name, set) in [("ada", decomposed), ("eve", composed)] {
        let new =
            NewUser { username: name.into(), email: format!("{name}@example.org"), password: set.into() };
        let user = parts.identity.create_user(new, UserRole::User).await.unwrap();
        let mut session = None;
        for typed in [composed, decomposed] {
            let signed_in = parts.identity.login(name, typed, None).await.unwrap();
            session = Some(parts.identity.authenticate(&signed_in.access_token).unwrap().claims.sid);
            parts.identity.confirm(user.id, session.unwrap(), Some(typed)).await.unwrap();
        }
        assert_eq!(hash(user.id).await, user.password_hash, "a normalized password was rehashed");
        for wrong in
            [composed.replace('ä', "a"), decomposed.replace('\u{308}', "\u{30a}"), composed.to_uppercase()]
        {
            assert!(parts.identity.login(name, &wrong, None).await.is_err(), "{wrong}");
        }
        let same =
            parts.identity.change_password(user.id, session.unwrap(), (composed, decomposed), false).await;
        assert_eq!(same.unwrap_err().field(), Some("new_password"));
    }
}

#[tokio::test]
async fn accounts_with_unnormalized_passwords_can_still_sign_in() {
    let parts = Parts::new();
    let hasher =
        Argon2PasswordHasher::new(Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 }).unwrap();
    let decomposed = "cafe\u{301} au lait";
    let mixed = "e\u{301}t\u{e9} en mer";
    for (name, set, typed) in [
        ("ada", decomposed, "café au lait"),
        ("bob", decomposed, decomposed),
        ("eve", mixed, mixed),
        ("zoe", "café au lait", decomposed),
    ] {
        let user = parts.register(name, UserRole::User).await;
        let to = hasher.hash(set).await.unwrap();
        let old = UserChange::Rehash { from: user.password_hash, to: to.clone() };
        parts.store.change_user(user.id, &old, parts.clock.now()).await.unwrap();
        for typed in [typed.to_owned(), typed.nfc().collect(), typed.nfd().collect()] {
            parts.identity.login(name, &typed, None).await.unwrap();
        }
        let now = parts.store.user(user.id).await.unwrap().unwrap().password_hash;
        assert_eq!(now == to, set == "café au lait", "{name}: what was not composed is hashed anew");
    }
}

#[tokio::test]
async fn password_is_rehashed_after_the_cost_has_changed() {
    let parts = Parts::new();
    let ada = parts.register("ada", UserRole::User).await;
    let before = parts.identity.login("ada", PASSWORD, None).await.unwrap();
    let cost = Argon2Cost { memory_kib: 128, iterations: 2, parallelism: 1 };
    let dearer = Identity::new(
        parts.store.clone(),
        parts.keys.clone(),
        Arc::new(Argon2PasswordHasher::new(cost).unwrap()),
        Arc::new(JwtTokenSigner::new(SECRET).unwrap()),
        parts.clock.clone(),
        IdentityConfig::default(),
    );
    let hash = async || parts.store.user(ada.id).await.unwrap().unwrap().password_hash;
    assert!(dearer.login("ada", "a wrong password", None).await.is_err());
    assert_eq!(hash().await, ada.password_hash, "a wrong password changed the hash");
    let after = dearer.login("ada", PASSWORD, None).await.unwrap();
    let renewed = hash().await;
    assert!(renewed.starts_with("$argon2id$v=19$m=128,t=2,p=1$"), "{renewed}");
    for session in [before, after] {
        dearer.refresh(&session.refresh_token).await.unwrap();
    }
    dearer.login("ada", PASSWORD, None).await.unwrap();
    assert_eq!(hash().await, renewed, "the password was rehashed twice");
}
