//! The suite of [`IdentityStore`].

use std::future::Future;
use std::sync::Arc;

use chrono::{DateTime, Duration, TimeZone, Utc};

use crate::domain::{Session, SessionId, User, UserId, UserRole};
use crate::error::ErrorKind;
use crate::ports::IdentityStore;

/// Every bullet of the contract, each against a store of its own.
pub async fn run_all<S, F>(make: impl Fn() -> F)
where
    S: IdentityStore + ?Sized,
    F: Future<Output = Arc<S>>,
{
    a_created_user_can_be_read(make().await).await;
    a_second_user_of_the_same_name_is_a_conflict(make().await).await;
    record_login_sets_nothing_else(make().await).await;
    a_created_session_can_be_read(make().await).await;
    rotate_exchanges_the_hash_once(make().await).await;
    a_revoked_session_does_not_rotate(make().await).await;
}

/// A created user can be read by id, by username and by e-mail, the latter two whatever their case.
pub async fn a_created_user_can_be_read<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let ada = user("Ada", "Ada@Example.org");
    let eve = User {
        role: UserRole::Admin,
        disabled: true,
        last_login_at: Some(at(5)),
        ..user("eve", "eve@example.org")
    };
    store.create_user(&ada).await.unwrap();
    store.create_user(&eve).await.unwrap();
    assert_eq!(read(&*store, ada.id).await, ada);
    assert_eq!(read(&*store, eve.id).await, eve);
    for login in ["Ada", "ada", "ADA", "Ada@Example.org", "ada@example.ORG"] {
        assert_eq!(store.user_by_login(login).await.unwrap().as_ref(), Some(&ada), "{login}");
    }
    for nobody in ["", "bob", "ada ", "ada@example", "%", "a_a", "' OR 1=1 --"] {
        assert_eq!(store.user_by_login(nobody).await.unwrap(), None, "{nobody}");
    }
    assert_eq!(store.user(UserId::new()).await.unwrap(), None);
}

/// A second user of the same username or e-mail, whatever its case, is `Conflict` naming the field, and changes nothing.
pub async fn a_second_user_of_the_same_name_is_a_conflict<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let ada = user("ada", "ada@example.org");
    store.create_user(&ada).await.unwrap();
    for (field, second) in
        [("username", user("ADA", "other@example.org")), ("email", user("other", "Ada@EXAMPLE.org"))]
    {
        let e = store.create_user(&second).await.unwrap_err();
        assert_eq!((e.kind(), e.field()), (ErrorKind::Conflict, Some(field)), "{e}");
        assert_eq!(store.user(second.id).await.unwrap(), None, "a refused user was kept");
    }
    assert_eq!(store.user_by_login("other").await.unwrap(), None);
    assert_eq!(store.user_by_login("other@example.org").await.unwrap(), None);
    assert_eq!(read(&*store, ada.id).await, ada);

    let twins = [user("twin", "one@example.org"), user("TWIN", "two@example.org")].map(|twin| {
        let store = store.clone();
        async move { store.create_user(&twin).await }
    });
    let [one, two] = both(twins).await;
    assert!(one.is_ok() != two.is_ok(), "of two registrations at once one must win: {one:?} {two:?}");
}

/// `record_login` sets the time of the latest login and nothing else.
pub async fn record_login_sets_nothing_else<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let (ada, eve) = (user("ada", "ada@example.org"), user("eve", "eve@example.org"));
    store.create_user(&ada).await.unwrap();
    store.create_user(&eve).await.unwrap();
    for second in [7, 9] {
        store.record_login(ada.id, at(second)).await.unwrap();
        assert_eq!(read(&*store, ada.id).await, User { last_login_at: Some(at(second)), ..ada.clone() });
    }
    assert_eq!(read(&*store, eve.id).await, eve);
}

/// A created session can be read by its id.
pub async fn a_created_session_can_be_read<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let session = begin(&*store).await;
    let other = Session { id: SessionId::new(), refresh_hash: hash('b'), ..session.clone() };
    store.create_session(&other).await.unwrap();
    assert_eq!(store.session(session.id).await.unwrap(), Some(session));
    assert_eq!(store.session(other.id).await.unwrap(), Some(other));
    assert_eq!(store.session(SessionId::new()).await.unwrap(), None);
}

