//! Retries after transient errors: when, how often, and when not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt, poll};
use sutazai_agent::models::{FallbackChain, OllamaModelBackend};
use sutazai_core::domain::{GenerateRequest, ModelEvent};
use sutazai_core::ports::{Clock, ModelBackend, ModelBackendExt, SystemClock};
use sutazai_core::testing::{ManualClock, ScriptedAnswer, ScriptedModelBackend};
use sutazai_core::{Error, ErrorKind};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::chain::{failing, writer};
use crate::fault::Fault;
use crate::ollama_server::OllamaServer;
use crate::{ask, failure, while_time_passes};

const TEMPORARY: [ErrorKind; 4] =
    [ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::Busy, ErrorKind::RateLimited];

fn scripted(answers: Vec<ScriptedAnswer>) -> Arc<ScriptedModelBackend> {
    Arc::new(ScriptedModelBackend::new(answers).named("first"))
}

/// Creates a chain over these backends, in order, with a clock that tests advance manually.
fn chain(backends: &[&Arc<ScriptedModelBackend>]) -> (Arc<ManualClock>, FallbackChain) {
    let clock = Arc::new(ManualClock::new());
    let backends = backends.iter().map(|backend| (*backend).clone() as Arc<dyn ModelBackend>);
    (clock.clone(), FallbackChain::new(backends.collect(), clock))
}

#[tokio::test]
async fn transient_errors_are_retried_with_backoff_before_the_fallback() {
    for kind in TEMPORARY {
        let error = || ScriptedAnswer::Error(Error::new(kind, "not now"));
        let (first, second) =
            (scripted(vec![error(), error(), "at last".into()]), Arc::new(writer("second")));
        let (clock, chain) = chain(&[&first, &second]);
        let begun = clock.now();
        let (text, usage) = while_time_passes(&clock, chain.complete(ask())).await.unwrap();
        assert_eq!((text.as_str(), usage.degraded), ("at last", None), "{kind}");
        assert_eq!((first.requests().len(), second.requests().len()), (3, 0), "{kind}");
        // 125 to 250 ms, then 250 to 500 ms; the clock advances by 10 ms.
        let waited = (clock.now() - begun).num_milliseconds();
        assert!((375..=770).contains(&waited), "{kind}: {waited} ms");
    }
}

#[tokio::test]
async fn call_is_made_three_times_before_the_fallback() {
    for kind in TEMPORARY {
        let (first, second) = (Arc::new(failing("first", kind)), Arc::new(writer("second")));
        let (clock, chain) = chain(&[&first, &second]);
        let (_, usage) = while_time_passes(&clock, chain.complete(ask())).await.unwrap();
        assert_eq!((first.requests().len(), second.requests().len()), (3, 1), "{kind}");
        assert_eq!(usage.degraded, Some(format!("first is {kind}")), "a repeated failure is named once");
    }
    for kind in ErrorKind::ALL.into_iter().filter(|kind| !TEMPORARY.contains(kind)) {
        let first = Arc::new(failing("first", kind));
        let (_, chain) = chain(&[&first]);
        assert_eq!(failure(&chain, ask()).await.1.kind(), kind);
        assert_eq!(first.requests().len(), 1, "{kind} was repeated");
    }
}

#[tokio::test]
async fn nothing_is_retried_after_text_was_passed_on() {
    let broken = || ScriptedAnswer::Broken("half".into(), Error::unavailable("cut"));
    let (first, second) = (scripted(vec![broken(), "whole".into()]), Arc::new(writer("second")));
    let (clock, chain) = chain(&[&first, &second]);
    let (pieces, e) = while_time_passes(&clock, failure(&chain, ask())).await;
    assert_eq!((pieces, e.message()), (1, "cut"));
    assert_eq!((first.requests().len(), second.requests().len()), (1, 0));
}

#[tokio::test]
async fn retry_after_of_the_server_is_honored() {
    let busy = |seconds| {
        let error = Error::new(ErrorKind::Busy, "busy").with_retry_after(Duration::from_secs(seconds));
        ScriptedAnswer::Error(error)
    };
    let first = scripted(vec![busy(3), "now".into()]);
    let (clock, chain) = chain(&[&first]);
    let begun = clock.now();
    while_time_passes(&clock, chain.complete(ask())).await.unwrap();
    let waited = (clock.now() - begun).num_milliseconds();
    assert!((3_000..3_100).contains(&waited), "{waited} ms");

    // A server that is busy for long is not retried.
    let (first, second) = (scripted(vec![busy(30), "late".into()]), Arc::new(writer("second")));
    let (clock, chain) = self::chain(&[&first, &second]);
    let begun = clock.now();
    let (_, usage) = chain.complete(ask()).await.unwrap();
    assert_eq!((usage.backend.as_str(), clock.now()), ("second", begun));
}

#[tokio::test]
async fn no_delay_exceeds_the_request_time_limit() {
    let error = Error::new(ErrorKind::Busy, "busy").with_retry_after(Duration::from_secs(2));
    let answers = || vec![ScriptedAnswer::Error(error.clone()), "in time".into()];
    for (millis, backend) in [(2_000, "second"), (2_500, "first")] {
        let (first, second) = (scripted(answers()), Arc::new(writer("second")));
        let (clock, chain) = chain(&[&first, &second]);
        let request = GenerateRequest { timeout: Some(Duration::from_millis(millis)), ..ask() };
        let (_, usage) = while_time_passes(&clock, chain.complete(request)).await.unwrap();
        assert_eq!(usage.backend, backend, "{millis} ms");
        // A retried call has only the rest of the time limit.
        let last = first.requests().pop().unwrap().timeout.unwrap();
        assert!(backend == "second" || last <= Duration::from_millis(500), "{last:?}");
    }
}

