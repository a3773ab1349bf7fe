//! [`IdentityStore`] in a PostgreSQL database.

use std::collections::HashMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use sutazai_core::adapter::REFRESH_REPEAT_WINDOW;
use sutazai_core::domain::{
    ChangedUser, Invitation, InvitationId, MAX_SESSIONS, Page, Session, SessionId, SpentToken, Successor,
    User, UserChange, UserCounts, UserId, UserQuery, quota,
};
use sutazai_core::ports::IdentityStore;
use sutazai_core::{Error, Result};

use super::columns::{bound, insert, values};
use super::database::Database;
use super::error::StoreResult;
use super::invitations;
use super::keyset::Keyset;
use super::quota::{Counted, lock_all};
use super::text::kept;
use super::timeout_class::TimeoutClass;
use super::transaction::Transaction;
use crate::columns::{
    Entity, decode, names, overwritten, session_columns, spent_token_columns, user_columns,
};
use crate::tables::{INVITATIONS, SESSIONS, SPENT_TOKENS, USERS};

/// Retention of ended sessions of deleted users: by then all their access tokens have expired.
const DELETED_SESSION_TTL: TimeDelta = TimeDelta::days(1);
/// Replaced refresh tokens kept per session, for detecting their reuse.
const MAX_SPENT_TOKENS: i64 = 500;

/// Users and their sessions in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresIdentityStore {
    database: Database,
}

