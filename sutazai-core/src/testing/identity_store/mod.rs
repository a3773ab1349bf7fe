//! Conformance suite of the port [`IdentityStore`].

mod accounts;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use chrono::{DateTime, Duration, TimeZone, Utc};

use crate::domain::{
    PageLimit, PageRequest, Session, SessionId, Successor, User, UserChange, UserCounts, UserId, UserQuery,
    UserRole,
};
use crate::error::ErrorKind;
use crate::ports::IdentityStore;

pub use accounts::{
    create_first_admin_succeeds_once, delete_user_removes_what_is_theirs, invitation_is_valid_once,
    invitations_are_bounded, last_admin_cannot_be_removed, oldest_sessions_are_revoked,
    spent_token_tells_exchanged_hashes,
};

/// Runs every check of the contract, each against a store of its own.
pub async fn run_all<S, F>(make: impl Fn() -> F)
where
    S: IdentityStore + ?Sized,
    F: Future<Output = Arc<S>>,
{
    created_user_can_be_read(make().await).await;
    second_user_of_the_same_name_is_a_conflict(make().await).await;
    record_login_sets_nothing_else(make().await).await;
    users_is_newest_first_and_finds_text(make().await).await;
    usernames_gives_known_users(make().await).await;
    change_user_ends_what_may_not_outlive_it(make().await).await;
    last_admin_cannot_be_removed(make().await).await;
    create_first_admin_succeeds_once(make().await).await;
    delete_user_removes_what_is_theirs(make().await).await;
    invitation_is_valid_once(make().await).await;
    invitations_are_bounded(make().await).await;
    count_users_counts(make().await).await;
    created_session_can_be_read(make().await).await;
    oldest_sessions_are_revoked(make().await).await;
    sessions_gives_what_is_good(make().await).await;
    rotate_exchanges_the_hash_once(make().await).await;
    spent_token_tells_exchanged_hashes(make().await).await;
    revoked_session_does_not_rotate(make().await).await;
    revoke_all_ends_the_sessions_of_one_user(make().await).await;
    revoked_since_gives_what_ended(make().await).await;
}

