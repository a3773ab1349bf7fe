//! Tokens per second of one model in a child process, inside this process, and in a `llama-server`.
//!
//! All are called through the port, in alternating rounds, with one request and with four concurrent requests.
//! `benches/llama.sh` starts the server and runs this.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // a failing bench panics

use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use futures::future::join_all;
use sutazai_agent::models::{LlamaCppModelBackend, ModelLauncher, OpenAiModelBackend};
use sutazai_core::domain::{ChatMessage, GenerateRequest, ModelEvent};
use sutazai_core::ports::ModelBackend;

const TOKENS: u32 = 128;
const ROUNDS: usize = 9;
const CONCURRENT_REQUESTS: usize = 4;
/// Requests of one token each, whose prompt the model has read before: nearly all of their time is the cost of a request.
const SHORT_REQUESTS: usize = 200;

fn request(max_tokens: u32) -> GenerateRequest {
    GenerateRequest {
        max_tokens,
        temperature: Some(0.0),
        repeat_penalty: Some(1.0),
        seed: Some(1),
        ..GenerateRequest::new(vec![
            ChatMessage::system("You explain how computers work."),
            ChatMessage::user("Explain at length how an operating system shares memory between programs."),
        ])
    }
}

/// Returns the seconds to the first text, and the tokens per second after it.
async fn one(backend: &Arc<dyn ModelBackend>) -> (f64, f64) {
    let begun = Instant::now();
    let mut stream = backend.generate(request(TOKENS)).await.unwrap();
    let mut first = None;
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            ModelEvent::Text(_) => drop(first.get_or_insert_with(Instant::now)),
            ModelEvent::Done(usage) => {
                let first = first.unwrap();
                let rest = f64::from(usage.completion_tokens - 1) / first.elapsed().as_secs_f64();
                return ((first - begun).as_secs_f64(), rest);
            }
        }
    }
    panic!("the answer did not end");
}

/// Returns the milliseconds of a request of one token.
async fn short(backend: &Arc<dyn ModelBackend>) -> f64 {
    let begun = Instant::now();
    let events = backend.generate(request(1)).await.unwrap().collect::<Vec<_>>().await;
    assert!(matches!(events.last(), Some(Ok(ModelEvent::Done(_)))), "the answer did not end");
    begun.elapsed().as_secs_f64() * 1e3
}

/// Returns the total tokens per second of several concurrent requests.
async fn several(backend: &Arc<dyn ModelBackend>) -> f64 {
    let begun = Instant::now();
    join_all((0..CONCURRENT_REQUESTS).map(|_| one(backend))).await;
    (CONCURRENT_REQUESTS as f64 * f64::from(TOKENS)) / begun.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::main]
async fn main() {
    let path = std::env::var("SUTAZAI_TEST_MODEL").expect("SUTAZAI_TEST_MODEL names a GGUF file");
    let url = std::env::var("LLAMA_SERVER_URL").expect("LLAMA_SERVER_URL is where llama-server listens");
    let launcher = ModelLauncher::new(env!("CARGO_BIN_EXE_sutazai-model"));
    let child: Arc<dyn ModelBackend> = Arc::new(LlamaCppModelBackend::open(&path, launcher).unwrap());
    let inside: Arc<dyn ModelBackend> = Arc::new(LlamaCppModelBackend::in_process(&path).unwrap());
    let server: Arc<dyn ModelBackend> = Arc::new(OpenAiModelBackend::new(&url, None).unwrap());
    let backends = [("child process", child), ("in process", inside), ("llama-server", server)];
    for (_, backend) in &backends {
        one(backend).await; // warm-up: every backend has read the prompt
    }
    let mut figures = [(); 3].map(|()| (Vec::new(), Vec::new(), Vec::new()));
    for _ in 0..ROUNDS {
        for ((_, backend), (first, rest, together)) in backends.iter().zip(&mut figures) {
            let (to_first, per_second) = one(backend).await;
            first.push(to_first * 1e3);
            rest.push(per_second);
            together.push(several(backend).await);
        }
    }
    let mut one_token = [(); 3].map(|()| Vec::new());
    for _ in 0..SHORT_REQUESTS {
        for ((_, backend), milliseconds) in backends.iter().zip(&mut one_token) {
            milliseconds.push(short(backend).await);
        }
    }
    let one_token = one_token.map(median);
    let [child, inside, server] =
        figures.map(|(first, rest, together)| (median(first), median(rest), median(together)));
    println!("medians of {ROUNDS} alternating rounds, {TOKENS} tokens each");
    let names = backends.map(|(name, _)| name);
    println!(
        "{:<24}{:>14}{:>14}{:>14}{:>12}{:>12}",
        "", names[0], names[1], names[2], "to inside", "to server"
    );
    for (what, child, inside, server) in [
        ("tokens/s, one request", child.1, inside.1, server.1),
        ("tokens/s, four at once", child.2, inside.2, server.2),
        ("ms to the first text", child.0, inside.0, server.0),
    ] {
        let ratios = (child / inside, child / server);
        println!("{what:<24}{child:>14.1}{inside:>14.1}{server:>14.1}{:>12.3}{:>12.3}", ratios.0, ratios.1);
    }
    let [child, inside, server] = one_token;
    println!(
        "{:<24}{child:>14.2}{inside:>14.2}{server:>14.2}",
        format!("ms of one token ({SHORT_REQUESTS})")
    );
    println!("a request costs {:.2} ms more in the child process than in this one", child - inside);
}