impl PostgresIdentityStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl IdentityStore for PostgresIdentityStore {
    async fn create_user(&self, user: &User) -> Result<()> {
        self.database
            .run(USERS.insert(), user.clone(), |connection, user| Box::pin(create_user(connection, user)))
            .await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>> {
        self.database.run(USERS.select(), id, |connection, id| Box::pin(user(connection, *id))).await
    }

    async fn user_by_login(&self, login: &str) -> Result<Option<User>> {
        self.database
            .run(USERS.select(), login.to_owned(), |connection, login| {
                Box::pin(user_by_login(connection, login))
            })
            .await
    }

    async fn has_admin(&self) -> Result<bool> {
        self.database.run(USERS.select(), (), |connection, ()| Box::pin(has_admin(connection))).await
    }

    async fn create_first_admin(&self, admin: &User) -> Result<()> {
        self.database
            .write(USERS.insert(), admin.clone(), |tx, admin| {
                Box::pin(create_first_admin(tx.connection, admin))
            })
            .await
    }

    async fn users(&self, query: &UserQuery) -> Result<Page<User, UserId>> {
        self.database
            .run(USERS.select(), query.clone(), |connection, query| Box::pin(users(connection, query)))
            .await
    }

    async fn usernames(&self, ids: &[UserId]) -> Result<HashMap<UserId, String>> {
        self.database
            .run(USERS.select(), ids.to_vec(), |connection, ids| Box::pin(usernames(connection, ids)))
            .await
    }

    async fn change_user(&self, id: UserId, change: &UserChange, now: DateTime<Utc>) -> Result<ChangedUser> {
        self.database
            .write(USERS.update(), change.clone(), move |tx, change| {
                Box::pin(change_user(tx, id, change, now))
            })
            .await
    }

    async fn count_users(&self, active_since: DateTime<Utc>, now: DateTime<Utc>) -> Result<UserCounts> {
        let counted = self.database.run(USERS.select(), active_since, move |connection, since| {
            Box::pin(count_users(connection, *since, now))
        });
        counted.await
    }

    async fn record_login(&self, id: UserId, at: DateTime<Utc>) -> Result<()> {
        self.database
            .run(USERS.update(), id, move |connection, id| Box::pin(record_login(connection, *id, at)))
            .await
    }

    async fn delete_user(&self, id: UserId, now: DateTime<Utc>) -> Result<()> {
        self.database
            .write_within(USERS.delete(), TimeoutClass::Long, id, move |tx, id| {
                Box::pin(delete_user(tx.connection, *id, now))
            })
            .await
    }

    async fn create_invitation(&self, invitation: &Invitation) -> Result<()> {
        self.database
            .write(INVITATIONS.insert(), invitation.clone(), |tx, new| {
                Box::pin(invitations::create(tx.connection, new))
            })
            .await
    }

    async fn invitations(&self, now: DateTime<Utc>) -> Result<Vec<Invitation>> {
        self.database
            .run(INVITATIONS.select(), now, |connection, now| Box::pin(invitations::list(connection, *now)))
            .await
    }

    async fn delete_invitation(&self, id: InvitationId) -> Result<()> {
        self.database
            .run(INVITATIONS.delete(), id, |connection, id| Box::pin(invitations::delete(connection, *id)))
            .await
    }

    async fn create_invited_user(&self, user: &User, invitation_hash: &str) -> Result<()> {
        let new = (user.clone(), invitation_hash.to_owned());
        self.database
            .write(USERS.insert(), new, |tx, new| {
                Box::pin(create_invited_user(tx.connection, (&new.0, &new.1)))
            })
            .await
    }

    async fn create_session(&self, session: &Session) -> Result<Vec<SessionId>> {
        self.database
            .write(SESSIONS.insert(), session.clone(), |tx, session| Box::pin(create_session(tx, session)))
            .await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        self.database.run(SESSIONS.select(), id, |connection, id| Box::pin(session(connection, *id))).await
    }

    async fn sessions(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<Session>> {
        self.database
            .run(SESSIONS.select(), user, move |connection, user| Box::pin(sessions(connection, *user, now)))
            .await
    }

    async fn rotate(
        &self,
        id: SessionId,
        expected_hash: &str,
        new: &Successor,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<()> {
        let tokens = (expected_hash.to_owned(), new.clone());
        self.database
            .write(SESSIONS.update(), tokens, move |tx, tokens| {
                Box::pin(rotate(tx.connection, id, tokens, now, expires_at))
            })
            .await
    }

    async fn spent_token(&self, id: SessionId, hash: &str) -> Result<Option<SpentToken>> {
        self.database
            .run(SPENT_TOKENS.select(), hash.to_owned(), move |connection, hash| {
                Box::pin(spent_token(connection, id, hash))
            })
            .await
    }

    async fn revoke(&self, id: SessionId, now: DateTime<Utc>) -> Result<()> {
        self.database
            .run(SESSIONS.update(), id, move |connection, id| Box::pin(revoke(connection, *id, now)))
            .await
    }

    async fn revoke_all(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<SessionId>> {
        self.database
            .run(SESSIONS.update(), user, move |connection, user| {
                Box::pin(revoke_all(connection, *user, None, now))
            })
            .await
    }

    async fn revoked_since(&self, since: DateTime<Utc>) -> Result<Vec<SessionId>> {
        self.database
            .run(SESSIONS.select(), since, |connection, since| Box::pin(revoked_since(connection, *since)))
            .await
    }
}

async fn user(connection: &mut PgConnection, id: UserId) -> StoreResult<Option<User>> {
    const BY_ID: &str = concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1");
    let row = sqlx::query(BY_ID).bind(id.0).fetch_optional(connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn usernames(connection: &mut PgConnection, ids: &[UserId]) -> StoreResult<HashMap<UserId, String>> {
    const NAMES: &str = "SELECT id, username FROM users WHERE id = ANY($1)";
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query(NAMES).bind(ids).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((UserId(row.try_get(0)?), row.try_get(1)?))).collect()
}

async fn user_by_login(connection: &mut PgConnection, login: &str) -> StoreResult<Option<User>> {
    // A username cannot be an e-mail address, so at most one of the two parts returns a user.
    const BY_LOGIN: &str = concat!(
        "SELECT ",
        user_columns!(),
        " FROM users WHERE username_key = $1 UNION ALL SELECT ",
        user_columns!(),
        " FROM users WHERE email_key = $1"
    );
    let row = sqlx::query(BY_LOGIN).bind(kept(login.to_lowercase())).fetch_optional(connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn session(connection: &mut PgConnection, id: SessionId) -> StoreResult<Option<Session>> {
    const BY_ID: &str = concat!("SELECT ", session_columns!(), " FROM user_sessions WHERE id = $1");
    let row = sqlx::query(BY_ID).bind(id.0).fetch_optional(connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn users(connection: &mut PgConnection, query: &UserQuery) -> StoreResult<Page<User, UserId>> {
    const LIST: Keyset = Keyset { table: "users", columns: user_columns!(), content: &["username", "email"] };
    let mut sql = LIST.select();
    if let Some(search) = query.search.as_ref().map(|text| kept(text.to_lowercase()).into_owned()) {
        // `strpos` instead of `LIKE`, since the text is not a pattern.
        sql.push(" AND (strpos(username_key, ").push_bind(search.clone()).push(") > 0");
        sql.push(" OR strpos(email_key, ").push_bind(search).push(") > 0)");
    }
    let asked = (query.page.cursor.map(|id| id.0), query.page.limit.get());
    LIST.page(connection, sql, asked, decode, |user: &User| Some(user.id)).await
}

async fn count_users(
    connection: &mut PgConnection,
    active_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> StoreResult<UserCounts> {
    const COUNTS: &str = "SELECT count(*) AS total, count(*) FILTER (WHERE disabled) AS disabled, \
        (SELECT count(DISTINCT user_id) FROM user_sessions \
         WHERE revoked_at IS NULL AND expires_at > $1 AND refreshed_at >= $2) AS active FROM users";
    let row = sqlx::query(COUNTS).bind(now).bind(active_since).fetch_one(connection).await?;
    let count = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    Ok(UserCounts { total: count("total")?, disabled: count("disabled")?, active: count("active")? })
}

async fn sessions(
    connection: &mut PgConnection,
    user: UserId,
    now: DateTime<Utc>,
) -> StoreResult<Vec<Session>> {
    const GOOD: &str = concat!(
        "SELECT ",
        session_columns!(),
        " FROM user_sessions WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 \
         ORDER BY id DESC LIMIT 100"
    );
    let query = sqlx::query(GOOD).bind(user.0).bind(now);
    query.fetch_all(connection).await?.iter().map(decode).collect()
}

async fn revoked_since(connection: &mut PgConnection, since: DateTime<Utc>) -> StoreResult<Vec<SessionId>> {
    const ENDED: &str = "SELECT id FROM user_sessions WHERE revoked_at >= $1 \
        UNION ALL SELECT id FROM deleted_sessions WHERE ended_at >= $1";
    let rows = sqlx::query(ENDED).bind(since).fetch_all(connection).await?;
    session_ids(&rows)
}

async fn create_user(connection: &mut PgConnection, user: &User) -> StoreResult<()> {
    static INSERT: LazyLock<String> =
        LazyLock::new(|| insert::<User>("users", &["username_key", "email_key"]));
    sqlx::query_with(INSERT.as_str(), bound(user)?)
        .bind(kept(user.username.to_lowercase()))
        .bind(kept(user.email.to_lowercase()))
        .execute(connection)
        .await?;
    Ok(())
}

async fn has_admin(connection: &mut PgConnection) -> StoreResult<bool> {
    const ANY: &str = "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin')";
    Ok(sqlx::query(ANY).fetch_one(connection).await?.try_get(0)?)
}

/// Creates an admin if there is none. A lock keeps other transactions from doing the same.
async fn create_first_admin(connection: &mut PgConnection, admin: &User) -> StoreResult<()> {
    lock_all(connection, Counted::Admins).await?;
    if has_admin(connection).await? {
        Err(quota::has_admin())?;
    }
    create_user(connection, admin).await
}

async fn create_invited_user(connection: &mut PgConnection, (user, hash): (&User, &str)) -> StoreResult<()> {
    invitations::spend(connection, hash, user.created_at).await?;
    create_user(connection, user).await
}

/// Checks that an enabled admin remains without this user. A lock keeps other transactions from removing
/// another one.
async fn check_admin_left(connection: &mut PgConnection, without: UserId) -> StoreResult<()> {
    const LAST: &str = "SELECT count(*) FILTER (WHERE id = $1), count(*) FROM users \
                        WHERE role = 'admin' AND NOT disabled";
    lock_all(connection, Counted::Admins).await?;
    let row = sqlx::query(LAST).bind(without.0).fetch_one(connection).await?;
    if (row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?) == (1, 1) {
        Err(quota::last_admin())?;
    }
    Ok(())
}

/// Deletes a user; sessions, keys, invitations, conversations and documents are deleted by foreign keys.
async fn delete_user(connection: &mut PgConnection, id: UserId, now: DateTime<Utc>) -> StoreResult<()> {
    const DELETE_OLD: &str = "DELETE FROM deleted_sessions WHERE ended_at < $1";
    const LOCK: &str = "SELECT 1 FROM users WHERE id = $1 FOR UPDATE";
    const KEEP_ENDED: &str = "INSERT INTO deleted_sessions (id, ended_at) \
        SELECT id, $1 FROM user_sessions WHERE user_id = $2 AND expires_at > $1";
    check_admin_left(connection, id).await?;
    // A new session needs this lock too, so that none is missed here.
    if sqlx::query(LOCK).bind(id.0).fetch_optional(&mut *connection).await?.is_none() {
        Err(Error::not_found(format!("user {id}")))?;
    }
    sqlx::query(DELETE_OLD).bind(now - DELETED_SESSION_TTL).execute(&mut *connection).await?;
    sqlx::query(KEEP_ENDED).bind(now).bind(id.0).execute(&mut *connection).await?;
    sqlx::query("DELETE FROM users WHERE id = $1").bind(id.0).execute(connection).await?;
    Ok(())
}

async fn spent_token(
    connection: &mut PgConnection,
    id: SessionId,
    hash: &str,
) -> StoreResult<Option<SpentToken>> {
    const SPENT: &str = concat!(
        "SELECT ",
        spent_token_columns!(),
        " FROM spent_refresh_tokens WHERE session_id = $1 AND hash = $2"
    );
    let row = sqlx::query(SPENT).bind(id.0).bind(hash).fetch_optional(connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn record_login(connection: &mut PgConnection, id: UserId, at: DateTime<Utc>) -> StoreResult<()> {
    const LOGIN: &str = "UPDATE users SET last_login_at = $1 WHERE id = $2";
    sqlx::query(LOGIN).bind(at).bind(id.0).execute(connection).await?;
    Ok(())
}

async fn change_user(
    transaction: &mut Transaction<'_>,
    id: UserId,
    change: &UserChange,
    now: DateTime<Utc>,
) -> StoreResult<ChangedUser> {
    const PASSWORD: &str =
        concat!("UPDATE users SET password_hash = $1 WHERE id = $2 RETURNING ", user_columns!());
    const REHASH: &str = concat!(
        "UPDATE users SET password_hash = CASE password_hash WHEN $1 THEN $2 ELSE password_hash END \
         WHERE id = $3 RETURNING ",
        user_columns!()
    );
    const DISABLED: &str =
        concat!("UPDATE users SET disabled = $1 WHERE id = $2 RETURNING ", user_columns!());
    const ROLE: &str = concat!("UPDATE users SET role = $1 WHERE id = $2 RETURNING ", user_columns!());
    if change.takes_an_admin() {
        check_admin_left(transaction.connection, id).await?;
    }
    let update = match change {
        UserChange::Password { hash, .. } => sqlx::query(PASSWORD).bind(hash.clone()),
        UserChange::Rehash { from, to } => sqlx::query(REHASH).bind(from.clone()).bind(to.clone()),
        UserChange::Disabled(disabled) => sqlx::query(DISABLED).bind(*disabled),
        UserChange::Role(role) => sqlx::query(ROLE).bind(role.as_str()),
    };
    let row = update.bind(id.0).fetch_optional(&mut *transaction.connection).await?;
    let user: User = decode(&row.ok_or_else(|| Error::not_found(format!("user {id}")))?)?;
    let ended = match change {
        UserChange::Password { keep, .. } => revoke_all(transaction.connection, id, *keep, now).await?,
        UserChange::Disabled(true) | UserChange::Role(_) => {
            revoke_all(transaction.connection, id, None, now).await?
        }
        UserChange::Disabled(false) | UserChange::Rehash { .. } => Vec::new(),
    };
    Ok(ChangedUser { user, ended })
}

async fn create_session(transaction: &mut Transaction<'_>, session: &Session) -> StoreResult<Vec<SessionId>> {
    // The insert locks the row of the user: concurrent sign-ins of one user end the oldest sessions one after
    // the other, and the user can be neither disabled nor deleted in between.
    static INSERT: LazyLock<String> = LazyLock::new(|| {
        let (columns, values, user) =
            (names(Session::COLUMNS), values(Session::COLUMNS), Session::COLUMNS.len() + 1);
        format!(
            "INSERT INTO user_sessions ({columns}) SELECT {values} FROM users \
             WHERE id = ${user} AND NOT disabled FOR NO KEY UPDATE"
        )
    });
    const DELETE_OLD: &str = "DELETE FROM user_sessions WHERE user_id = $1 AND expires_at <= $2";
    const END_OLDEST: &str = "UPDATE user_sessions SET revoked_at = $1 WHERE id IN (\
            SELECT id FROM user_sessions WHERE user_id = $2 AND revoked_at IS NULL AND expires_at > $1 \
            ORDER BY id DESC OFFSET $3) RETURNING id";
    let done = sqlx::query_with(INSERT.as_str(), bound(session)?)
        .bind(session.user.0)
        .execute(&mut *transaction.connection)
        .await?;
    if done.rows_affected() == 0 {
        Err(Error::conflict("the user is disabled or deleted"))?;
    }
    let forget = sqlx::query(DELETE_OLD).bind(session.user.0).bind(session.created_at);
    forget.execute(&mut *transaction.connection).await?;
    let end = sqlx::query(END_OLDEST).bind(session.created_at).bind(session.user.0);
    session_ids(&end.bind(i64::from(MAX_SESSIONS)).fetch_all(&mut *transaction.connection).await?)
}

async fn rotate(
    connection: &mut PgConnection,
    id: SessionId,
    (expected, new): &(String, Successor),
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> StoreResult<()> {
    // Comparing and replacing the hash is one statement: of two concurrent refreshes with the same token only
    // one updates the row.
    const EXCHANGE: &str = "UPDATE user_sessions SET refresh_hash = $1, refreshed_at = $2, expires_at = $3 \
                            WHERE id = $4 AND refresh_hash = $5 AND revoked_at IS NULL";
    static SPEND: LazyLock<String> = LazyLock::new(|| {
        let insert = insert::<SpentToken>("spent_refresh_tokens", &["session_id", "hash"]);
        let new = overwritten(SpentToken::COLUMNS);
        format!("{insert} ON CONFLICT (session_id, hash) DO UPDATE SET {new}")
    });
    // With its salt a spent token yields its successor again, for a client whose response was lost. After the
    // repeat window a leaked old token must not do that any more.
    const DELETE_SALTS: &str = "UPDATE spent_refresh_tokens SET salt = NULL \
                         WHERE session_id = $1 AND salt IS NOT NULL AND spent_at < $2";
    const DELETE_OLD: &str = "DELETE FROM spent_refresh_tokens WHERE session_id = $1 AND spent_at < (\
        SELECT spent_at FROM spent_refresh_tokens WHERE session_id = $1 ORDER BY spent_at DESC LIMIT 1 OFFSET $2)";
    let done = sqlx::query(EXCHANGE)
        .bind(&new.hash)
        .bind(now)
        .bind(expires_at)
        .bind(id.0)
        .bind(expected)
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() == 0 {
        Err(Error::conflict("the refresh token is spent or its session has ended"))?;
    }
    sqlx::query(DELETE_SALTS).bind(id.0).bind(now - REFRESH_REPEAT_WINDOW).execute(&mut *connection).await?;
    let spent = SpentToken { spent_at: now, salt: Some(new.salt.clone()) };
    let spend = sqlx::query_with(SPEND.as_str(), bound(&spent)?).bind(id.0).bind(expected);
    spend.execute(&mut *connection).await?;
    sqlx::query(DELETE_OLD).bind(id.0).bind(MAX_SPENT_TOKENS).execute(connection).await?;
    Ok(())
}

async fn revoke(connection: &mut PgConnection, id: SessionId, now: DateTime<Utc>) -> StoreResult<()> {
    const END: &str = "UPDATE user_sessions SET revoked_at = coalesce(revoked_at, $1) WHERE id = $2";
    sqlx::query(END).bind(now).bind(id.0).execute(connection).await?;
    Ok(())
}

async fn revoke_all(
    connection: &mut PgConnection,
    user: UserId,
    keep: Option<SessionId>,
    now: DateTime<Utc>,
) -> StoreResult<Vec<SessionId>> {
    const END: &str = "UPDATE user_sessions SET revoked_at = $1 \
                       WHERE user_id = $2 AND revoked_at IS NULL AND id IS DISTINCT FROM $3 RETURNING id";
    let query = sqlx::query(END).bind(now).bind(user.0).bind(keep.map(|id| id.0));
    session_ids(&query.fetch_all(connection).await?)
}

fn session_ids(rows: &[PgRow]) -> StoreResult<Vec<SessionId>> {
    rows.iter().map(|row| Ok(SessionId(row.try_get(0)?))).collect()
}
