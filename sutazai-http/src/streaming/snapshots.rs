//! Feed of snapshots: one measurement for all listeners, and none without any.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use futures::{Stream, StreamExt, future};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

use crate::app::App;

/// Time between two snapshots.
const INTERVAL: Duration = Duration::from_secs(2);

/// Latest snapshot as JSON, for each listener; `None` before the first measurement.
type Sender = watch::Sender<Option<Bytes>>;

/// Feed of the machine's snapshots.
#[derive(Debug, Default)]
pub(crate) struct SnapshotFeed {
    /// Sender of the task that measures; `None` without a listener.
    measuring: Mutex<Option<Arc<Sender>>>,
}

impl SnapshotFeed {
    /// Returns the snapshots from now on, beginning with the latest. A listener that reads slowly skips some.
    pub(crate) fn listen(self: &Arc<Self>, app: &App) -> impl Stream<Item = Bytes> + Send + use<> {
        let mut measuring = self.lock();
        let receiver = match measuring.as_ref() {
            Some(sender) => sender.subscribe(),
            None => {
                let (sender, receiver) = watch::channel(None);
                let sender = Arc::new(sender);
                *measuring = Some(sender.clone());
                tokio::spawn(measure(self.clone(), app.clone(), sender));
                receiver
            }
        };
        WatchStream::new(receiver).filter_map(future::ready)
    }

    /// Ends the feed if it has no listener; returns whether it has ended. A listener is added under the same lock.
    fn end_if_unused(&self, sender: &Sender) -> bool {
        let mut measuring = self.lock();
        let is_unused = sender.receiver_count() == 0;
        if is_unused {
            *measuring = None;
        }
        is_unused
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Sender>>> {
        self.measuring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Measures every two seconds until the last listener has left.
async fn measure(feed: Arc<SnapshotFeed>, app: App, sender: Arc<Sender>) {
    let clock = app.engine().clock();
    loop {
        match app.fresh_snapshot().await {
            Ok(snapshot) => drop(sender.send_replace(Some(snapshot))),
            Err(e) => tracing::warn!(error = %e, "snapshot for streams failed"),
        }
        tokio::select! {
            () = clock.sleep(INTERVAL) => {}
            () = sender.closed() => {}
        }
        if feed.end_if_unused(&sender) {
            return;
        }
    }
}