#[tokio::test]
async fn dropped_call_is_not_retried() {
    let first = Arc::new(failing("first", ErrorKind::Unavailable));
    let (clock, chain) = chain(&[&first]);
    {
        let mut call = std::pin::pin!(chain.generate(ask()));
        assert!(poll!(&mut call).is_pending());
        assert_eq!(first.requests().len(), 1);
    }
    clock.advance(Duration::from_secs(60));
    tokio::task::yield_now().await;
    assert_eq!(first.requests().len(), 1);
    // The dropped call did not count: four more failures leave the circuit closed.
    for _ in 0..4 {
        while_time_passes(&clock, failure(&chain, ask())).await;
    }
    while_time_passes(&clock, failure(&chain, ask())).await;
    assert_eq!(first.requests().len(), 1 + 5 * 3);
}

/// Proxy to a server that closes the first connections unanswered, like a restarting server.
struct Flaky {
    url: String,
    refused: Arc<AtomicUsize>,
    serving: tokio::task::JoinHandle<()>,
}

impl Flaky {
    async fn before(server: &OllamaServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let to = server.url().trim_start_matches("http://").to_owned();
        let refused = Arc::new(AtomicUsize::new(0));
        let left = refused.clone();
        let serving = tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let refuse =
                    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                if refuse.is_ok() {
                    connection.shutdown().await.unwrap();
                    continue;
                }
                let mut server = TcpStream::connect(&to).await.unwrap();
                // Fails when either side closes its connection, which tests may do at any time.
                tokio::spawn(async move {
                    tokio::io::copy_bidirectional(&mut connection, &mut server).await.ok()
                });
            }
        });
        Self { url, refused, serving }
    }

    /// Closes this many of the next connections.
    fn refuse(&self, connections: usize) {
        self.refused.store(connections, Ordering::SeqCst);
    }

    fn left(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

impl Drop for Flaky {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[tokio::test]
async fn dropped_connections_are_retried() {
    let server = OllamaServer::start(&["tinyllama:latest"]).await;
    let flaky = Flaky::before(&server).await;
    let link = Arc::new(OllamaModelBackend::new(&flaky.url).unwrap());
    let second = Arc::new(writer("second"));
    let chain = FallbackChain::new(vec![link, second.clone()], Arc::new(SystemClock));
    let model = Some("tinyllama:latest".to_owned());

    flaky.refuse(2);
    let (_, usage) = chain.complete(GenerateRequest { model: model.clone(), ..ask() }).await.unwrap();
    assert_eq!((usage.backend.as_str(), usage.degraded), ("ollama", None));
    flaky.refuse(2);
    assert_eq!(chain.embed(model.clone(), &["a".into()]).await.unwrap().backend, "ollama");
    flaky.refuse(2);
    chain.load(model).await.unwrap();
    flaky.refuse(2);
    assert_eq!(chain.models().await.unwrap()[0].name, "tinyllama:latest");
    assert_eq!(flaky.left(), 0);
    assert!(second.requests().is_empty());
}

#[tokio::test]
async fn statuses_of_a_real_server_are_retried_or_not() {
    let server = OllamaServer::start(&["tinyllama:latest"]).await;
    let chain = FallbackChain::new(vec![Arc::new(server.backend())], Arc::new(SystemClock));
    let request = GenerateRequest { model: Some("tinyllama:latest".into()), ..ask() };
    for fault in [
        Fault::Refuse(429, "{}", Some("0")),
        Fault::Refuse(500, "{}", None),
        Fault::Refuse(502, "{}", None),
        Fault::Refuse(503, "{}", Some("0")),
        Fault::Refuse(504, "{}", None),
        Fault::Cut(0),
    ] {
        let before = server.posted("/api/chat").len();
        server.fail(fault.clone());
        let (_, usage) = chain.complete(request.clone()).await.unwrap();
        assert_eq!(usage.degraded, None, "{fault:?}");
        assert_eq!(server.posted("/api/chat").len(), before + 2, "{fault:?}");
    }
    for (fault, pieces) in [(Fault::Refuse(400, "{}", None), 0), (Fault::Cut(3), 3)] {
        let before = server.posted("/api/chat").len();
        server.fail(fault.clone());
        let (got, e) = failure(&chain, request.clone()).await;
        assert_eq!(got, pieces, "{fault:?}: {e}");
        assert_eq!(server.posted("/api/chat").len(), before + 1, "{fault:?} was repeated");
    }
    // A caller that disconnects while the call waits cancels the retry.
    server.fail(Fault::Refuse(503, "{}", Some("1")));
    let before = server.posted("/api/chat").len();
    let mut stream = tokio::select! {
        stream = chain.generate(request.clone()) => panic!("{:?}", stream.map(|_| "it answered")),
        () = SystemClock.sleep(Duration::from_millis(300)) => chain.generate(request).await.unwrap(),
    };
    assert!(matches!(stream.next().await, Some(Ok(ModelEvent::Text(_)))));
    SystemClock.sleep(Duration::from_millis(1_200)).await;
    assert_eq!(server.posted("/api/chat").len(), before + 2);
}
