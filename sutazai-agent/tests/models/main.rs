//! Network backends of models, and the types that combine them, against running servers: an Ollama server that
//! implements the published API, and llama.cpp's own `llama-server` with a real model.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // a failing test panics

mod auto_pull;
mod chain;
mod fault;
mod llama_server;
mod manager;
#[path = "../fixtures/model.rs"]
mod model;
mod ollama;
mod ollama_cassettes;
mod ollama_server;
mod openai;
mod retry;

use std::time::Duration;

use futures::StreamExt;
use sutazai_core::Error;
use sutazai_core::domain::{ChatMessage, GenerateRequest, ModelEvent};
use sutazai_core::ports::{ModelBackend, ModelStream};
use sutazai_core::testing::ManualClock;
use tokio::net::TcpSocket;

/// Guard against hanging tests: far longer than any step takes on a busy machine, and not a measurement.
pub(crate) const HANG_LIMIT: Duration = Duration::from_secs(60);

/// Private text of requests, which must not appear in any error.
const PRIVATE: &str = "my-private-words";

/// Creates a request with a time limit.
fn ask() -> GenerateRequest {
    GenerateRequest {
        max_tokens: 6,
        timeout: Some(Duration::from_secs(20)),
        ..GenerateRequest::new(vec![ChatMessage::user(format!("Tell a long story of {PRIVATE}."))])
    }
}

/// Returns the error that an answer ends with, and the number of characters before it.
async fn failure(backend: &dyn ModelBackend, request: GenerateRequest) -> (usize, Error) {
    match backend.generate(request).await {
        Ok(stream) => read_failure(stream).await,
        Err(e) => (0, private(e)),
    }
}

async fn read_failure(mut stream: ModelStream) -> (usize, Error) {
    let mut pieces = 0;
    while let Some(event) = stream.next().await {
        match event {
            Ok(ModelEvent::Text(_)) => pieces += 1,
            Ok(ModelEvent::Done(usage)) => panic!("the answer ended well: {usage:?}"),
            Err(e) => {
                assert!(stream.next().await.is_none(), "something came after the error");
                return (pieces, private(e));
            }
        }
    }
    panic!("the stream ended after {pieces} pieces without an end event")
}

/// Returns the error after checking that it does not contain the private text.
fn private(e: Error) -> Error {
    assert!(!format!("{e} {e:?}").contains(PRIVATE), "{e:?}");
    e
}

/// Runs a call while the clock advances whenever the call waits.
async fn while_time_passes<T>(clock: &ManualClock, call: impl Future<Output = T>) -> T {
    let mut call = std::pin::pin!(call);
    loop {
        tokio::select! {
            biased;
            done = &mut call => return done,
            () = tokio::task::yield_now() => clock.advance(Duration::from_millis(10)),
        }
    }
}

/// Returns an address at which nothing listens; the port stays reserved during the tests.
fn nowhere() -> String {
    let socket = Box::leak(Box::new(TcpSocket::new_v4().unwrap()));
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    format!("http://{}", socket.local_addr().unwrap())
}
