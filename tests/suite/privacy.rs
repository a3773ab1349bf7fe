//! No data leaves the machine: the promise of the project, observed from the kernel's side.

use std::process::Command;

use crate::support::{Place, Server, model, text};

const JOURNEY: &str = r#"
import json, os, subprocess, sys, time, urllib.request
binary, address = sys.argv[1:3]
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
result = json.loads(subprocess.run([binary, "analyze", "--json"], check=True, capture_output=True).stdout)
assert len(result["grounding"]["texts"]) == len(result["recommendations"]), result["grounding"]
server = subprocess.Popen([binary, "serve", "--listen", address], stderr=subprocess.DEVNULL)
def call(path, body=None, token=None):
    request = urllib.request.Request("http://" + address + path, method="POST" if body is not None else "GET")
    if token: request.add_header("Authorization", "Bearer " + token)
    data = None
    if body is not None:
        request.add_header("Content-Type", "application/json")
        data = json.dumps(body).encode()
    return json.loads(urllib.request.urlopen(request, data, timeout=20).read())["data"]
for _ in range(200):
    try:
        call("/health")
        break
    except OSError:
        time.sleep(0.1)
user = {"username": "ada", "email": "ada@example.org", "password": "correct horse battery"}
token = call("/api/v1/auth/register", user)["access_token"]
task = call("/api/v1/agents/hardware-optimizer/analyze", {}, token)["task_id"]
for _ in range(600):
    state = call("/api/v1/tasks/" + task, token=token)
    if state["status"] not in ("pending", "processing"):
        break
    time.sleep(0.1)
assert state["status"] == "completed", state
server.terminate()
assert server.wait(20) == 0
print("done")
"#;

fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_sutazai")
}

#[test]
fn user_journey_works_with_loopback_only() {
    let place = Place::new();
    let script = place.path("journey.py");
    std::fs::write(&script, JOURNEY).unwrap();
    let output = Command::new("unshare")
        .args(["--net", "--map-root-user", "python3"])
        .arg(&script)
        .args([binary(), "127.0.0.1:18080"])
        .envs(place.with_model())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).ends_with("done\n"), "{}", text(&output.stdout));
}

/// Returns the connections of a traced run to other addresses than loopback; Unix sockets are ignored.
fn outside(trace: &str) -> Vec<&str> {
    trace
        .lines()
        .filter(|line| {
            line.contains("AF_INET") && !line.contains(r#"inet_addr("127."#) && !line.contains(r#""::1""#)
        })
        .collect()
}

#[test]
fn analyze_connects_to_nothing_outside() {
    let place = Place::new();
    let trace = place.path("trace");
    // A backend on loopback proves that connections are recorded at all.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    drop(silent);
    let backends = format!("ollama=http://127.0.0.1:{port},llama-cpp={}", model().display());
    let output = Command::new("strace")
        .args(["-f", "-e", "trace=connect", "-o"])
        .arg(&trace)
        .args([binary(), "--model-backends", &backends, "analyze", "--json"])
        .envs(place.settings())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let trace = std::fs::read_to_string(trace).unwrap();
    assert!(trace.contains(&format!("htons({port})")), "the configured backend must be tried: {trace}");
    assert_eq!(outside(&trace), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn serving_connects_to_nothing_outside() {
    let place = Place::new();
    let trace = place.path("trace");
    let address = "127.0.0.1:18081".to_owned();
    let mut command = Command::new("strace");
    command
        // With -D the server itself is our child, so that killing the child ends the server.
        .args(["-D", "-f", "-e", "trace=connect", "-o"])
        .arg(&trace)
        .args([binary(), "serve", "--listen", &address])
        .env_clear()
        .envs(place.with_model());
    let server = Server::spawn(command, address);
    let client = reqwest::Client::new();
    let user = serde_json::json!({ "username": "ada", "email": "ada@example.org", "password": "correct horse battery" });
    let answer = client.post(server.url("/api/v1/auth/register")).json(&user).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let answer: serde_json::Value = answer.json().await.unwrap();
    let token = answer["data"]["access_token"].as_str().unwrap();
    let metrics = client.get(server.url("/api/v1/system/metrics")).bearer_auth(token).send().await.unwrap();
    assert_eq!(metrics.status(), 200);
    drop(server);
    assert_eq!(outside(&std::fs::read_to_string(trace).unwrap()), Vec::<&str>::new());
}
