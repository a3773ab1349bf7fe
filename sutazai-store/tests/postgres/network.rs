//! A failing network: silent, deaf in one direction, cut. Every call ends, nothing is recorded twice, and no
//! process runs a task that another one may have taken over.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use serde_json::json;
use sutazai_core::domain::{
    AgentDescriptor, Caller, Claim, ConcurrencyLimits, EventKind, EventOffset, InstanceId, NewTask, Outcome,
    OutcomeRecord, Step, Task, TaskStatus,
};
use sutazai_core::engine::Engine;
use sutazai_core::ports::{Agent, AgentContext, ClaimRequest, Clock, SystemClock, TaskStore, WakeUp};
use sutazai_core::{Error, ErrorKind, Result};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::HANG_LIMIT;
use crate::place::Server;
use crate::proxy::{Network, Proxy, host_of};

/// Server for these tests alone: transactions that they leave open delay the event logs of all its databases.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(&["fsync=off"]))
}

/// Opens a store behind a proxy of its own, and one with a direct connection.
async fn stores() -> (Proxy, Arc<dyn TaskStore>, Arc<dyn TaskStore>) {
    let url = server().database().await;
    let proxy = Proxy::before(host_of(&url)).await;
    let behind = sutazai_store::open(&proxy.through(&url)).await.unwrap().tasks;
    (proxy, behind, sutazai_store::open(&url).await.unwrap().tasks)
}

fn task(n: u32) -> Task {
    Task::pending(NewTask::new("echo", json!({ "n": n })), None, None, SystemClock.now())
}

fn request(limit: u32) -> ClaimRequest {
    let (worker, lease) = (InstanceId::new(), Duration::from_secs(30));
    let limits = ConcurrencyLimits::default();
    ClaimRequest {
        worker,
        agents: vec!["echo".into()],
        limit,
        lease,
        now: SystemClock.now(),
        limits,
        after: None,
    }
}

fn completed(claim: &Claim) -> OutcomeRecord {
    OutcomeRecord { claim: claim.key(), outcome: Outcome::Completed(json!({})) }
}

async fn pause(milliseconds: u64) {
    SystemClock.sleep(Duration::from_millis(milliseconds)).await;
}

/// Waits until the condition holds, at most 5 s.
async fn until(holds: impl AsyncFn() -> bool) {
    let looking = async {
        while !holds().await {
            pause(5).await
        }
    };
    timeout(Duration::from_secs(5), looking).await.expect("the condition must hold within 5 s");
}

