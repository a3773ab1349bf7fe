//! Wake-ups between processes, by `NOTIFY` and `LISTEN`.
//!
//! Subscribers of this process are woken right after the commit. Wake-ups for other processes are collected
//! and sent on a connection of their own: PostgreSQL serializes the commits of all transactions that notify,
//! so a `NOTIFY` inside the write would make writers wait for each other. In return a wake-up is lost when
//! the process ends between the two; all processes poll as well. A listening connection that was silent for 5
//! s is tested, because a dead one reports nothing.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use sqlx::Executor;
use sqlx::postgres::{PgListener, PgPoolOptions};
use sutazai_core::domain::TaskId;
use sutazai_core::ports::{Clock, SystemClock, WakeUp};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::address::Address;
use super::database::Database;
use super::error::{self, StoreError, StoreResult};
use super::wake_ups::{Unsent, WakeUps};
use crate::spans::Operation;

const CHANNEL: &str = "sutazai";
/// Interval in which wake-ups are collected after some have been sent.
const BATCH_INTERVAL: Duration = Duration::from_millis(2);
/// Tasks in one notification, whose payload may have less than 8,000 bytes.
const MAX_TASKS_PER_NOTIFICATION: usize = 200;
/// Delay before listening is tried again: at first, and at most.
const RECONNECT_DELAY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// Silence after which the listening connection is tested, and the time that it has for its answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3));

/// Sends and receives wake-ups until it is dropped.
#[derive(Debug)]
pub(super) struct Notifications {
    _stop: DropGuard,
}

impl Notifications {
    /// Starts the tasks that send the wake-ups of this process and receive those of others.
    pub(super) fn start(database: &Database) -> Self {
        let stop = CancellationToken::new();
        // Notifications with this id come from this process, whose subscribers were woken already.
        let origin = TaskId::new().to_string();
        let sending = send(database.clone(), origin.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(sending));
        if let Some(address) = database.listening_address().cloned() {
            let receiving = keep_listening(address, database.clone(), origin);
            tokio::spawn(stop.clone().run_until_cancelled_owned(receiving));
        }
        Self { _stop: stop.drop_guard() }
    }
}

async fn send(database: Database, origin: String) {
    const NOTIFY: &str = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload";
    loop {
        let notifications = payloads(database.wake_ups().take_unsent().await, &origin);
        if notifications.is_empty() {
            continue;
        }
        let sent =
            database.run(Operation::without_table("NOTIFY"), notifications, |connection, notifications| {
                Box::pin(async move {
                    sqlx::query(NOTIFY).bind(CHANNEL).bind(notifications).execute(connection).await?;
                    Ok(())
                })
            });
        if let Err(e) = sent.await {
            tracing::debug!(error = %e, "wake-ups not sent; other processes will poll");
        }
        SystemClock.sleep(BATCH_INTERVAL).await;
    }
}

/// Formats wake-ups as payloads `<origin>;<queue>;<task>,<task>,...`, where `<queue>` is `q` or empty.
fn payloads(unsent: Unsent, origin: &str) -> Vec<String> {
    let Unsent { queue, mut tasks } = unsent;
    tasks.sort_unstable();
    tasks.dedup();
    let mut payloads: Vec<String> = tasks
        .chunks(MAX_TASKS_PER_NOTIFICATION)
        .map(|tasks| {
            let mut text = format!("{origin};;");
            for task in tasks {
                let _ = write!(text, "{},", task.0.simple());
            }
            text
        })
        .collect();
    match payloads.first_mut() {
        Some(first) if queue => first.insert(origin.len() + 1, 'q'),
        None if queue => payloads.push(format!("{origin};q;")),
        _ => {}
    }
    payloads
}

async fn keep_listening(address: Address, database: Database, origin: String) {
    let (first, last) = RECONNECT_DELAY;
    let mut pause = first;
    loop {
        let Err(fault) = listen(&address, database.wake_ups(), &origin, &mut pause).await;
        let error = error::error(fault, &address.place);
        tracing::warn!(%error, "listening failed; polling until it works");
        SystemClock.sleep(pause).await;
        pause = (pause * 2).min(last);
    }
}

/// Listens until the connection is lost.
async fn listen(
    address: &Address,
    wake_ups: &WakeUps,
    origin: &str,
    pause: &mut Duration,
) -> StoreResult<Infallible> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(RECONNECT_DELAY.1)
        .connect_lazy_with(address.options.clone());
    let (idle, reply_timeout) = KEEPALIVE;
    let mut listener = within(reply_timeout, PgListener::connect_with(&pool)).await?;
    listener.eager_reconnect(false);
    within(reply_timeout, listener.listen(CHANNEL)).await?;
    *pause = RECONNECT_DELAY.0;
    // Notifications sent before this point were missed.
    wake_ups.wake(WakeUp::Queue);
    loop {
        let Ok(received) = timeout(idle, listener.try_recv()).await else {
            within(reply_timeout, listener.execute("SELECT 1")).await?;
            continue;
        };
        let Some(notification) = received? else { return Err(StoreError::Database(lost())) };
        if notification.payload().starts_with(origin) {
            continue;
        }
        parse(notification.payload()).into_iter().for_each(|wake_up| wake_ups.wake(wake_up));
    }
}

/// Runs a call on the listening connection that must be answered within this time.
async fn within<T>(
    reply_timeout: Duration,
    call: impl Future<Output = std::result::Result<T, sqlx::Error>>,
) -> StoreResult<T> {
    let silent = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    Ok(timeout(reply_timeout, call).await.map_err(silent)??)
}

fn lost() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into())
}

/// Parses a payload. One that cannot be parsed wakes the queue, which is always safe.
fn parse(text: &str) -> Vec<WakeUp> {
    let mut parts = text.split(';').skip(1);
    let (Some(queue), Some(tasks)) = (parts.next(), parts.next()) else { return vec![WakeUp::Queue] };
    let tasks = tasks.split(',').filter_map(|id| id.parse().ok()).map(WakeUp::Task);
    (queue == "q").then_some(WakeUp::Queue).into_iter().chain(tasks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wake_up_is_parsed_again_and_payloads_fit() {
        let ids: Vec<TaskId> = (0..450).map(|_| TaskId::new()).collect();
        let unsent = Unsent { queue: true, tasks: [&ids[..], &ids[..9]].concat() };
        let payloads = payloads(unsent, &TaskId::new().to_string());
        assert_eq!(payloads.len(), 3);
        assert!(payloads.iter().all(|text| text.len() < 8_000));
        let parsed: Vec<WakeUp> = payloads.iter().flat_map(|text| parse(text)).collect();
        assert_eq!(parsed.iter().filter(|wake_up| **wake_up == WakeUp::Queue).count(), 1);
        for id in ids {
            assert_eq!(parsed.iter().filter(|wake_up| **wake_up == WakeUp::Task(id)).count(), 1);
        }
        assert!(super::payloads(Unsent::default(), "origin").is_empty());
    }
}
