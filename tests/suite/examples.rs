//! Runs every example as a reader would. The one that shows how to test with mocks is a test itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Stdio;

use crate::support::{Place, text};

/// Returns the path of an example, which Cargo builds next to the folder of the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_sutazai"));
    let path = binary.with_file_name("examples").join(name);
    assert!(
        path.is_file(),
        "{} is not built: run the tests with --all-targets or through make test",
        path.display()
    );
    path
}

fn run(name: &str) -> String {
    let place = Place::new();
    let output = place.program(&example(name), &place.settings(), &[]).output().unwrap();
    assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn embed_in_memory() {
    let shown = run("01_embed_in_memory");
    assert_eq!(shown, "4\n");
}

#[test]
fn analyze_this_machine() {
    let shown = run("02_analyze_this_machine");
    assert!(shown.starts_with("priority: "), "{shown}");
}

#[test]
fn http_server() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.push(("LISTEN".into(), "127.0.0.1:0".into()));
    let mut child =
        place.program(&example("03_http_server"), &settings, &[]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    // Kept until the end: the example fails if its output is closed.
    let mut shown = BufReader::new(child.stdout.take().unwrap());
    shown.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("mine:  http://").unwrap().trim_end_matches('/').to_owned();
    let get = |path: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let (mine, ours, refused) = (get("/"), get("/ai/health"), get("/ai/api/v1/tasks"));
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success() && child.wait().unwrap().success());
    assert!(mine.contains("my own service"), "{mine}");
    assert!(ours.starts_with("HTTP/1.1 200") && ours.contains("healthy"), "{ours}");
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
}

#[test]
fn custom_agent() {
    let shown = run("04_custom_agent");
    assert!(shown.contains("difference: Some(") && shown.contains("completed"), "{shown}");
}

#[test]
fn custom_model_backend() {
    let shown = run("05_custom_model_backend");
    assert!(shown.contains("it conforms") && shown.contains("lease-chain wrote: "), "{shown}");
}
