//! First act: servers and workers over one PostgreSQL, one Redis and one RabbitMQ; tasks are submitted, read
//! and their events received while faults are injected.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::Api;
use crate::cluster::{Cluster, until_none};
use crate::ledger::Ledger;
use crate::reads::Reads;
use crate::receiver::Receiver;
use crate::report::{self, Tally};
use crate::{Arguments, agreement, events, injection, takeover};

/// Concurrent readers of tasks.
const READER_COUNT: usize = 2;
/// Timeout without progress after the last fault: first of tasks that have not ended, then of events that
/// have not arrived.
const STALL_TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) struct Run {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) api: Arc<Api>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) reads: Arc<Reads>,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) tally: Arc<Tally>,
}

impl Run {
    /// Starts everything. Tasks take at most `most_ms` milliseconds.
    pub(crate) async fn begin(lease: Duration, most_ms: u64) -> Arc<Self> {
        let cluster = Arc::new(Cluster::start(lease).await);
        let api = Arc::new(Api::new(cluster.addresses()));
        api.sign_up().await;
        Arc::new(Self {
            ledger: Arc::new(Ledger::new(api.clone(), most_ms)),
            reads: Arc::new(Reads::new(api.clone())),
            receiver: Arc::default(),
            tally: Arc::default(),
            cluster,
            api,
        })
    }

    /// Injects faults until the time is over; returns all differences between what was acknowledged, read and
    /// received and the database.
    pub(crate) async fn inject(self: Arc<Self>, arguments: &Arguments, seed: u64) -> Vec<String> {
        let limit = Duration::from_secs(arguments.seconds);
        let (begun, cluster, tally) = (Instant::now(), self.cluster.clone(), self.tally.clone());
        let submitting = tokio::spawn(self.ledger.clone().submit(arguments.tasks, limit));
        let reading: Vec<_> =
            (0..READER_COUNT).map(|_| tokio::spawn(self.reads.clone().go_on(self.ledger.clone()))).collect();
        let receiving = tokio::spawn(self.receiver.clone().listen(cluster.broker_url()));
        let watching = tokio::spawn(report::watch(self.clone(), begun));
        let injecting = match arguments.kills {
            Some(times) => tokio::spawn(injection::kill(cluster.clone(), tally, seed, times, limit)),
            None => tokio::spawn(injection::inject(cluster.clone(), tally, seed, limit)),
        };
        injecting.await.expect("injecting faults must not fail");
        println!("all faults ended after {:.0} s", begun.elapsed().as_secs_f64());
        submitting.await.expect("submitting tasks must not fail");

        let healed = Instant::now();
        let settled = until_none(STALL_TIMEOUT, || cluster.open_tasks()).await;
        println!("all tasks had ended {:.1} s later: {settled}", healed.elapsed().as_secs_f64());
        for reader in reading {
            reader.abort();
            assert!(reader.await.is_err_and(|e| e.is_cancelled()), "readers must run until they are aborted");
        }
        self.reads.at_the_end(&self.ledger).await;
        let missing = || cluster.events().map(|events| events.saturating_sub(self.receiver.events()));
        let received = until_none(STALL_TIMEOUT, missing).await;
        println!("all events were received {:.1} s later: {received}", healed.elapsed().as_secs_f64());
        watching.abort();
        receiving.abort();
        let mut differences = self.reads.wrong();
        if cluster.redis.lock().unwrap().hits() == 0 {
            differences.push("no server found anything in Redis".into());
        }
        cluster.stop().await;
        if !settled {
            differences.push("some tasks had not ended in time".into());
        }
        differences.extend(self.compare());
        differences
    }

    fn compare(&self) -> Vec<String> {
        let (events, traces) = (events::of_database(&self.cluster.postgres), self.cluster.traces());
        let differences = agreement::differences(
            &self.cluster,
            &self.ledger,
            &self.receiver,
            &events,
            &traces,
            &self.tally,
        );
        self.tally.figure("requests sent again", self.api.again());
        self.tally.figure("responses to readers", self.reads.count());
        takeover::figures(&events, &traces, &self.tally);
        self.tally.print();
        differences
    }
}