/// `rotate` exchanges the hash once: of two calls with the same expected hash one succeeds and the other is `Conflict`.
pub async fn rotate_exchanges_the_hash_once<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let session = begin(&*store).await;
    let calls = ['b', 'c'].map(|new| {
        let (store, session) = (store.clone(), session.clone());
        async move { store.rotate(session.id, &session.refresh_hash, &hash(new), at(20), at(900)).await }
    });
    let results = both(calls).await;
    let winner = match &results {
        [Ok(()), Err(e)] if e.kind() == ErrorKind::Conflict => 'b',
        [Err(e), Ok(())] if e.kind() == ErrorKind::Conflict => 'c',
        _ => panic!("of two rotations at once one must win, the other be a conflict: {results:?}"),
    };
    let rotated =
        Session { refresh_hash: hash(winner), refreshed_at: at(20), expires_at: at(900), ..session.clone() };
    assert_eq!(store.session(session.id).await.unwrap(), Some(rotated.clone()));

    let spent =
        store.rotate(session.id, &session.refresh_hash, &hash('d'), at(30), at(950)).await.unwrap_err();
    assert_eq!(spent.kind(), ErrorKind::Conflict);
    assert_eq!(
        store.session(session.id).await.unwrap(),
        Some(rotated),
        "a refused rotation changed something"
    );
    let unknown =
        store.rotate(SessionId::new(), &hash(winner), &hash('d'), at(30), at(950)).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Conflict);
}

/// `revoke` keeps the first time of revocation; a revoked session does not rotate.
pub async fn a_revoked_session_does_not_rotate<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let session = begin(&*store).await;
    let other = Session { id: SessionId::new(), ..session.clone() };
    store.create_session(&other).await.unwrap();
    store.revoke(session.id, at(20)).await.unwrap();
    store.revoke(session.id, at(30)).await.unwrap();
    let revoked = Session { revoked_at: Some(at(20)), ..session.clone() };
    assert_eq!(store.session(session.id).await.unwrap(), Some(revoked.clone()));
    let e = store.rotate(session.id, &session.refresh_hash, &hash('b'), at(40), at(900)).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Conflict);
    assert_eq!(store.session(session.id).await.unwrap(), Some(revoked));
    assert_eq!(store.session(other.id).await.unwrap(), Some(other), "revoking one session changed another");
}

/// A user made by nothing else than its names.
fn user(username: &str, email: &str) -> User {
    User {
        id: UserId::new(),
        username: username.into(),
        email: email.into(),
        password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g".into(),
        role: UserRole::User,
        disabled: false,
        created_at: at(0),
        last_login_at: None,
    }
}

/// A user with a session, whose hash is `hash('a')`.
async fn begin<S: IdentityStore + ?Sized>(store: &S) -> Session {
    let ada = user("ada", "ada@example.org");
    store.create_user(&ada).await.unwrap();
    let session = Session {
        id: SessionId::new(),
        user: ada.id,
        refresh_hash: hash('a'),
        created_at: at(10),
        refreshed_at: at(10),
        expires_at: at(800),
        revoked_at: None,
    };
    store.create_session(&session).await.unwrap();
    session
}

async fn read<S: IdentityStore + ?Sized>(store: &S, id: UserId) -> User {
    store.user(id).await.unwrap().unwrap()
}

/// Runs two calls side by side, on two threads where the runtime has them.
async fn both<T: Send + 'static>(calls: [impl Future<Output = T> + Send + 'static; 2]) -> [T; 2] {
    let [one, two] = calls.map(tokio::spawn);
    [one.await.unwrap(), two.await.unwrap()]
}

/// As long as a SHA-256 in hexadecimal.
fn hash(letter: char) -> String {
    letter.to_string().repeat(64)
}

/// So many seconds into 2026, with a fraction that a store must keep: microseconds.
fn at(second: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600 + second, 0).unwrap() + Duration::microseconds(123_456)
}
