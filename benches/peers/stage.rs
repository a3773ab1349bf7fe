//! Protocol of benches/queue/measure.py, shared by the Rust peers.

use std::error::Error;
use std::io::{BufRead, stdin};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::try_join_all;
use tokio::sync::mpsc;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CALLERS: usize = 50;
/// Tasks that are not measured: the first ones also open the connections.
const WARM_UP: usize = 20;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static BEGAN: Mutex<Option<mpsc::UnboundedSender<Instant>>> = Mutex::new(None);

/// The task: counts itself, and reports its start if there is a listener.
pub fn run() {
    COUNT.fetch_add(1, Ordering::Relaxed);
    if let Ok(began) = BEGAN.lock() {
        began.as_ref().map(|began| began.send(Instant::now()));
    }
}

/// Prints the duration of `work` in seconds.
pub async fn timed(work: impl Future<Output = Result<()>>) -> Result<()> {
    let begin = Instant::now();
    work.await?;
    println!("{:.6}", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Makes `count` calls from 50 concurrent callers, each of which waits for its result.
pub async fn one_by_one<F: Future<Output = Result<()>>>(count: usize, call: impl Fn() -> F) -> Result<()> {
    let caller = || async {
        for _ in 0..count / CALLERS {
            call().await?;
        }
        Ok(())
    };
    timed(async { try_join_all((0..CALLERS).map(|_| caller())).await.map(|_| ()) }).await
}

/// Prints READY and waits for GO.
pub async fn ready() {
    println!("READY");
    hear("GO").await;
}

/// Reports the number of run tasks and the time, until STOP.
pub async fn until_stopped() {
    std::thread::spawn(|| {
        let mut told = 0;
        loop {
            let count = COUNT.load(Ordering::Relaxed);
            if count > told {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                println!("DONE {count} {:.6}", now.as_secs_f64());
                told = count;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    hear("STOP").await;
}

/// Returns the start times of tasks from now on.
pub fn beginnings() -> mpsc::UnboundedReceiver<Instant> {
    let (sender, began) = mpsc::unbounded_channel();
    if let Ok(mut there) = BEGAN.lock() {
        *there = Some(sender);
    }
    began
}

/// Submits one task after the other and prints the time until each has started, in milliseconds.
pub async fn latencies<F: Future<Output = Result<()>>>(
    count: usize,
    mut began: mpsc::UnboundedReceiver<Instant>,
    call: impl Fn() -> F,
) -> Result<()> {
    let mut waited = Vec::new();
    for _ in 0..count + WARM_UP {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let begin = Instant::now();
        call().await?;
        waited.extend(began.recv().await.map(|at| format!("{:.4}", (at - begin).as_secs_f64() * 1e3)));
    }
    println!("{}", waited.split_off(WARM_UP).join(" "));
    Ok(())
}

async fn hear(word: &'static str) {
    let wait = move || stdin().lock().lines().map_while(std::io::Result::ok).any(|line| line == word);
    let _ = tokio::task::spawn_blocking(wait).await;
}
