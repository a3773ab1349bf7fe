//! Wake-ups between processes: `NOTIFY` tells, `LISTEN` hears.
//!
//! What is committed here is told here at once. For others it is gathered and told from a connection of its own: a
//! transaction that notifies makes all other such commits wait for it. So a wake-up may be lost, as when the process
//! ends between the two; everybody polls besides. A connection on which nothing was heard for a while is asked whether
//! it still works: one that has died silently is not heard of otherwise.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::Executor;
use sqlx::postgres::{PgListener, PgPoolOptions};
use sutazai_core::domain::TaskId;
use sutazai_core::ports::{Clock, SystemClock, WakeUp};
use tokio::sync::{Notify, broadcast};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::address::Address;
use super::database::Database;
use super::fault::{self, Fault, Outcome};

const CHANNEL: &str = "sutazai";
/// So many wake-ups a slow subscriber may be behind before it has to read everything again.
const BEHIND: usize = 4_096;
/// How long wake-ups gather when some have just been told.
const GATHER: Duration = Duration::from_millis(2);
/// So many tasks in one notification, which may have 8,000 bytes.
const TASKS: usize = 200;
/// So many tasks may wait to be told; beyond that their readers find out by polling.
const WAITING: usize = 20_000;
/// How soon listening is tried again, at first and at last.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How long a connection may be silent before it is asked whether it works, and how long it may take to say so.
const SILENCE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3));

/// Tells and hears, until the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct WakeUps {
    subscribers: broadcast::Sender<WakeUp>,
    untold: Arc<Untold>,
    _stop: Arc<DropGuard>,
}

/// What the other processes have not been told.
#[derive(Debug, Default)]
struct Untold {
    waiting: Mutex<Waiting>,
    some: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    queue: bool,
    tasks: Vec<TaskId>,
}

impl WakeUps {
    /// Starts to tell and to listen.
    pub(super) fn start(database: Database) -> Self {
        let (subscribers, _) = broadcast::channel(BEHIND);
        let untold = Arc::new(Untold::default());
        let stop = CancellationToken::new();
        // What comes back from the server with this mark has been told here already.
        let mark = TaskId::new().to_string();
        let telling = tell(database.clone(), untold.clone(), mark.clone());
        let listening = database.listening_address().cloned();
        tokio::spawn(stop.clone().run_until_cancelled_owned(telling));
        if let Some(address) = listening {
            let hearing = hear(address, subscribers.clone(), mark);
            tokio::spawn(stop.clone().run_until_cancelled_owned(hearing));
        }
        Self { subscribers, untold, _stop: Arc::new(stop.drop_guard()) }
    }

    /// Wake-ups from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<WakeUp> {
        self.subscribers.subscribe()
    }

    /// Tells what was committed.
    pub(super) fn send(&self, wake_ups: Vec<WakeUp>) {
        if wake_ups.is_empty() {
            return;
        }
        {
            let mut waiting = self.untold.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            for wake_up in &wake_ups {
                match wake_up {
                    WakeUp::Queue => waiting.queue = true,
                    WakeUp::Task(id) if waiting.tasks.len() < WAITING => waiting.tasks.push(*id),
                    WakeUp::Task(_) => {}
                }
            }
        }
        self.untold.some.notify_one();
        for wake_up in wake_ups {
            // An error says that nobody listens.
            let _ = self.subscribers.send(wake_up);
        }
    }
}

impl Untold {
    /// What waits, as notifications: `<mark>;<queue>;<task>,<task>,...`, where `<queue>` is `q` or empty.
    fn take(&self, mark: &str) -> Vec<String> {
        let mut waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.tasks.sort_unstable();
        waiting.tasks.dedup();
        let mut notifications: Vec<String> = waiting
            .tasks
            .chunks(TASKS)
            .map(|tasks| {
                let mut text = format!("{mark};;");
                for task in tasks {
                    let _ = write!(text, "{},", task.0.simple());
                }
                text
            })
            .collect();
        match notifications.first_mut() {
            Some(first) if waiting.queue => first.insert(mark.len() + 1, 'q'),
            None if waiting.queue => notifications.push(format!("{mark};q;")),
            _ => {}
        }
        notifications
    }
}

