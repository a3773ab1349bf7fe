//! First run of a real server: the setup code is on the terminal and nowhere else.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use reqwest::Client;
use serde_json::{Value, json};

use crate::support::{HANG_LIMIT, Place, Server};

/// Starts a server whose standard output goes to this file.
fn start(place: &Place, shown: &Path) -> Server {
    start_with(place, shown, "", &[])
}

/// Starts a server with this flag and these environment variables, whose standard output goes to this file.
fn start_with(place: &Place, shown: &Path, flag: &str, environment: &[(&str, &str)]) -> Server {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "exec \"$0\" serve --listen \"$1\" $3 >\"$2\"",
        env!("CARGO_BIN_EXE_sutazai"),
        &address,
    ]);
    command.arg(shown).arg(flag).env_clear().envs(place.settings()).env("LOG_LEVEL", "trace");
    command.envs(environment.iter().copied());
    Server::spawn(command, address)
}

/// Stops a server and returns its log.
fn stopped(mut server: Server) -> String {
    server.signal("TERM");
    assert_eq!(server.ended_within(HANG_LIMIT), Some(0));
    server.log()
}

#[tokio::test(flavor = "multi_thread")]
async fn setup_code_is_shown_on_the_terminal_only_and_works_once() {
    let place = Place::new();
    let shown: PathBuf = place.path("shown");
    let server = start(&place, &shown);
    let text = std::fs::read_to_string(&shown).unwrap();
    assert!(text.starts_with("This server has no admin yet.") && text.contains(&server.url("/")), "{text}");
    let is_code = |word: &&str| word.len() == 26 && word.bytes().all(|b| b.is_ascii_alphanumeric());
    let code = text.split(|c: char| !c.is_ascii_alphanumeric()).find(is_code).unwrap().to_owned();
    let mut body = json!({ "code": "wrong", "username": "ada", "email": "ada@example.org", "password": "correct horse battery" });
    for (code, status) in [("wrong", 403), (code.as_str(), 201), (code.as_str(), 409)] {
        body["code"] = code.into();
        let answer = Client::new().post(server.url("/api/v1/setup")).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{}", answer.text().await.unwrap());
    }
    let state: Value = reqwest::get(server.url("/api/v1/setup")).await.unwrap().json().await.unwrap();
    assert_eq!(state["data"]["needs_admin"], false);
    let log = stopped(server);
    assert!(log.contains("setup code rejected") && !log.contains(&code), "{log}");

    let server = start(&place, &shown);
    assert_eq!(std::fs::read_to_string(&shown).unwrap(), "", "there is an admin");
    stopped(server);
}

/// Puts a program called `xdg-open` into a folder, which ends with this status, and returns a `PATH` with the folder. It
/// writes its arguments and its environment to files in the home folder.
fn opener(place: &Place, status: u8) -> String {
    let folder = place.path("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join("xdg-open");
    let script = format!(
        "#!/bin/sh\nenv >\"$HOME/environment\"\nprintf '%s\\n' \"$@\" >\"$HOME/opening\"\n\
         mv \"$HOME/opening\" \"$HOME/opened\"\nexit {status}\n"
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

/// Waits until a file has a line that contains this text, and returns its content.
fn written(path: &Path, line: &str) -> String {
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.contains(line) && text.ends_with('\n') {
            return text;
        }
        assert!(begun.elapsed() < HANG_LIMIT, "{line:?} is not in {text:?}");
        std::thread::yield_now();
    }
}

#[test]
fn browser_is_opened_without_the_secrets_of_the_server() {
    let place = Place::new();
    let (shown, path) = (place.path("shown"), opener(&place, 0));
    let secret = "a secret of thirty-two characters";
    let environment = [("PATH", path.as_str()), ("DISPLAY", ":7"), ("JWT_SECRET_KEY", secret)];
    let server = start_with(&place, &shown, "--open", &environment);
    let page = if sutazai::http::has_ui() { server.url("/ui/") } else { server.url("/api/openapi.json") };
    assert_eq!(written(&place.path("opened"), "\n"), format!("{page}\n"));
    let environment = std::fs::read_to_string(place.path("environment")).unwrap();
    assert!(environment.contains("DISPLAY=:7\n") && !environment.contains(secret), "{environment}");
    stopped(server);
    assert!(!std::fs::read_to_string(&shown).unwrap().contains("in a browser"), "it was opened");
}

#[test]
fn address_is_printed_where_no_browser_opens() {
    for (status, display) in [(0, ""), (3, ":7")] {
        let place = Place::new();
        let (shown, path) = (place.path("shown"), opener(&place, status));
        let server = start_with(&place, &shown, "--open", &[("PATH", &path), ("DISPLAY", display)]);
        let text = written(&shown, "in a browser.\n");
        assert!(text.contains(&format!("\nOpen {}", server.url("/"))), "{text}");
        assert_eq!(place.path("opened").exists(), status == 3);
        stopped(server);
    }
}
