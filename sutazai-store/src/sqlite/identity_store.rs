//! [`IdentityStore`] over SQLite.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use sutazai_core::domain::{Session, SessionId, User, UserId, UserRole};
use sutazai_core::ports::IdentityStore;
use sutazai_core::{Error, Result};

use super::database::Database;
use super::fault::Outcome;
use super::statement::{instant, nanos};
use super::writer::Transaction;

/// Users and sessions in an SQLite file.
#[derive(Debug)]
pub(super) struct SqliteIdentityStore {
    database: Database,
}

macro_rules! user_columns {
    () => {
        "id, username, email, password_hash, role, disabled, created_at, last_login_at"
    };
}

macro_rules! session_columns {
    () => {
        "id, user_id, refresh_hash, created_at, refreshed_at, expires_at, revoked_at"
    };
}

impl SqliteIdentityStore {
    /// Over this database, whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }

    async fn find_user(&self, id: UserId) -> Outcome<Option<User>> {
        const BY_ID: &str = concat!("SELECT ", user_columns!(), " FROM users WHERE id = ?");
        let row = sqlx::query(BY_ID).bind(id.0).fetch_optional(self.database.readers()).await?;
        row.map(|row| decode_user(&row)).transpose()
    }

    async fn find_login(&self, login: &str) -> Outcome<Option<User>> {
        const BY_LOGIN: &str =
            concat!("SELECT ", user_columns!(), " FROM users WHERE username_key = ?1 OR email_key = ?1");
        let row =
            sqlx::query(BY_LOGIN).bind(login.to_lowercase()).fetch_optional(self.database.readers()).await?;
        row.map(|row| decode_user(&row)).transpose()
    }

    async fn find_session(&self, id: SessionId) -> Outcome<Option<Session>> {
        const BY_ID: &str = concat!("SELECT ", session_columns!(), " FROM user_sessions WHERE id = ?");
        let row = sqlx::query(BY_ID).bind(id.0).fetch_optional(self.database.readers()).await?;
        row.map(|row| decode_session(&row)).transpose()
    }

    fn read<T>(&self, outcome: Outcome<T>) -> Result<T> {
        outcome.map_err(|fault| fault.into_error(self.database.path()))
    }
}

#[async_trait]
impl IdentityStore for SqliteIdentityStore {
    async fn create_user(&self, user: &User) -> Result<()> {
        let user = user.clone();
        self.database.writer().run(|tx| Box::pin(insert_user(tx, user))).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>> {
        self.read(self.find_user(id).await)
    }

    async fn user_by_login(&self, login: &str) -> Result<Option<User>> {
        self.read(self.find_login(login).await)
    }

    async fn record_login(&self, id: UserId, at: DateTime<Utc>) -> Result<()> {
        self.database.writer().run(move |tx| Box::pin(update_login(tx, id, at))).await
    }

    async fn create_session(&self, session: &Session) -> Result<()> {
        let session = session.clone();
        self.database.writer().run(|tx| Box::pin(insert_session(tx, session))).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        self.read(self.find_session(id).await)
    }

    async fn rotate(
        &self,
        id: SessionId,
        expected_hash: &str,
        new_hash: &str,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<()> {
        let (expected, new) = (expected_hash.to_owned(), new_hash.to_owned());
        self.database.writer().run(move |tx| Box::pin(exchange(tx, id, expected, new, now, expires_at))).await
    }

    async fn revoke(&self, id: SessionId, now: DateTime<Utc>) -> Result<()> {
        self.database.writer().run(move |tx| Box::pin(end_session(tx, id, now))).await
    }
}

async fn insert_user(tx: &mut Transaction, user: User) -> Outcome<()> {
    const INSERT: &str = concat!(
        "INSERT INTO users (",
        user_columns!(),
        ", username_key, email_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    );
    sqlx::query(INSERT)
        .bind(user.id.0)
        .bind(&user.username)
        .bind(&user.email)
        .bind(&user.password_hash)
        .bind(user.role.as_str())
        .bind(user.disabled)
        .bind(nanos(user.created_at))
        .bind(user.last_login_at.map(nanos))
        .bind(user.username.to_lowercase())
        .bind(user.email.to_lowercase())
        .execute(&mut tx.connection)
        .await?;
    Ok(())
}

async fn update_login(tx: &mut Transaction, id: UserId, at: DateTime<Utc>) -> Outcome<()> {
    const LOGIN: &str = "UPDATE users SET last_login_at = ? WHERE id = ?";
    sqlx::query(LOGIN).bind(nanos(at)).bind(id.0).execute(&mut tx.connection).await?;
    Ok(())
}

async fn insert_session(tx: &mut Transaction, session: Session) -> Outcome<()> {
    const INSERT: &str =
        concat!("INSERT INTO user_sessions (", session_columns!(), ") VALUES (?, ?, ?, ?, ?, ?, ?)");
    sqlx::query(INSERT)
        .bind(session.id.0)
        .bind(session.user.0)
        .bind(&session.refresh_hash)
        .bind(nanos(session.created_at))
        .bind(nanos(session.refreshed_at))
        .bind(nanos(session.expires_at))
        .bind(session.revoked_at.map(nanos))
        .execute(&mut tx.connection)
        .await?;
    Ok(())
}

async fn exchange(
    tx: &mut Transaction,
    id: SessionId,
    expected: String,
    new: String,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Outcome<()> {
    const EXCHANGE: &str = "UPDATE user_sessions SET refresh_hash = ?, refreshed_at = ?, expires_at = ? \
                            WHERE id = ? AND refresh_hash = ? AND revoked_at IS NULL";
    let done = sqlx::query(EXCHANGE)
        .bind(new)
        .bind(nanos(now))
        .bind(nanos(expires_at))
        .bind(id.0)
        .bind(expected)
        .execute(&mut tx.connection)
        .await?;
    if done.rows_affected() == 0 {
        Err(Error::conflict("the refresh token is spent or its session has ended"))?;
    }
    Ok(())
}

async fn end_session(tx: &mut Transaction, id: SessionId, now: DateTime<Utc>) -> Outcome<()> {
    const END: &str = "UPDATE user_sessions SET revoked_at = ifnull(revoked_at, ?) WHERE id = ?";
    sqlx::query(END).bind(nanos(now)).bind(id.0).execute(&mut tx.connection).await?;
    Ok(())
}

fn decode_user(row: &SqliteRow) -> Outcome<User> {
    let role = match row.try_get(4)? {
        "admin" => UserRole::Admin,
        _ => UserRole::User,
    };
    Ok(User {
        id: UserId(row.try_get(0)?),
        username: row.try_get(1)?,
        email: row.try_get(2)?,
        password_hash: row.try_get(3)?,
        role,
        disabled: row.try_get(5)?,
        created_at: instant(row.try_get(6)?),
        last_login_at: row.try_get::<Option<i64>, _>(7)?.map(instant),
    })
}

fn decode_session(row: &SqliteRow) -> Outcome<Session> {
    Ok(Session {
        id: SessionId(row.try_get(0)?),
        user: UserId(row.try_get(1)?),
        refresh_hash: row.try_get(2)?,
        created_at: instant(row.try_get(3)?),
        refreshed_at: instant(row.try_get(4)?),
        expires_at: instant(row.try_get(5)?),
        revoked_at: row.try_get::<Option<i64>, _>(6)?.map(instant),
    })
}