async fn tell(database: Database, untold: Arc<Untold>, mark: String) {
    const TELL: &str = "SELECT pg_notify($1, told) FROM unnest($2::text[]) AS told";
    loop {
        untold.some.notified().await;
        let notifications = untold.take(&mark);
        if notifications.is_empty() {
            continue;
        }
        let told = database.run(notifications, |connection, notifications| {
            Box::pin(async move {
                sqlx::query(TELL).bind(CHANNEL).bind(notifications).execute(connection).await?;
                Ok(())
            })
        });
        if let Err(e) = told.await {
            tracing::debug!(error = %e, "other processes could not be told of changes; they will poll");
        }
        SystemClock.sleep(GATHER).await;
    }
}

async fn hear(address: Address, subscribers: broadcast::Sender<WakeUp>, mark: String) {
    let (first, last) = PAUSE;
    let mut pause = first;
    loop {
        let Err(fault) = listen(&address, &subscribers, &mark, &mut pause).await;
        let error = fault::error(fault, &address.place);
        tracing::warn!(%error, "changes of other processes are not heard; polling until they are");
        SystemClock.sleep(pause).await;
        pause = (pause * 2).min(last);
    }
}

/// Listens until the connection is lost.
async fn listen(
    address: &Address,
    subscribers: &broadcast::Sender<WakeUp>,
    mark: &str,
    pause: &mut Duration,
) -> Outcome<Infallible> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(PAUSE.1)
        .connect_lazy_with(address.options.clone());
    let (silence, patience) = SILENCE;
    let mut listener = answered(patience, PgListener::connect_with(&pool)).await?;
    listener.eager_reconnect(false);
    answered(patience, listener.listen(CHANNEL)).await?;
    *pause = PAUSE.0;
    // What was told while nobody listened.
    let _ = subscribers.send(WakeUp::Queue);
    loop {
        let Ok(received) = timeout(silence, listener.try_recv()).await else {
            answered(patience, listener.execute("SELECT 1")).await?;
            continue;
        };
        let Some(notification) = received? else { return Err(Fault::Database(lost())) };
        if notification.payload().starts_with(mark) {
            continue;
        }
        for wake_up in heard(notification.payload()) {
            // An error says that nobody listens.
            let _ = subscribers.send(wake_up);
        }
    }
}

/// What must be answered at once.
async fn answered<T>(
    patience: Duration,
    call: impl Future<Output = std::result::Result<T, sqlx::Error>>,
) -> Outcome<T> {
    let silent = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    Ok(timeout(patience, call).await.map_err(silent)??)
}

fn lost() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into())
}

/// Reads a notification. What cannot be read says that something has happened.
fn heard(text: &str) -> Vec<WakeUp> {
    let mut parts = text.split(';').skip(1);
    let (Some(queue), Some(tasks)) = (parts.next(), parts.next()) else { return vec![WakeUp::Queue] };
    let tasks = tasks.split(',').filter_map(|id| id.parse().ok()).map(WakeUp::Task);
    (queue == "q").then_some(WakeUp::Queue).into_iter().chain(tasks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard_and_fits() {
        let untold = Untold::default();
        let ids: Vec<TaskId> = (0..450).map(|_| TaskId::new()).collect();
        *untold.waiting.lock().unwrap() = Waiting { queue: true, tasks: [&ids[..], &ids[..9]].concat() };
        let told = untold.take(&TaskId::new().to_string());
        assert_eq!(told.len(), 3);
        assert!(told.iter().all(|text| text.len() < 8_000));
        let heard: Vec<WakeUp> = told.iter().flat_map(|text| heard(text)).collect();
        assert_eq!(heard.iter().filter(|wake_up| **wake_up == WakeUp::Queue).count(), 1);
        for id in ids {
            assert_eq!(heard.iter().filter(|wake_up| **wake_up == WakeUp::Task(id)).count(), 1);
        }
        assert!(untold.take("mark").is_empty());
    }
}