/// A created user is found by id, by username and by e-mail, the latter two regardless of case.
pub async fn created_user_can_be_read<S: IdentityStore + ?Sized>(store: Arc<S>) {
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

/// A second user with the same username or e-mail, regardless of case, is `Conflict` naming the field, and changes
/// nothing.
pub async fn second_user_of_the_same_name_is_a_conflict<S: IdentityStore + ?Sized>(store: Arc<S>) {
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

/// `users` lists newest first, searches username and e-mail regardless of case, and pages without losing or repeating a
/// user.
pub async fn users_is_newest_first_and_finds_text<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let all: Vec<User> =
        (0..7).map(|n| user(&format!("User_{n}"), &format!("Mail{}@example.org", n % 2))).collect();
    let all: Vec<User> = all
        .into_iter()
        .enumerate()
        .map(|(n, user)| User { email: format!("{n}{}", user.email), ..user })
        .collect();
    for user in &all {
        store.create_user(user).await.unwrap();
    }
    let newest_first: Vec<UserId> = all.iter().rev().map(|user| user.id).collect();
    let find = async |search: &str| {
        let query = UserQuery { search: Some(search.into()), page: PageLimit::MAX.into() };
        let page = store.users(&query).await.unwrap();
        assert_eq!(page.next, None);
        page.items.iter().map(|user| user.id).collect::<Vec<_>>()
    };
    assert_eq!(find("").await, newest_first);
    assert_eq!(find("user_").await, newest_first);
    assert_eq!(find("R_3").await, [all[3].id]);
    assert_eq!(find("MAIL1@").await, [all[5].id, all[3].id, all[1].id]);
    // The search text is not interpreted as a pattern.
    for nothing in ["user%", "user__", "nobody", "' OR 1=1 --"] {
        assert_eq!(find(nothing).await, [], "{nothing}");
    }
    let mut query = UserQuery { search: None, page: PageRequest::new(None, 3).unwrap() };
    let mut seen = Vec::new();
    loop {
        let page = store.users(&query).await.unwrap();
        seen.extend(page.items.iter().map(|user| user.id));
        store
            .create_user(&user(&format!("late{}", seen.len()), &format!("{}@x.org", seen.len())))
            .await
            .unwrap();
        query.page.cursor = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(seen, newest_first);
}

/// `usernames` returns the usernames of those of the given users that exist.
pub async fn usernames_gives_known_users<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let [ada, eve, bob] = ["ada", "Eve", "bob"].map(user_named);
    for user in [&ada, &eve, &bob] {
        store.create_user(user).await.unwrap();
    }
    let found = store.usernames(&[eve.id, UserId::new(), ada.id, eve.id]).await.unwrap();
    let expected = [(ada.id, "ada".to_owned()), (eve.id, "Eve".to_owned())];
    assert_eq!(found, expected.into_iter().collect());
    assert_eq!(store.usernames(&[]).await.unwrap(), HashMap::new());
}

/// `change_user` sets what the change names and revokes the sessions that may not survive it in the same step; an
/// unknown user is `NotFound`.
pub async fn change_user_ends_what_may_not_outlive_it<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let (mut ada, eve) = (user("ada", "ada@example.org"), user("eve", "eve@example.org"));
    store.create_user(&ada).await.unwrap();
    store.create_user(&eve).await.unwrap();
    store.create_user(&User { role: UserRole::Admin, ..user_named("root_1") }).await.unwrap();
    let theirs = session(eve.id);
    store.create_session(&theirs).await.unwrap();
    let mut open = Vec::new();
    for step in 0..6 {
        if !ada.disabled {
            for _ in 0..2 {
                let session = session(ada.id);
                store.create_session(&session).await.unwrap();
                open.push(session.id);
            }
        }
        let (change, kept) = match step {
            0 => {
                ada.password_hash = "$argon2id$another".into();
                let keep = open[1];
                (UserChange::Password { hash: ada.password_hash.clone(), keep: Some(keep) }, vec![keep])
            }
            4 => {
                ada.password_hash = "$argon2id$new".into();
                (UserChange::Password { hash: ada.password_hash.clone(), keep: None }, vec![])
            }
            1 => {
                ada.role = UserRole::Admin;
                (UserChange::Role(UserRole::Admin), vec![])
            }
            2 => {
                ada.disabled = true;
                (UserChange::Disabled(true), vec![])
            }
            3 => {
                ada.disabled = false;
                (UserChange::Disabled(false), vec![])
            }
            _ => {
                let from = std::mem::replace(&mut ada.password_hash, "$argon2id$dearer".into());
                (UserChange::Rehash { from, to: ada.password_hash.clone() }, open.clone())
            }
        };
        let changed = store.change_user(ada.id, &change, at(30 + step)).await.unwrap();
        assert_eq!((&changed.user, &read(&*store, ada.id).await), (&ada, &ada), "{change:?}");
        let mut expected: Vec<SessionId> = open.iter().copied().filter(|id| !kept.contains(id)).collect();
        let mut ended = changed.ended;
        expected.sort();
        ended.sort();
        assert_eq!(ended, expected, "{change:?}");
        for id in ended {
            assert_eq!(store.session(id).await.unwrap().unwrap().revoked_at, Some(at(30 + step)));
        }
        open = kept;
    }
    let late = UserChange::Rehash { from: "$argon2id$another".into(), to: "$argon2id$late".into() };
    assert_eq!(
        store.change_user(ada.id, &late, at(40)).await.unwrap().user,
        ada,
        "a newer password was lost"
    );
    assert_eq!(read(&*store, eve.id).await, eve);
    assert_eq!(store.session(theirs.id).await.unwrap(), Some(theirs));
    let e = store.change_user(UserId::new(), &UserChange::Disabled(true), at(50)).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
}

/// `count_users` counts all users, the disabled ones, and those with a live session that was refreshed since a given
/// time.
pub async fn count_users_counts<S: IdentityStore + ?Sized>(store: Arc<S>) {
    assert_eq!(store.count_users(at(0), at(1)).await.unwrap(), UserCounts::default());
    let session = begin(&*store).await;
    store.create_session(&Session { id: SessionId::new(), ..session.clone() }).await.unwrap();
    let ended = begin_as(&*store, "bob").await;
    store.revoke(ended.id, at(11)).await.unwrap();
    store.create_user(&User { disabled: true, ..user("eve", "eve@example.org") }).await.unwrap();
    for (since, now, active) in [(10, 20, 1), (11, 20, 0), (10, 799, 1), (10, 800, 0)] {
        let counts = store.count_users(at(since), at(now)).await.unwrap();
        assert_eq!(counts, UserCounts { total: 3, disabled: 1, active }, "since {since} at {now}");
    }
}

