//! Checks about accounts: admins, deletion, invitations, and the number of sessions.

use std::sync::Arc;

use futures::future::join_all;

use super::{at, begin, begin_as, hash, session, successor, user, user_named};
use crate::domain::{
    Invitation, InvitationId, MAX_INVITATIONS, MAX_SESSIONS, Session, SessionId, Successor, User, UserChange,
    UserId, UserRole,
};
use crate::error::{ErrorKind, Result};
use crate::ports::IdentityStore;

/// At least one admin who can sign in remains under concurrent disabling, demotion and deletion: the last one is
/// `Conflict`.
pub async fn last_admin_cannot_be_removed<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let admins: Vec<User> =
        (0..9).map(|n| User { role: UserRole::Admin, ..user_named(&format!("admin_{n}")) }).collect();
    for admin in &admins {
        store.create_user(admin).await.unwrap();
    }
    store.create_user(&user_named("ada")).await.unwrap();
    let changes = admins.iter().enumerate().map(|(n, admin)| {
        let (store, id) = (store.clone(), admin.id);
        tokio::spawn(async move {
            match n % 3 {
                0 => store.change_user(id, &UserChange::Disabled(true), at(1)).await.map(drop),
                1 => store.change_user(id, &UserChange::Role(UserRole::User), at(1)).await.map(drop),
                _ => store.delete_user(id, at(1)).await,
            }
        })
    });
    let outcomes: Vec<Result<()>> =
        join_all(changes).await.into_iter().map(|outcome| outcome.unwrap()).collect();
    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!(refused.len(), 1, "{outcomes:?}");
    assert_eq!(refused[0].kind(), ErrorKind::Conflict, "{refused:?}");
    let mut left = Vec::new();
    for admin in &admins {
        left.extend(store.user(admin.id).await.unwrap().filter(|u| u.role == UserRole::Admin && !u.disabled));
    }
    assert_eq!(left.len(), 1, "{left:?}");
    let last = left[0].id;
    for change in [UserChange::Disabled(true), UserChange::Role(UserRole::User)] {
        let refused = store.change_user(last, &change, at(2)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{change:?}");
    }
    assert_eq!(store.delete_user(last, at(2)).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.user(last).await.unwrap().as_ref(), Some(&left[0]));
    store.change_user(last, &UserChange::Role(UserRole::Admin), at(2)).await.unwrap();
}

/// `create_first_admin` stores an admin if there is none, also under concurrent calls; otherwise it is `Conflict` without
/// a field, and changes nothing.
pub async fn create_first_admin_succeeds_once<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let admin = |name: &str| User { role: UserRole::Admin, ..user_named(name) };
    store.create_user(&user_named("ada")).await.unwrap();
    assert!(!store.has_admin().await.unwrap());
    // With an email of its own: which of two taken columns a database reports is not specified.
    let same_name = User { email: "other@example.org".into(), ..admin("ADA") };
    let taken = store.create_first_admin(&same_name).await.unwrap_err();
    assert_eq!((taken.kind(), taken.field()), (ErrorKind::Conflict, Some("username")));
    assert!(!store.has_admin().await.unwrap(), "a refused admin was kept");

    let admins: Vec<User> = (0..8).map(|n| admin(&format!("admin_{n}"))).collect();
    let calls = admins.iter().cloned().map(|admin| {
        let store = store.clone();
        tokio::spawn(async move { store.create_first_admin(&admin).await })
    });
    let outcomes: Vec<Result<()>> = join_all(calls).await.into_iter().map(|call| call.unwrap()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    let mut found = Vec::new();
    for (admin, outcome) in admins.iter().zip(outcomes) {
        match outcome {
            Ok(()) => found.extend(store.user(admin.id).await.unwrap()),
            Err(e) => {
                assert_eq!((e.kind(), e.field()), (ErrorKind::Conflict, None), "{e}");
                assert_eq!(store.user(admin.id).await.unwrap(), None);
            }
        }
    }
    assert!(store.has_admin().await.unwrap());
    let late = store.create_first_admin(&admin("late")).await.unwrap_err();
    assert_eq!((late.kind(), late.field()), (ErrorKind::Conflict, None));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].role, UserRole::Admin);
}

