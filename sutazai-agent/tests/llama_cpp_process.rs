//! Child process of a model: its restrictions, how it ends, and what a crash of native code costs its parent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failing test panics
#![allow(clippy::disallowed_methods)] // another process takes real time

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use rustix::io::FdFlags;
use serde_json::json;
use sutazai_agent::models::{LlamaCppModelBackend, ModelLauncher};
use sutazai_core::ErrorKind;
use sutazai_core::domain::{
    ChatMessage, Constraint, GenerateRequest, ModelEvent, ModelProcess, ProcessState,
};
use sutazai_core::ports::{ModelBackend, ModelBackendExt};
use tokio::sync::Mutex;

#[path = "fixtures/launcher.rs"]
mod launcher;
#[path = "fixtures/model.rs"]
mod model;

use launcher::launcher;
use model::model_path;

/// Timeout of a step that hangs; no measure of speed.
const HANG_LIMIT: Duration = Duration::from_secs(120);

/// One test at a time, because each examines all children of this process.
static TEST_LOCK: Mutex<()> = Mutex::const_new(());

fn open(launcher: ModelLauncher) -> LlamaCppModelBackend {
    LlamaCppModelBackend::open(model_path(), launcher).unwrap()
}

async fn process(backend: &LlamaCppModelBackend) -> ModelProcess {
    backend.models().await.unwrap().remove(0).process.unwrap()
}

/// Returns the children of this process, zombies included, with their states as in proc_pid_stat(5).
fn children() -> BTreeMap<u32, char> {
    let own = std::process::id().to_string();
    let mut children = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        if fields[1] == own {
            children.insert(pid, fields[0].chars().next().unwrap());
        }
    }
    children
}

fn child() -> Option<u32> {
    children().into_iter().find(|(_, state)| *state != 'Z').map(|(pid, _)| pid)
}

fn signal(name: &str, pid: u32) -> bool {
    let kill = || {
        Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).output().unwrap().status.success()
    };
    // Rust's runtime handles the first of these to detect stack overflows, and leaves the next one to the kernel.
    let handled = ["SEGV", "BUS"].contains(&name) && kill();
    kill() || handled
}