/// A created session is found by its id; one of a disabled or unknown user is `Conflict`; the user's expired sessions
/// are removed with it.
pub async fn created_session_can_be_read<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let session = begin(&*store).await;
    let other = Session { id: SessionId::new(), refresh_hash: hash('b'), ..session.clone() };
    store.create_session(&other).await.unwrap();
    assert_eq!(store.session(session.id).await.unwrap(), Some(session));
    assert_eq!(store.session(other.id).await.unwrap(), Some(other));
    assert_eq!(store.session(SessionId::new()).await.unwrap(), None);
    let eve = User { disabled: true, ..user("eve", "eve@example.org") };
    store.create_user(&eve).await.unwrap();
    for nobody in [eve.id, UserId::new()] {
        let refused = self::session(nobody);
        assert_eq!(store.create_session(&refused).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(store.session(refused.id).await.unwrap(), None, "a refused session was kept");
    }
    let theirs = begin_as(&*store, "bob").await;
    let mine = begin_as(&*store, "dan").await;
    for (created, kept) in [(799, true), (800, false)] {
        let next = Session { created_at: at(created), expires_at: at(1_600), ..self::session(mine.user) };
        store.create_session(&next).await.unwrap();
        assert_eq!(store.session(mine.id).await.unwrap().is_some(), kept, "created at {created}");
        assert_eq!(store.session(next.id).await.unwrap(), Some(next));
        assert_eq!(store.session(theirs.id).await.unwrap().as_ref(), Some(&theirs));
    }
}

/// `sessions` lists a user's sessions that are neither revoked nor expired, newest first.
pub async fn sessions_gives_what_is_good<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let first = begin(&*store).await;
    let theirs = begin_as(&*store, "eve").await;
    let [ended, expired, last] = [(), (), ()].map(|()| Session { id: SessionId::new(), ..first.clone() });
    let expired = Session { expires_at: at(20), ..expired };
    let last = Session { user_agent: None, ..last };
    for session in [&last, &ended, &expired] {
        store.create_session(session).await.unwrap();
    }
    store.revoke(ended.id, at(15)).await.unwrap();
    assert_eq!(store.sessions(first.user, at(20)).await.unwrap(), [last.clone(), first.clone()]);
    assert_eq!(store.sessions(first.user, at(19)).await.unwrap(), [last, expired, first]);
    assert_eq!(store.sessions(theirs.user, at(20)).await.unwrap(), [theirs]);
    assert_eq!(store.sessions(UserId::new(), at(20)).await.unwrap(), []);
}

/// `rotate` exchanges a hash once: of two calls with the same expected hash one succeeds and the other is `Conflict`.
pub async fn rotate_exchanges_the_hash_once<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let session = begin(&*store).await;
    let calls = ['b', 'c'].map(|new| {
        let (store, session) = (store.clone(), session.clone());
        async move { store.rotate(session.id, &session.refresh_hash, &successor(new), at(20), at(900)).await }
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
        store.rotate(session.id, &session.refresh_hash, &successor('d'), at(30), at(950)).await.unwrap_err();
    assert_eq!(spent.kind(), ErrorKind::Conflict);
    assert_eq!(
        store.session(session.id).await.unwrap(),
        Some(rotated),
        "a refused rotation changed something"
    );
    let unknown =
        store.rotate(SessionId::new(), &hash(winner), &successor('d'), at(30), at(950)).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Conflict);
}

/// `revoke` keeps the time of the first revocation; a revoked session does not rotate.
pub async fn revoked_session_does_not_rotate<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let session = begin(&*store).await;
    let other = Session { id: SessionId::new(), ..session.clone() };
    store.create_session(&other).await.unwrap();
    store.revoke(session.id, at(20)).await.unwrap();
    store.revoke(session.id, at(30)).await.unwrap();
    let revoked = Session { revoked_at: Some(at(20)), ..session.clone() };
    assert_eq!(store.session(session.id).await.unwrap(), Some(revoked.clone()));
    let e =
        store.rotate(session.id, &session.refresh_hash, &successor('b'), at(40), at(900)).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Conflict);
    assert_eq!(store.session(session.id).await.unwrap(), Some(revoked));
    assert_eq!(store.session(other.id).await.unwrap(), Some(other), "revoking one session changed another");
}