/// `delete_user` removes a user with their sessions and the invitations that they created, and nobody else's; an
/// unknown one is `NotFound`.
pub async fn delete_user_removes_what_is_theirs<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let mine = begin(&*store).await;
    let theirs = begin_as(&*store, "eve").await;
    store.rotate(mine.id, &mine.refresh_hash, &successor('b'), at(20), at(900)).await.unwrap();
    let [gone, kept] =
        [mine.user, theirs.user].map(|user| Invitation { created_by: Some(user), ..invitation('1') });
    let kept = Invitation { hash: hash('2'), ..kept };
    store.create_invitation(&gone).await.unwrap();
    store.create_invitation(&kept).await.unwrap();

    store.delete_user(mine.user, at(30)).await.unwrap();
    assert_eq!(store.user(mine.user).await.unwrap(), None);
    assert_eq!(store.user_by_login("ada").await.unwrap(), None);
    assert_eq!(store.session(mine.id).await.unwrap(), None);
    assert_eq!(store.spent_token(mine.id, &mine.refresh_hash).await.unwrap(), None);
    assert_eq!(store.invitations(at(30)).await.unwrap(), [kept]);
    assert_eq!(store.session(theirs.id).await.unwrap(), Some(theirs));
    assert_eq!(store.revoked_since(at(30)).await.unwrap(), [mine.id], "other servers have to hear of it");
    assert_eq!(store.revoked_since(at(31)).await.unwrap(), []);
    for id in [mine.user, UserId::new()] {
        assert_eq!(store.delete_user(id, at(40)).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    // The names of a deleted user are free again.
    begin(&*store).await;
}

/// An invitation is valid once until it expires, also under concurrent use; an unknown, used or expired one is
/// `Forbidden` naming `invitation` and adds no user.
pub async fn invitation_is_valid_once<S: IdentityStore + ?Sized>(store: Arc<S>) {
    store.create_invitation(&invitation('1')).await.unwrap();
    let calls = ["one", "two"].map(|name| {
        let store = store.clone();
        tokio::spawn(async move { store.create_invited_user(&user_named(name), &hash('1')).await })
    });
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.push(call.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");

    let late = Invitation { expires_at: at(0), created_at: at(-10), ..invitation('3') };
    store.create_invitation(&late).await.unwrap();
    for letter in ['1', '2', '3'] {
        let refused = store.create_invited_user(&user_named("bob"), &hash(letter)).await.unwrap_err();
        assert_eq!((refused.kind(), refused.field()), (ErrorKind::Forbidden, Some("invitation")));
    }
    assert_eq!(store.user_by_login("bob").await.unwrap(), None);

    // A registration with a taken name does not use up the invitation.
    store.create_invitation(&invitation('4')).await.unwrap();
    store.create_user(&user_named("ada")).await.unwrap();
    let other = user("ADA", "other@example.org");
    let taken = store.create_invited_user(&other, &hash('4')).await.unwrap_err();
    assert_eq!((taken.kind(), taken.field()), (ErrorKind::Conflict, Some("username")));
    store.create_invited_user(&user_named("bob"), &hash('4')).await.unwrap();
    assert!(store.user_by_login("bob").await.unwrap().is_some());
}

/// `invitations` lists the unexpired ones, newest first, at most [`MAX_INVITATIONS`]: one more is `Conflict`; deleting
/// an unknown one is `NotFound`.
pub async fn invitations_are_bounded<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let mut made = Vec::new();
    for n in 0..MAX_INVITATIONS {
        let expires_at = at(if n == 0 { 50 } else { 100 });
        let invitation = Invitation { hash: format!("{n:064}"), expires_at, ..invitation('1') };
        store.create_invitation(&invitation).await.unwrap();
        made.insert(0, invitation);
    }
    assert_eq!(store.invitations(at(49)).await.unwrap(), made);
    assert_eq!(store.create_invitation(&invitation('a')).await.unwrap_err().kind(), ErrorKind::Conflict);
    made.pop();
    assert_eq!(store.invitations(at(50)).await.unwrap(), made, "without the one that has expired");
    store.create_invitation(&Invitation { created_at: at(50), ..invitation('b') }).await.unwrap();

    store.delete_invitation(made[3].id).await.unwrap();
    assert!(store.invitations(at(50)).await.unwrap().iter().all(|left| left.id != made[3].id));
    for id in [made[3].id, InvitationId::new()] {
        assert_eq!(store.delete_invitation(id).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

/// A new session revokes and returns the oldest sessions beyond [`MAX_SESSIONS`].
pub async fn oldest_sessions_are_revoked<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let first = begin(&*store).await;
    let theirs = begin_as(&*store, "eve").await;
    let revoked = session(first.user);
    assert_eq!(store.create_session(&revoked).await.unwrap(), []);
    store.revoke(revoked.id, at(11)).await.unwrap();
    for _ in 1..MAX_SESSIONS {
        assert_eq!(store.create_session(&session(first.user)).await.unwrap(), []);
    }
    let more = (0..8).map(|_| {
        let (store, session) = (store.clone(), Session { created_at: at(12), ..session(first.user) });
        tokio::spawn(async move { store.create_session(&session).await.unwrap() })
    });
    let mut ended: Vec<SessionId> =
        join_all(more).await.into_iter().flat_map(|ended| ended.unwrap()).collect();
    ended.sort();
    ended.dedup();
    assert_eq!(ended.len(), 8, "each ended another one");
    assert!(ended.contains(&first.id), "the oldest first");
    assert_eq!(store.session(first.id).await.unwrap().unwrap().revoked_at, Some(at(12)));
    assert_eq!(store.sessions(first.user, at(12)).await.unwrap().len(), MAX_SESSIONS as usize);
    assert_eq!(store.sessions(theirs.user, at(12)).await.unwrap(), [theirs]);
}

/// `spent_token` finds the hashes that `rotate` has replaced, at least the latest several hundred, and no others, with
/// the salt of the successor while the token may be repeated.
pub async fn spent_token_tells_exchanged_hashes<S: IdentityStore + ?Sized>(store: Arc<S>) {
    let session = begin(&*store).await;
    let other = begin_as(&*store, "eve").await;
    let numbered = |n: i64| format!("{n:064}");
    let new = |n: i64| Successor { hash: numbered(n), salt: format!("salt {n}") };
    store.rotate(session.id, &session.refresh_hash, &new(0), at(20), at(900)).await.unwrap();
    for n in 0..200 {
        store.rotate(session.id, &numbered(n), &new(n + 1), at(21 + n), at(900)).await.unwrap();
    }
    // The last rotation was at 220, so tokens spent before 190 have lost their salt.
    for (spent, spent_at, salt) in [
        (session.refresh_hash.clone(), 20, None),
        (numbered(0), 21, None),
        (numbered(168), 189, None),
        (numbered(169), 190, Some("salt 170".to_owned())),
        (numbered(199), 220, Some("salt 200".to_owned())),
    ] {
        let known = store.spent_token(session.id, &spent).await.unwrap().unwrap();
        assert_eq!((known.spent_at, known.salt), (at(spent_at), salt), "{spent}");
        assert_eq!(store.spent_token(other.id, &spent).await.unwrap(), None, "of another session");
    }
    for never in [numbered(200), numbered(201), hash('z'), String::new()] {
        assert_eq!(store.spent_token(session.id, &never).await.unwrap(), None, "{never}");
    }
    // A rejected rotation replaces nothing.
    store.rotate(session.id, &numbered(300), &new(301), at(30), at(900)).await.unwrap_err();
    assert_eq!(store.spent_token(session.id, &numbered(300)).await.unwrap(), None);
}

/// Creates an invitation without a creator, valid from `at(0)` until `at(100)`.
fn invitation(letter: char) -> Invitation {
    Invitation {
        id: InvitationId::new(),
        hash: hash(letter),
        created_by: None,
        created_at: at(0),
        expires_at: at(100),
    }
}
