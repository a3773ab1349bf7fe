//! The API against its OpenAPI document: schemathesis requests get documented responses, and a client
//! generated from the document completes a user journey.

use std::path::PathBuf;
use std::process::Command;

use reqwest::Client;
use serde_json::{Value, json};

use crate::support::{Place, Server, python, text};

const PASSWORD: &str = "correct horse battery";
const ADMIN: &str = "root_1";

/// Starts a server whose password hashes are cheap.
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

/// Builds a command for a tool of the tests' Python environment, run in the folder of the test.
fn tool(name: &str, place: &Place) -> Command {
    let mut command = Command::new(python().with_file_name(name));
    command.current_dir(place.path("")).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn succeeds(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let printed = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {printed}");
    printed
}

/// Runs schemathesis on the operations that `filter` selects, signed in as `user`.
fn schemathesis(server: &Server, place: &Place, user: &str, filter: [&str; 2]) {
    let mut st = tool("st", place);
    st.env("PYTHONPATH", folder())
        .env("SUTAZAI_TEST_SERVER", server.url(""))
        .env("SUTAZAI_TEST_USER", user)
        .env("SUTAZAI_TEST_PASSWORD", PASSWORD)
        .arg("--config-file")
        .arg(folder().join("schemathesis.toml"))
        .arg("run")
        .arg(server.url("/api/openapi.json"))
        .arg("--url")
        .arg(server.url(""))
        .args(filter);
    let printed = succeeds(st);
    assert!(printed.contains("Stateful"), "all phases must be run: {printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_answered_as_documented() {
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
fn generated_client_goes_from_registration_to_the_result() {
    let place = Place::new();
    let server = start(&place);
    let mut generate = tool("openapi-python-client", &place);
    // It formats its output with ruff, which is installed next to it.
    let path =
        format!("{}:{}", python().parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    generate
        .env("PATH", path)
        .args(["generate", "--fail-on-warning", "--meta", "none", "--url"])
        .arg(server.url("/api/openapi.json"))
        .arg("--output-path")
        .arg(place.path("sutazai_client"));
    succeeds(generate);
    let mut journey = tool("python", &place);
    journey.arg(folder().join("journey.py")).arg(server.url("")).env("PYTHONPATH", place.path(""));
    succeeds(journey);
}

/// Checks that a value matches a schema and has no other fields.
fn fits(value: &Value, schema: &Value, document: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        return fits(value, target.ok_or(format!("nothing at {reference}"))?, document);
    }
    if let Some(ways) = schema["oneOf"].as_array() {
        let tried: Vec<_> = ways.iter().map(|way| fits(value, way, document)).collect();
        return if tried.iter().any(Result::is_ok) { Ok(()) } else { Err(format!("{tried:?}")) };
    }
    if let Some(words) = schema["enum"].as_array() {
        return if words.contains(value) { Ok(()) } else { Err(format!("{value} is none of {words:?}")) };
    }
    match (schema["type"].as_str(), value) {
        (Some("object"), Value::Object(fields)) => {
            let none = serde_json::Map::new();
            let known = schema["properties"].as_object().unwrap_or(&none);
            for name in schema["required"].as_array().into_iter().flatten() {
                fields.get(name.as_str().unwrap()).ok_or(format!("{name} is missing"))?;
            }
            fields.iter().try_for_each(|(name, value)| {
                let schema = known.get(name).or(schema.get("additionalProperties"));
                let schema = schema.ok_or(format!("{name} is not in the document"))?;
                fits(value, schema, document).map_err(|e| format!("{name}: {e}"))
            })
        }
        (Some("array"), Value::Array(items)) => {
            items.iter().try_for_each(|item| fits(item, &schema["items"], document))
        }
        (Some("string"), Value::String(_))
        | (Some("number" | "integer"), Value::Number(_))
        | (Some("boolean"), Value::Bool(_))
        | (Some("null"), Value::Null)
        | (None, _) => Ok(()),
        (kind, value) => Err(format!("{value} is no {kind:?}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn measured_snapshot_matches_its_documented_schema() {
    let place = Place::new();
    let server = start(&place);
    let client = Client::new();
    let get = async |path: &str, token: &str| -> Value {
        client.get(server.url(path)).bearer_auth(token).send().await.unwrap().json().await.unwrap()
    };
    let body = json!({ "login": ADMIN, "password": PASSWORD });
    let answer = client.post(server.url("/api/v1/auth/login")).json(&body).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let token = answer["data"]["access_token"].as_str().unwrap();
    let document = get("/api/openapi.json", token).await;
    let snapshot = get("/api/v1/system/metrics", token).await["data"].take();
    assert_eq!(snapshot["host"]["status"], "present", "{snapshot}");
    let schema = json!({ "$ref": "#/components/schemas/Snapshot" });
    fits(&snapshot, &schema, &document).unwrap();
    let mut more = snapshot.clone();
    more["host"]["value"]["cpu"]["flavour"] = json!("sweet");
    assert!(fits(&more, &schema, &document).unwrap_err().contains("flavour is not in the document"));
}
