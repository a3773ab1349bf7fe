//! The API as its document promises it: whatever schemathesis thinks of is answered as documented, and a client that is
//! generated from the document goes the whole way.

use std::path::PathBuf;
use std::process::Command;

use reqwest::Client;
use serde_json::json;

use crate::support::{Place, Server, python, text};

const PASSWORD: &str = "correct horse battery";
const ADMIN: &str = "root_1";

/// A server whose password hashes cost next to nothing.
fn start(place: &Place) -> Server {
    let mut settings = place.settings();
    for (name, value) in [
        ("ARGON2_MEMORY_KIB", "7168"),
        ("ARGON2_ITERATIONS", "1"),
        ("ADMIN_USERNAME", ADMIN),
        ("ADMIN_PASSWORD", PASSWORD),
    ] {
        settings.push((name.into(), value.into()));
    }
    Server::start(place, &settings)
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/api")
}

/// A program of the tests' Python environment, run where its settings lie.
fn tool(name: &str) -> Command {
    let mut command = Command::new(python().with_file_name(name));
    command.current_dir(folder());
    command
}

fn succeeds(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// Has schemathesis try the operations that `filter` leaves, signed in as `user`.
fn schemathesis(server: &Server, place: &Place, user: &str, filter: [&str; 2]) {
    let mut st = tool("st");
    st.env("SUTAZAI_TEST_SERVER", server.url(""))
        .env("SUTAZAI_TEST_USER", user)
        .env("SUTAZAI_TEST_PASSWORD", PASSWORD)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["--config-file", "schemathesis.toml", "run"])
        .arg(server.url("/api/openapi.json"))
        .arg("--url")
        .arg(server.url(""))
        .args(filter)
        .arg("--report-dir")
        .arg(place.path("report"));
    let said = succeeds(st);
    assert!(said.contains("Stateful"), "not all phases were run: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_is_answered_as_documented() {
    let place = Place::new();
    let server = start(&place);
    let body = json!({ "username": "ada", "email": "ada@example.net", "password": PASSWORD });
    let answer = Client::new().post(server.url("/api/v1/auth/register")).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    tokio::task::spawn_blocking(move || {
        schemathesis(&server, &place, "ada", ["--exclude-tag", "admin"]);
        schemathesis(&server, &place, ADMIN, ["--include-tag", "admin"]);
    })
    .await
    .unwrap();
}

#[test]
fn a_generated_client_goes_from_registration_to_the_result() {
    let place = Place::new();
    let server = start(&place);
    let mut generate = tool("openapi-python-client");
    // It has ruff tidy what it wrote, which stands beside it.
    let path =
        format!("{}:{}", python().parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    generate
        .env("PATH", path)
        .args(["generate", "--fail-on-warning", "--meta", "none", "--url"])
        .arg(server.url("/api/openapi.json"))
        .arg("--output-path")
        .arg(place.path("sutazai_client"));
    succeeds(generate);
    let mut journey = tool("python");
    journey
        .arg("journey.py")
        .arg(server.url(""))
        .env("PYTHONPATH", place.path(""))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    succeeds(journey);
}