/// Runs all frequent calls of a store concurrently.
async fn everything(store: &dyn TaskStore, held: &Claim) -> Vec<Result<()>> {
    let now = SystemClock.now();
    let (wanted, keys) = (request(1), [held.key()]);
    let calls: Vec<BoxFuture<'_, Result<()>>> = vec![
        store.claim(&wanted).map(|answer| answer.map(drop)).boxed(),
        store.renew(&keys, now + wanted.lease, now).map(|answer| answer.map(drop)).boxed(),
        store.record_outcomes(vec![completed(held)], now).map(|answer| answer.map(drop)).boxed(),
        store.enqueue(vec![task(1)]).map(|answer| answer.map(drop)).boxed(),
        store.get(held.task.id).map(|answer| answer.map(drop)).boxed(),
        store.event_log_after(None, EventOffset(0), 10).map(|answer| answer.map(drop)).boxed(),
        store.next_due(&wanted.agents).map(|answer| answer.map(drop)).boxed(),
        store.reap(now).map(|answer| answer.map(drop)).boxed(),
    ];
    join_all(calls).await
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_end_on_a_silent_network_and_succeed_afterwards() {
    let (proxy, store, _) = stores().await;
    store.enqueue(vec![task(0)]).await.unwrap();
    let held = store.claim(&request(1)).await.unwrap().remove(0);
    for network in [Network::Silent, Network::Cut] {
        // Connections that have just been used, and connections that are pinged first.
        for idle in [0, 1_200] {
            join_all((0..8).map(|_| store.statistics(None))).await;
            pause(idle).await;
            proxy.set(network);
            let begin = Instant::now();
            for answer in everything(&*store, &held).await {
                let e = answer.unwrap_err();
                let expected = matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Timeout);
                assert!(expected && e.kind().is_transient(), "{network:?}: {e}");
            }
            assert!(begin.elapsed() < HANG_LIMIT, "{network:?}: {:?}", begin.elapsed());
            proxy.set(Network::Whole);
            store.get(held.task.id).await.unwrap();
        }
    }
    assert!(everything(&*store, &held).await.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn task_is_added_once_and_acknowledged_after_a_lost_response() {
    let (proxy, store, direct) = stores().await;
    let mut before = 0;
    let keyed = |task: Task| Task { idempotency_key: Some(task.id.to_string()), ..task };
    for tasks in [vec![task(1)], (0..150).map(task).collect(), vec![task(2), keyed(task(3))]] {
        // Prepares the statements on all connections of the pool.
        let mut prepare = join_all((0..12).map(|_| store.enqueue((0..101).map(task).collect()))).await;
        prepare
            .extend(join_all((0..12).map(|_| store.enqueue((0..101).map(task).map(keyed).collect()))).await);
        before += prepare.iter().map(|stored| stored.as_ref().unwrap().len()).sum::<usize>();
        proxy.set(Network::Deaf);
        let (adding, known) = (store.clone(), tasks.clone());
        let call = tokio::spawn(async move { adding.enqueue(known).await });
        until(async || direct.get(tasks[0].id).await.unwrap().is_some()).await;
        proxy.cut_once();
        let stored = call.await.unwrap().unwrap();
        let ids = |tasks: &[Task]| tasks.iter().map(|task| task.id).collect::<Vec<_>>();
        assert_eq!(ids(&stored), ids(&tasks));
        assert_eq!(direct.events_after(tasks[0].id, 0, 10).await.unwrap().len(), 1);
    }
    let counts = direct.statistics(None).await.unwrap().counts;
    assert_eq!(counts.iter().map(|count| count.count).sum::<u64>(), before as u64 + 153);
}

#[tokio::test(flavor = "multi_thread")]
async fn outcome_is_recorded_once_after_a_lost_response() {
    let (proxy, store, direct) = stores().await;
    store.enqueue(vec![task(1)]).await.unwrap();
    let claim = store.claim(&request(1)).await.unwrap().remove(0);
    let id = claim.task.id;
    proxy.set(Network::DeafToCommit);
    let call = tokio::spawn({
        let (store, claim) = (store.clone(), claim.clone());
        async move { store.record_outcomes(vec![completed(&claim)], SystemClock.now()).await }
    });
    until(async || direct.get(id).await.unwrap().unwrap().status == TaskStatus::Completed).await;
    proxy.set(Network::Cut);
    proxy.set(Network::Whole);
    assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    // A worker that did not get the response records the outcome again.
    let again = store.record_outcomes(vec![completed(&claim)], SystemClock.now()).await.unwrap().remove(0);
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(direct.events_after(id, 0, 10).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_listener_reconnects() {
    let (proxy, store, direct) = stores().await;
    let mut heard = store.subscribe();
    let mut hears = async |limit: u64| {
        let added = direct.enqueue(vec![task(1)]).await.unwrap();
        let news = async { while heard.recv().await.unwrap() != WakeUp::Task(added[0].id) {} };
        timeout(Duration::from_millis(limit), news).await.is_ok()
    };
    for (pause_before, network, heard) in
        [(0, Network::Whole, true), (0, Network::Silent, false), (9_000, Network::Whole, true)]
    {
        pause(pause_before).await;
        proxy.set(network);
        // Listening starts shortly after the store was opened, or after the network works again.
        let begin = Instant::now();
        while hears(300).await != heard {
            assert!(begin.elapsed() < HANG_LIMIT, "the listener must notice the change: {network:?}");
        }
    }
}

/// Agent that reports when its attempts begin and when they are cancelled.
#[derive(Debug)]
struct Diary {
    name: &'static str,
    said: mpsc::UnboundedSender<(&'static str, u32, &'static str, Instant)>,
}

#[async_trait]
impl Agent for Diary {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("echo", "Records its attempts.").capabilities(["diary"])
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        let attempt = context.task.attempt;
        self.said.send((self.name, attempt, "begins", Instant::now())).unwrap();
        if self.name == "behind" {
            context.cancellation.cancelled().await;
            self.said.send((self.name, attempt, "stops", Instant::now())).unwrap();
            return Err(Error::cancelled("stopped"));
        }
        Ok(Step::Done(json!(attempt)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_that_cannot_renew_stops_before_another_takes_over() {
    let (proxy, store, direct) = stores().await;
    let (said, mut diary) = mpsc::unbounded_channel();
    let engine = |name, store: &Arc<dyn TaskStore>| {
        let agent = Arc::new(Diary { name, said: said.clone() });
        let builder = Engine::builder().task_store(store.clone()).agent(agent).workers(4);
        builder.lease(Duration::from_secs(5)).build().unwrap()
    };
    let (behind, other) = (engine("behind", &store), engine("other", &direct));
    let task = behind.submit_as(&Caller::System, NewTask::new("echo", json!({}))).await.unwrap();
    behind.start().await.unwrap();
    assert_eq!(diary.recv().await.unwrap().2, "begins");
    other.start().await.unwrap();
    proxy.set(Network::Silent);
    let (name, attempt, what, stopped) = diary.recv().await.unwrap();
    assert_eq!((name, attempt, what), ("behind", 1, "stops"));
    let (name, attempt, what, begun) = diary.recv().await.unwrap();
    assert_eq!((name, attempt, what), ("other", 2, "begins"));
    assert!(begun > stopped);
    let ended = timeout(Duration::from_secs(5), other.wait(&Caller::System, task.id)).await.unwrap().unwrap();
    assert_eq!((ended.status, ended.result), (TaskStatus::Completed, Some(json!(2))));

    // The network works again: the first engine continues, and is woken by the other.
    proxy.set(Network::Whole);
    other.shutdown_within(Duration::ZERO).await.unwrap();
    let begin = Instant::now();
    let again = loop {
        match behind.submit_as(&Caller::System, NewTask::new("echo", json!({}))).await {
            Ok(task) => break task,
            Err(e) => assert!(e.kind().is_transient() && begin.elapsed() < HANG_LIMIT, "{e}"),
        }
    };
    let next = timeout(Duration::from_secs(10), diary.recv()).await.unwrap().unwrap();
    assert_eq!((next.0, next.1, next.2), ("behind", 1, "begins"));
    behind.cancel(&Caller::System, again.id).await.unwrap();
    behind.shutdown_within(Duration::from_secs(1)).await.unwrap();
    let kinds = direct.events_after(task.id, 0, 10).await.unwrap().into_iter().map(|event| event.kind);
    let ends = kinds.filter(|kind| matches!(kind, EventKind::Status { status, .. } if status.has_ended()));
    assert_eq!(ends.count(), 1);
}