/// `revoke_all` revokes all sessions of one user and returns those that were live before.
pub async fn revoke_all_ends_the_sessions_of_one_user<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let first = begin(&*store).await;
    let theirs = begin_as(&*store, "eve").await;
    let [before, other] = [(), ()].map(|()| Session { id: SessionId::new(), ..first.clone() });
    store.create_session(&before).await.unwrap();
    store.create_session(&other).await.unwrap();
    store.revoke(before.id, at(15)).await.unwrap();
    let mut ended = store.revoke_all(first.user, at(20)).await.unwrap();
    ended.sort();
    assert_eq!(ended, [first.id, other.id]);
    for (id, when) in [(first.id, at(20)), (before.id, at(15)), (other.id, at(20))] {
        assert_eq!(store.session(id).await.unwrap().unwrap().revoked_at, Some(when));
    }
    assert_eq!(store.session(theirs.id).await.unwrap(), Some(theirs));
    assert_eq!(store.revoke_all(first.user, at(30)).await.unwrap(), []);
}

/// `revoked_since` lists the sessions of all users that ended at or after a time, for any reason.
pub async fn revoked_since_gives_what_ended<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let one = begin(&*store).await;
    let two = begin_as(&*store, "eve").await;
    let three = begin_as(&*store, "bob").await;
    begin_as(&*store, "dan").await;
    assert_eq!(store.revoked_since(at(0)).await.unwrap(), []);
    store.revoke(one.id, at(20)).await.unwrap();
    store.revoke_all(two.user, at(30)).await.unwrap();
    store.change_user(three.user, &UserChange::Disabled(true), at(40)).await.unwrap();
    for (since, expected) in [(20, &[one.id, two.id, three.id][..]), (21, &[two.id, three.id]), (41, &[])] {
        let mut found = store.revoked_since(at(since)).await.unwrap();
        found.sort();
        assert_eq!(found, expected, "since {since}");
    }
}

/// Creates a user with this name who has just registered.
pub fn user_named(name: &str) -> User {
    user(name, &format!("{name}@example.org"))
}

/// Creates a user with these names and default values.
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

/// Stores a user `ada` with a session whose hash is `hash('a')`.
async fn begin<S: IdentityStore + ?Sized>(store: &S) -> Session {
    begin_as(store, "ada").await
}

async fn begin_as<S: IdentityStore + ?Sized>(store: &S, name: &str) -> Session {
    let user = user_named(name);
    store.create_user(&user).await.unwrap();
    let session = session(user.id);
    store.create_session(&session).await.unwrap();
    session
}

/// Creates a session from `at(10)` to `at(800)` without storing it.
fn session(user: UserId) -> Session {
    Session {
        id: SessionId::new(),
        user,
        refresh_hash: hash('a'),
        created_at: at(10),
        refreshed_at: at(10),
        expires_at: at(800),
        revoked_at: None,
        user_agent: Some("browser/1.0".into()),
    }
}

async fn read<S: IdentityStore + ?Sized>(store: &S, id: UserId) -> User {
    store.user(id).await.unwrap().unwrap()
}

/// Runs two calls concurrently, on two threads if the runtime has them.
async fn both<T: Send + 'static>(calls: [impl Future<Output = T> + Send + 'static; 2]) -> [T; 2] {
    let [one, two] = calls.map(tokio::spawn);
    [one.await.unwrap(), two.await.unwrap()]
}

/// Creates a successor with a hash of the length of a SHA-256 in hexadecimal.
fn successor(letter: char) -> Successor {
    Successor { hash: hash(letter), salt: "5a".repeat(32) }
}

fn hash(letter: char) -> String {
    letter.to_string().repeat(64)
}

/// Returns a time in 2026 with a fraction in microseconds, which a store must keep.
fn at(second: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600 + second, 0).unwrap() + Duration::microseconds(123_456)
}
