//! [`IdentityStore`] in an SQLite database.

use std::collections::HashMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use sutazai_core::adapter::REFRESH_REPEAT_WINDOW;
use sutazai_core::domain::{
    ChangedUser, Invitation, InvitationId, MAX_SESSIONS, Page, Session, SessionId, SpentToken, Successor,
    User, UserChange, UserCounts, UserId, UserQuery, quota,
};
use sutazai_core::ports::IdentityStore;
use sutazai_core::{Error, Result};

use super::columns::{bound, insert};
use super::database::Database;
use super::error::StoreResult;
use super::invitations;
use super::keyset::{Keyset, Order};
use super::statement::nanos;
use super::writer::Transaction;
use crate::columns::{
    Entity, decode, join, names, overwritten, session_columns, spent_token_columns, user_columns,
};
use crate::tables::{INVITATIONS, SESSIONS, SPENT_TOKENS, USERS};

/// Retention of ended sessions of deleted users: by then all their access tokens have expired.
const DELETED_SESSION_TTL: TimeDelta = TimeDelta::days(1);
/// Replaced refresh tokens kept per session, for detecting their reuse.
const MAX_SPENT_TOKENS: u32 = 500;

/// Users and their sessions in an SQLite file.
#[derive(Debug)]
pub(super) struct SqliteIdentityStore {
    database: Database,
}