/// Creates a request whose only possible answer is this text.
fn must_write(text: &str) -> GenerateRequest {
    let messages = vec![ChatMessage::user(format!("Say: {text}"))];
    let constraint = Some(Constraint::Grammar(format!("start: {}", json!(text))));
    GenerateRequest { max_tokens: 40, constraint, seed: Some(1), ..GenerateRequest::new(messages) }
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < HANG_LIMIT, "not within {HANG_LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn child_has_no_descriptor_secret_or_socket_and_ends_with_its_model() {
    let _alone = TEST_LOCK.lock().await;
    let leaky = File::open("/proc/self/status").unwrap();
    rustix::io::fcntl_setfd(&leaky, FdFlags::empty()).unwrap();
    let backend = open(launcher().variable("VISIBLE", "1"));
    let pid = child().unwrap();
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let environment = fs::read(proc.join("environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let names: Vec<_> = environment.split('\0').filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
    assert!(names.contains(&"VISIBLE"));
    assert!(!names.contains(&"HOME") && !names.contains(&"PATH"), "{names:?}");
    for entry in fs::read_dir(proc.join("fd")).unwrap().flatten() {
        let target = fs::read_link(entry.path()).unwrap();
        let target = target.to_string_lossy();
        assert!(target.starts_with("pipe:") || target.ends_with(".gguf"), "inherited: {target}");
    }
    let status = fs::read_to_string(proc.join("status")).unwrap();
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
    assert!(fs::read_to_string(proc.join("limits")).unwrap().contains("Max core file size        0 "));
    drop(backend);
    assert_eq!(children(), BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_requests_survive_every_signal() {
    const REQUESTS: usize = 1_000;
    const SIGNALS: [&str; 10] = ["SEGV", "ABRT", "ILL", "BUS", "FPE", "KILL", "TERM", "SYS", "XCPU", "STOP"];
    let _alone = TEST_LOCK.lock().await;
    let state = tempfile::tempdir().unwrap();
    let backend = Arc::new(open(launcher().state_folder(state.path()).idle_timeout(Duration::from_secs(5))));
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let threads = || fs::read_dir("/proc/self/task").unwrap().count();
    let begun = Instant::now();
    backend.complete(must_write("ready")).await.unwrap();
    println!("one request: {:?}", begun.elapsed());
    let before = (descriptors(), threads());
    let done = Arc::new(AtomicBool::new(false));
    let killer = {
        let (done, backend) = (done.clone(), backend.clone());
        tokio::spawn(async move {
            let mut sent = BTreeMap::<_, usize>::new();
            for (i, name) in SIGNALS.iter().cycle().enumerate() {
                // The moment differs from round to round: while it loads, reads a prompt, generates, or is idle.
                tokio::time::sleep(Duration::from_millis(500 + (i as u64 * 1_619) % 5_500)).await;
                if done.load(Ordering::Relaxed) {
                    break;
                }
                if let Some(pid) = child()
                    && signal(name, pid)
                {
                    *sent.entry(*name).or_default() += 1;
                }
                let _ = backend.models().await.unwrap();
            }
            sent
        })
    };
    let outcomes = stream::iter(0..REQUESTS)
        .map(|i| {
            let backend = backend.clone();
            async move {
                let text = format!("request {i} was answered in full");
                let mut got = String::new();
                let answer = async {
                    let mut events = backend.generate(must_write(&text)).await?;
                    while let Some(event) = events.next().await {
                        match event? {
                            ModelEvent::Text(piece) => got.push_str(&piece),
                            ModelEvent::Done(_) => return Ok(()),
                        }
                    }
                    panic!("an answer stopped without an end event");
                };
                let ended: Result<(), sutazai_core::Error> =
                    tokio::time::timeout(HANG_LIMIT, answer).await.expect("a request was not answered");
                assert!(text.starts_with(&got), "another text: {got:?} for {text:?}");
                match ended {
                    Ok(()) => {
                        assert_eq!(got, text);
                        "complete"
                    }
                    Err(e) => {
                        assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
                        // Waits like a client: one that retries at once finds the next child loading.
                        tokio::time::sleep(e.retry_after().unwrap_or(Duration::from_millis(500))).await;
                        "unavailable"
                    }
                }
            }
        })
        .buffer_unordered(16)
        .fold(BTreeMap::<_, usize>::new(), |mut counts, outcome| async move {
            *counts.entry(outcome).or_default() += 1;
            counts
        })
        .await;
    done.store(true, Ordering::Relaxed);
    let sent = killer.await.unwrap();
    println!("requests: {outcomes:?}; signals: {sent:?}; {:?}", process(&backend).await);
    assert_eq!(outcomes.values().sum::<usize>(), REQUESTS);
    assert!(sent.len() >= 5, "too few kinds of signals: {sent:?}");
    assert!(process(&backend).await.crashes >= 5);
    // On a busy machine few requests end between two signals.
    assert!(outcomes["complete"] > REQUESTS / 20, "{outcomes:?}");
    until("the model serves again", || async { backend.complete(must_write("alive")).await.is_ok() }).await;
    assert_eq!(process(&backend).await.state, ProcessState::Ready);
    assert!(children().values().all(|state| *state != 'Z'), "zombies: {:?}", children());
    assert_eq!(children().len(), 1);
    until("no descriptor or thread is left over", || async { (descriptors(), threads()) <= before }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_requests_survive_a_crash() {
    let _alone = TEST_LOCK.lock().await;
    let backend = Arc::new(open(launcher()));
    // Nothing is streamed while a long prompt is read.
    let long = "The disk of this server holds logs, databases and backups of many years. ".repeat(200);
    let mut request = must_write("repeated");
    request.messages.insert(0, ChatMessage::system(long));
    let answer = tokio::spawn({
        let backend = backend.clone();
        async move { backend.complete(request).await }
    });
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(signal("SEGV", child().unwrap()));
    let (text, _) = tokio::time::timeout(HANG_LIMIT, answer).await.unwrap().unwrap().unwrap();
    assert_eq!(text, "repeated");
    let process = process(&backend).await;
    assert_eq!((process.crashes, process.last_crash.as_deref()), (1, Some("killed by SIGSEGV")));
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_child_is_killed_and_the_deadline_holds() {
    let _alone = TEST_LOCK.lock().await;
    let backend = open(launcher().idle_timeout(Duration::from_secs(5)));
    assert!(signal("STOP", child().unwrap()));
    let timeout = Some(Duration::from_millis(500));
    let e = backend.complete(GenerateRequest { timeout, ..must_write("late") }).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Timeout, "{e}");
    // The next child repeats it once the watchdog has killed this one.
    assert_eq!(backend.complete(must_write("again")).await.unwrap().0, "again");
    let reason = process(&backend).await.last_crash.unwrap();
    assert!(reason.contains("silent for 5s"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn crashing_kernels_are_replaced_by_the_next_lower_variant() {
    let _alone = TEST_LOCK.lock().await;
    let best = process(&open(launcher())).await.variant.unwrap();
    // Copy of the program whose best kernels end with an illegal instruction when they compute.
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = folder.path().join("sutazai-model");
    let built = Path::new(env!("CARGO_BIN_EXE_sutazai-model"));
    fs::copy(built, &program).unwrap();
    let libraries = folder.path().join("sutazai-native");
    fs::create_dir(&libraries).unwrap();
    for entry in fs::read_dir(built.with_file_name("sutazai-native")).unwrap().flatten() {
        fs::copy(entry.path(), libraries.join(entry.file_name())).unwrap();
    }
    break_function(&libraries.join(format!("libggml-cpu-{best}.so")), "ggml_graph_compute");
    let start = || open(ModelLauncher::new(&program).state_folder(state.path()));
    let backend = start();
    let first = process(&backend).await;
    assert_ne!(first.variant.as_deref(), Some(best.as_str()));
    assert!(first.variant.is_some());
    assert_eq!((first.crashes, first.last_crash.as_deref()), (2, Some("killed by SIGILL")));
    assert_eq!(backend.complete(must_write("lower")).await.unwrap().0, "lower");
    drop(backend);
    let second = process(&start()).await;
    assert_eq!((second.variant, second.crashes), (first.variant, 0));
}

/// Overwrites the beginning of an exported function with an illegal instruction.
fn break_function(library: &Path, function: &str) {
    let symbols = Command::new("nm").args(["-D", "--defined-only"]).arg(library).output().unwrap();
    let symbols = String::from_utf8(symbols.stdout).unwrap();
    let line =
        symbols.lines().find(|line| line.ends_with(&format!(" {function}"))).expect("no such function");
    let address = u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap();
    let segments = Command::new("readelf").args(["-lW"]).arg(library).output().unwrap();
    let segments = String::from_utf8(segments.stdout).unwrap();
    let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
    let loads = segments.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let offset = loads
        .filter(|columns| columns.first() == Some(&"LOAD"))
        .map(|columns| (hex(columns[1]), hex(columns[2]), hex(columns[4])))
        .find(|(_, start, length)| (*start..start + length).contains(&address))
        .map(|(offset, start, _)| offset + address - start)
        .unwrap();
    let file = File::options().write(true).open(library).unwrap();
    let undefined: &[u8] = if cfg!(target_arch = "x86_64") { &[0x0f, 0x0b] } else { &[0, 0, 0, 0] };
    file.write_all_at(undefined, offset).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn child_beyond_its_memory_limit_is_an_error() {
    let _alone = TEST_LOCK.lock().await;
    let begun = Instant::now();
    let e = LlamaCppModelBackend::open(model_path(), launcher().memory_limit(Some(64_000_000))).unwrap_err();
    assert!(begun.elapsed() < HANG_LIMIT);
    assert!(matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::InvalidInput), "{e}");
    assert_eq!(children(), BTreeMap::new());
    open(launcher().memory_limit(Some(4_000_000_000))).complete(must_write("enough")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_run_no_model_are_rejected() {
    let _alone = TEST_LOCK.lock().await;
    let open = |program: &str| {
        let launcher =
            ModelLauncher::new(program).state_folder(concat!(env!("CARGO_TARGET_TMPDIR"), "/models"));
        LlamaCppModelBackend::open(model_path(), launcher).unwrap_err()
    };
    let e = open("/nowhere/sutazai");
    assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("MODEL_PROGRAM")), "{e}");
    let e = open("/bin/true");
    assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
    assert!(e.message().contains("exit code 0"), "{e}");
    let e = open("/bin/cat");
    assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
    assert_eq!(children(), BTreeMap::new());
}