impl SqliteIdentityStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl IdentityStore for SqliteIdentityStore {
    async fn create_user(&self, user: &User) -> Result<()> {
        let user = user.clone();
        self.database.writer().run(USERS.insert(), |tx| Box::pin(create_user(tx, user))).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>> {
        self.database.read(USERS.select(), id, |connection, id| Box::pin(user(connection, *id))).await
    }

    async fn user_by_login(&self, login: &str) -> Result<Option<User>> {
        self.database
            .read(USERS.select(), login.to_owned(), |connection, login| {
                Box::pin(user_by_login(connection, login))
            })
            .await
    }

    async fn has_admin(&self) -> Result<bool> {
        self.database.read(USERS.select(), (), |connection, ()| Box::pin(has_admin(connection))).await
    }

    async fn create_first_admin(&self, admin: &User) -> Result<()> {
        let admin = admin.clone();
        self.database.writer().run(USERS.insert(), |tx| Box::pin(create_first_admin(tx, admin))).await
    }

    async fn users(&self, query: &UserQuery) -> Result<Page<User, UserId>> {
        self.database
            .read(USERS.select(), query.clone(), |connection, query| Box::pin(users(connection, query)))
            .await
    }

    async fn usernames(&self, ids: &[UserId]) -> Result<HashMap<UserId, String>> {
        self.database
            .read(USERS.select(), ids.to_vec(), |connection, ids| Box::pin(usernames(connection, ids)))
            .await
    }

    async fn change_user(&self, id: UserId, change: &UserChange, now: DateTime<Utc>) -> Result<ChangedUser> {
        let change = change.clone();
        self.database.writer().run(USERS.update(), move |tx| Box::pin(change_user(tx, id, change, now))).await
    }

    async fn count_users(&self, active_since: DateTime<Utc>, now: DateTime<Utc>) -> Result<UserCounts> {
        self.database
            .read(USERS.select(), active_since, move |connection, active_since| {
                Box::pin(count_users(connection, *active_since, now))
            })
            .await
    }

    async fn record_login(&self, id: UserId, at: DateTime<Utc>) -> Result<()> {
        self.database.writer().run(USERS.update(), move |tx| Box::pin(record_login(tx, id, at))).await
    }

    async fn delete_user(&self, id: UserId, now: DateTime<Utc>) -> Result<()> {
        self.database.writer().run(USERS.delete(), move |tx| Box::pin(delete_user(tx, id, now))).await
    }

    async fn create_invitation(&self, invitation: &Invitation) -> Result<()> {
        let invitation = invitation.clone();
        self.database
            .writer()
            .run(INVITATIONS.insert(), |tx| Box::pin(invitations::create(tx, invitation)))
            .await
    }

    async fn invitations(&self, now: DateTime<Utc>) -> Result<Vec<Invitation>> {
        self.database
            .read(INVITATIONS.select(), now, |connection, now| Box::pin(invitations::list(connection, *now)))
            .await
    }

    async fn delete_invitation(&self, id: InvitationId) -> Result<()> {
        self.database
            .writer()
            .run(INVITATIONS.delete(), move |tx| Box::pin(invitations::delete(tx, id)))
            .await
    }

    async fn create_invited_user(&self, user: &User, invitation_hash: &str) -> Result<()> {
        let (user, hash) = (user.clone(), invitation_hash.to_owned());
        self.database.writer().run(USERS.insert(), |tx| Box::pin(create_invited_user(tx, user, hash))).await
    }

    async fn create_session(&self, session: &Session) -> Result<Vec<SessionId>> {
        let session = session.clone();
        self.database.writer().run(SESSIONS.insert(), |tx| Box::pin(create_session(tx, session))).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        self.database.read(SESSIONS.select(), id, |connection, id| Box::pin(session(connection, *id))).await
    }

    async fn sessions(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<Session>> {
        self.database
            .read(SESSIONS.select(), user, move |connection, user| Box::pin(sessions(connection, *user, now)))
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
        let (expected, new) = (expected_hash.to_owned(), new.clone());
        self.database
            .writer()
            .run(SESSIONS.update(), move |tx| Box::pin(rotate(tx, id, expected, new, now, expires_at)))
            .await
    }

    async fn spent_token(&self, id: SessionId, hash: &str) -> Result<Option<SpentToken>> {
        self.database
            .read(SPENT_TOKENS.select(), hash.to_owned(), move |connection, hash| {
                Box::pin(spent_token(connection, id, hash))
            })
            .await
    }

    async fn revoke(&self, id: SessionId, now: DateTime<Utc>) -> Result<()> {
        self.database.writer().run(SESSIONS.update(), move |tx| Box::pin(revoke(tx, id, now))).await
    }

    async fn revoke_all(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<SessionId>> {
        self.database
            .writer()
            .run(SESSIONS.update(), move |tx| Box::pin(revoke_all(tx, user, None, now)))
            .await
    }

    async fn revoked_since(&self, since: DateTime<Utc>) -> Result<Vec<SessionId>> {
        self.database
            .read(SESSIONS.select(), since, |connection, since| Box::pin(revoked_since(connection, *since)))
            .await
    }
}

async fn user(connection: &mut SqliteConnection, id: UserId) -> StoreResult<Option<User>> {
    const BY_ID: &str = concat!("SELECT ", user_columns!(), " FROM users WHERE id = ?");
    let row = sqlx::query(BY_ID).bind(id.0).fetch_optional(&mut *connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn usernames(
    connection: &mut SqliteConnection,
    ids: &[UserId],
) -> StoreResult<HashMap<UserId, String>> {
    let mut sql = QueryBuilder::<Sqlite>::new("SELECT id, username FROM users WHERE id IN (");
    let mut any = sql.separated(", ");
    for id in ids {
        any.push_bind(id.0);
    }
    sql.push(")");
    let rows = sql.build().fetch_all(connection).await?;
    rows.iter().map(|row| Ok((UserId(row.try_get(0)?), row.try_get(1)?))).collect()
}

async fn user_by_login(connection: &mut SqliteConnection, login: &str) -> StoreResult<Option<User>> {
    const BY_LOGIN: &str =
        concat!("SELECT ", user_columns!(), " FROM users WHERE username_key = ?1 OR email_key = ?1");
    let row = sqlx::query(BY_LOGIN).bind(login.to_lowercase()).fetch_optional(&mut *connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn session(connection: &mut SqliteConnection, id: SessionId) -> StoreResult<Option<Session>> {
    const BY_ID: &str = concat!("SELECT ", session_columns!(), " FROM user_sessions WHERE id = ?");
    let row = sqlx::query(BY_ID).bind(id.0).fetch_optional(&mut *connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn users(connection: &mut SqliteConnection, query: &UserQuery) -> StoreResult<Page<User, UserId>> {
    const LIST: Keyset = Keyset {
        table: "users",
        columns: user_columns!(),
        key: "id",
        order: Order::Descending,
        content: &["username", "email"],
        has_large_rows: false,
    };
    let mut sql = LIST.select();
    if let Some(search) = query.search.as_ref().map(|text| text.to_lowercase()) {
        // `instr` instead of `LIKE`, since the text is not a pattern.
        sql.push(" AND (instr(username_key, ").push_bind(search.clone()).push(") > 0");
        sql.push(" OR instr(email_key, ").push_bind(search).push(") > 0)");
    }
    let asked = (query.page.cursor.map(|id| id.0), query.page.limit.get());
    LIST.page(connection, sql, asked, decode, |user: &User| Some(user.id)).await
}

async fn count_users(
    connection: &mut SqliteConnection,
    active_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> StoreResult<UserCounts> {
    const COUNTS: &str = "SELECT count(*) AS total, coalesce(sum(disabled), 0) AS disabled, \
        (SELECT count(DISTINCT user_id) FROM user_sessions \
         WHERE revoked_at IS NULL AND expires_at > ? AND refreshed_at >= ?) AS active FROM users";
    let row =
        sqlx::query(COUNTS).bind(nanos(now)).bind(nanos(active_since)).fetch_one(&mut *connection).await?;
    Ok(UserCounts {
        total: row.try_get("total")?,
        disabled: row.try_get("disabled")?,
        active: row.try_get("active")?,
    })
}

async fn sessions(
    connection: &mut SqliteConnection,
    user: UserId,
    now: DateTime<Utc>,
) -> StoreResult<Vec<Session>> {
    const GOOD: &str = concat!(
        "SELECT ",
        session_columns!(),
        " FROM user_sessions WHERE user_id = ? AND revoked_at IS NULL AND expires_at > ? \
         ORDER BY id DESC LIMIT 100"
    );
    let query = sqlx::query(GOOD).bind(user.0).bind(nanos(now));
    query.fetch_all(&mut *connection).await?.iter().map(decode).collect()
}

async fn spent_token(
    connection: &mut SqliteConnection,
    id: SessionId,
    hash: &str,
) -> StoreResult<Option<SpentToken>> {
    const SPENT: &str = concat!(
        "SELECT ",
        spent_token_columns!(),
        " FROM spent_refresh_tokens WHERE session_id = ? AND hash = ?"
    );
    let row = sqlx::query(SPENT).bind(id.0).bind(hash).fetch_optional(&mut *connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn revoked_since(
    connection: &mut SqliteConnection,
    since: DateTime<Utc>,
) -> StoreResult<Vec<SessionId>> {
    const ENDED: &str = "SELECT id FROM user_sessions WHERE revoked_at >= ?1 \
        UNION ALL SELECT id FROM deleted_sessions WHERE ended_at >= ?1";
    let rows = sqlx::query(ENDED).bind(nanos(since)).fetch_all(&mut *connection).await?;
    session_ids(&rows)
}

async fn create_user(tx: &mut Transaction, user: User) -> StoreResult<()> {
    static INSERT: LazyLock<String> =
        LazyLock::new(|| insert::<User>("users", &["username_key", "email_key"]));
    sqlx::query_with(INSERT.as_str(), bound(&user)?)
        .bind(user.username.to_lowercase())
        .bind(user.email.to_lowercase())
        .execute(&mut tx.connection)
        .await?;
    Ok(())
}

async fn has_admin(connection: &mut SqliteConnection) -> StoreResult<bool> {
    const ANY: &str = "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin')";
    Ok(sqlx::query(ANY).fetch_one(connection).await?.try_get(0)?)
}

async fn create_first_admin(tx: &mut Transaction, admin: User) -> StoreResult<()> {
    if has_admin(&mut tx.connection).await? {
        Err(quota::has_admin())?;
    }
    create_user(tx, admin).await
}

async fn create_invited_user(tx: &mut Transaction, user: User, invitation_hash: String) -> StoreResult<()> {
    invitations::spend(tx, &invitation_hash, user.created_at).await?;
    create_user(tx, user).await
}

/// Checks that an enabled admin remains without this user.
async fn check_admin_left(tx: &mut Transaction, without: UserId) -> StoreResult<()> {
    const LAST: &str = "SELECT count(*) FILTER (WHERE id = ?1), count(*) FROM users \
                        WHERE role = 'admin' AND disabled = 0";
    let row = sqlx::query(LAST).bind(without.0).fetch_one(&mut tx.connection).await?;
    if (row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?) == (1, 1) {
        Err(quota::last_admin())?;
    }
    Ok(())
}

/// Deletes a user; sessions, keys, invitations, conversations and documents are deleted by foreign keys.
async fn delete_user(tx: &mut Transaction, id: UserId, now: DateTime<Utc>) -> StoreResult<()> {
    const DELETE_OLD: &str = "DELETE FROM deleted_sessions WHERE ended_at < ?";
    const KEEP_ENDED: &str = "INSERT INTO deleted_sessions (id, ended_at) \
        SELECT id, ? FROM user_sessions WHERE user_id = ? AND expires_at > ?";
    check_admin_left(tx, id).await?;
    let connection = &mut tx.connection;
    sqlx::query(DELETE_OLD).bind(nanos(now - DELETED_SESSION_TTL)).execute(&mut *connection).await?;
    let remember = sqlx::query(KEEP_ENDED).bind(nanos(now)).bind(id.0).bind(nanos(now));
    remember.execute(&mut *connection).await?;
    let delete = sqlx::query("DELETE FROM users WHERE id = ?").bind(id.0).execute(connection).await?;
    if delete.rows_affected() == 0 {
        Err(Error::not_found(format!("user {id}")))?;
    }
    Ok(())
}

async fn record_login(tx: &mut Transaction, id: UserId, at: DateTime<Utc>) -> StoreResult<()> {
    const LOGIN: &str = "UPDATE users SET last_login_at = ? WHERE id = ?";
    sqlx::query(LOGIN).bind(nanos(at)).bind(id.0).execute(&mut tx.connection).await?;
    Ok(())
}

async fn change_user(
    tx: &mut Transaction,
    id: UserId,
    change: UserChange,
    now: DateTime<Utc>,
) -> StoreResult<ChangedUser> {
    const PASSWORD: &str =
        concat!("UPDATE users SET password_hash = ? WHERE id = ? RETURNING ", user_columns!());
    const REHASH: &str = concat!(
        "UPDATE users SET password_hash = iif(password_hash = ?, ?, password_hash) WHERE id = ? RETURNING ",
        user_columns!()
    );
    const DISABLED: &str = concat!("UPDATE users SET disabled = ? WHERE id = ? RETURNING ", user_columns!());
    const ROLE: &str = concat!("UPDATE users SET role = ? WHERE id = ? RETURNING ", user_columns!());
    if change.takes_an_admin() {
        check_admin_left(tx, id).await?;
    }
    let update = match &change {
        UserChange::Password { hash, .. } => sqlx::query(PASSWORD).bind(hash.clone()),
        UserChange::Rehash { from, to } => sqlx::query(REHASH).bind(from.clone()).bind(to.clone()),
        UserChange::Disabled(disabled) => sqlx::query(DISABLED).bind(*disabled),
        UserChange::Role(role) => sqlx::query(ROLE).bind(role.as_str()),
    };
    let row = update.bind(id.0).fetch_optional(&mut tx.connection).await?;
    let user: User = decode(&row.ok_or_else(|| Error::not_found(format!("user {id}")))?)?;
    let ended = match change {
        UserChange::Password { keep, .. } => revoke_all(tx, id, keep, now).await?,
        UserChange::Disabled(true) | UserChange::Role(_) => revoke_all(tx, id, None, now).await?,
        UserChange::Disabled(false) | UserChange::Rehash { .. } => Vec::new(),
    };
    Ok(ChangedUser { user, ended })
}

async fn create_session(tx: &mut Transaction, session: Session) -> StoreResult<Vec<SessionId>> {
    static INSERT: LazyLock<String> = LazyLock::new(|| {
        let (columns, values) = (names(Session::COLUMNS), join(Session::COLUMNS, |_, _| "?".to_owned()));
        format!(
            "INSERT INTO user_sessions ({columns}) SELECT {values} FROM users WHERE id = ? AND disabled = 0"
        )
    });
    const DELETE_OLD: &str = "DELETE FROM user_sessions WHERE user_id = ? AND expires_at <= ?";
    const END_OLDEST: &str = "UPDATE user_sessions SET revoked_at = ?1 WHERE id IN (\
            SELECT id FROM user_sessions WHERE user_id = ?2 AND revoked_at IS NULL AND expires_at > ?1 \
            ORDER BY id DESC LIMIT -1 OFFSET ?3) RETURNING id";
    let done = sqlx::query_with(INSERT.as_str(), bound(&session)?)
        .bind(session.user.0)
        .execute(&mut tx.connection)
        .await?;
    if done.rows_affected() == 0 {
        Err(Error::conflict("the user is disabled or deleted"))?;
    }
    let forget = sqlx::query(DELETE_OLD).bind(session.user.0).bind(nanos(session.created_at));
    forget.execute(&mut tx.connection).await?;
    let end = sqlx::query(END_OLDEST).bind(nanos(session.created_at)).bind(session.user.0).bind(MAX_SESSIONS);
    session_ids(&end.fetch_all(&mut tx.connection).await?)
}

async fn rotate(
    tx: &mut Transaction,
    id: SessionId,
    expected: String,
    new: Successor,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> StoreResult<()> {
    const EXCHANGE: &str = "UPDATE user_sessions SET refresh_hash = ?, refreshed_at = ?, expires_at = ? \
                            WHERE id = ? AND refresh_hash = ? AND revoked_at IS NULL";
    static SPEND: LazyLock<String> = LazyLock::new(|| {
        let insert = insert::<SpentToken>("spent_refresh_tokens", &["session_id", "hash"]);
        let new = overwritten(SpentToken::COLUMNS);
        format!("{insert} ON CONFLICT (session_id, hash) DO UPDATE SET {new}")
    });
    // With its salt a spent token yields its successor again, for a client whose response was lost. After the
    // repeat window a leaked old token must not do that any more.
    const DELETE_SALTS: &str = "UPDATE spent_refresh_tokens SET salt = NULL \
                         WHERE session_id = ? AND salt IS NOT NULL AND spent_at < ?";
    const DELETE_OLD: &str = "DELETE FROM spent_refresh_tokens WHERE session_id = ?1 AND spent_at < (\
        SELECT spent_at FROM spent_refresh_tokens WHERE session_id = ?1 ORDER BY spent_at DESC LIMIT 1 OFFSET ?2)";
    let done = sqlx::query(EXCHANGE)
        .bind(new.hash)
        .bind(nanos(now))
        .bind(nanos(expires_at))
        .bind(id.0)
        .bind(&expected)
        .execute(&mut tx.connection)
        .await?;
    if done.rows_affected() == 0 {
        Err(Error::conflict("the refresh token is spent or its session has ended"))?;
    }
    let erase = sqlx::query(DELETE_SALTS).bind(id.0).bind(nanos(now - REFRESH_REPEAT_WINDOW));
    erase.execute(&mut tx.connection).await?;
    let spent = SpentToken { spent_at: now, salt: Some(new.salt) };
    let spend = sqlx::query_with(SPEND.as_str(), bound(&spent)?).bind(id.0).bind(expected);
    spend.execute(&mut tx.connection).await?;
    sqlx::query(DELETE_OLD).bind(id.0).bind(MAX_SPENT_TOKENS).execute(&mut tx.connection).await?;
    Ok(())
}

async fn revoke(tx: &mut Transaction, id: SessionId, now: DateTime<Utc>) -> StoreResult<()> {
    const END: &str = "UPDATE user_sessions SET revoked_at = ifnull(revoked_at, ?) WHERE id = ?";
    sqlx::query(END).bind(nanos(now)).bind(id.0).execute(&mut tx.connection).await?;
    Ok(())
}

async fn revoke_all(
    tx: &mut Transaction,
    user: UserId,
    keep: Option<SessionId>,
    now: DateTime<Utc>,
) -> StoreResult<Vec<SessionId>> {
    const END: &str = "UPDATE user_sessions SET revoked_at = ? \
                       WHERE user_id = ? AND revoked_at IS NULL AND id IS NOT ? RETURNING id";
    let query = sqlx::query(END).bind(nanos(now)).bind(user.0).bind(keep.map(|id| id.0));
    session_ids(&query.fetch_all(&mut tx.connection).await?)
}

fn session_ids(rows: &[SqliteRow]) -> StoreResult<Vec<SessionId>> {
    rows.iter().map(|row| Ok(SessionId(row.try_get(0)?))).collect()
}
