//! The binary as scripts and people see it: output, exit codes, and what is written to which stream.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Place, text};

#[test]
fn analyze_json_prints_exactly_one_object() {
    let place = Place::new();
    let output = place.run(&["analyze", "--json", "--no-model"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in
        ["host", "metrics", "findings", "recommendations", "priority_level", "grounding", "generated_at"]
    {
        assert!(!result[key].is_null(), "{key} is missing");
    }
    assert_eq!(result["generated_by"], "rules");
    assert_eq!(result["metrics"]["host"]["status"], "present");
    let cores = std::thread::available_parallelism().unwrap().get() as u64;
    assert_eq!(result["metrics"]["host"]["value"]["cpu"]["cores"], cores);
}

#[test]
fn embedded_model_writes_within_its_permission() {
    let place = Place::new();
    let json = |arguments: &[&str]| -> Value {
        let output = place.sutazai(&place.with_model(), arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let before = json(&["analyze", "--json"]);
    assert_eq!(before["generated_by"], "rules", "an unmeasured model must not write");
    assert!(before["degraded"].as_str().unwrap().contains("sutazai models check"), "{}", before["degraded"]);
    let measured = json(&["models", "check", "--json"]);
    assert_eq!(measured["backend"], "llama-cpp");
    assert_eq!(json(&["models", "list", "--json"])[0]["permissions"], measured["granted"]);
    let after = json(&["analyze", "--json"]);
    assert_eq!(after["grounding"]["permissions"], measured["granted"]);
    let texts = after["grounding"]["texts"].as_array().unwrap();
    assert_eq!(texts.len(), after["recommendations"].as_array().unwrap().len());
    let granted = measured["granted"].as_array().unwrap();
    for checked in texts {
        assert!(!checked["assertions"].as_array().unwrap().is_empty(), "{checked}");
        assert!(checked["permission"].is_null() || granted.contains(&checked["permission"]), "{checked}");
    }
    // On a busy machine the measurement may run out of time, and then no permission is granted.
    let chosen = texts.iter().any(|checked| checked["permission"] == "choose");
    let may_choose = !texts.is_empty() && granted.contains(&Value::from("choose"));
    assert_eq!(chosen, may_choose, "{measured} {}", after["degraded"]);
    assert_eq!(after["generated_by"], if chosen { "model" } else { "rules" });
}

#[test]
fn piped_report_has_no_colors() {
    let output = Place::new().run(&["analyze", "--no-model"]);
    let report = text(&output.stdout);
    assert!(output.status.success());
    assert!(!report.contains('\u{1b}'), "{report}");
    assert!(report.contains("memory") && report.contains("Priority"), "{report}");
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn exit_code_is_the_priority_level() {
    let output = Place::new().run(&["analyze", "--no-model", "--exit-code", "--json"]);
    let level = serde_json::from_slice::<Value>(&output.stdout).unwrap()["priority_level"].clone();
    let expected = match level.as_str().unwrap() {
        "low" => 0,
        "medium" => 10,
        "high" => 11,
        _ => 12,
    };
    assert_eq!(output.status.code(), Some(expected));
}

#[test]
fn wrong_usage_and_wrong_settings_end_with_2() {
    let place = Place::new();
    for arguments in [&["analyse"][..], &["analyze", "--watch", "0"], &["migrate", "sideways"]] {
        assert_eq!(place.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let mut settings = place.settings();
    settings.push(("WORKERS".into(), "none".into()));
    settings.push(("LOG_FORMAT".into(), "xml".into()));
    let output = place.sutazai(&settings, &["serve"]).output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors.contains("WORKERS: expected") && errors.contains("LOG_FORMAT: expected"), "{errors}");
}

#[test]
fn invalid_model_file_is_named() {
    let place = Place::new();
    let file = place.path("broken.gguf");
    std::fs::write(&file, b"GGUF but not really").unwrap();
    let backends = format!("llama-cpp={}", file.display());
    let output = place.run(&["--model-backends", &backends, "analyze"]);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("broken.gguf"), "{errors}");
}

#[test]
fn database_that_cannot_be_opened_is_named() {
    let place = Place::new();
    std::fs::write(place.path("file"), b"").unwrap();
    let url = format!("sqlite://{}/below.db", place.path("file").display());
    let output = place.run(&["--database", &url, "serve"]);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("below.db"), "{errors}");
    let output = place.run(&["--database", "mysql://there/x", "migrate", "status"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[test]
fn migrations_are_applied_and_reverted() {
    let place = Place::new();
    let pending = text(&place.run(&["migrate", "status"]).stdout);
    assert!(pending.contains("pending") && !pending.contains("applied"), "{pending}");
    let up = place.run(&["migrate", "up"]);
    assert!(up.status.success(), "{}", text(&up.stderr));
    assert!(!text(&place.run(&["migrate", "status"]).stdout).contains("pending"));
    assert!(text(&place.run(&["migrate", "up"]).stdout).contains("Nothing to do"));
    let down = place.run(&["migrate", "down"]);
    assert!(text(&down.stdout).contains("reverted"), "{}", text(&down.stderr));
    assert!(text(&place.run(&["migrate", "status"]).stdout).contains("pending"));
    assert!(place.run(&["migrate", "up"]).status.success());
}

#[test]
fn users_are_created_from_the_command_line() {
    let place = Place::new();
    let password = place.path("password");
    std::fs::write(&password, "correct horse battery\n").unwrap();
    let file = password.display().to_string();
    let create = [
        "admin",
        "create-user",
        "--username",
        "ada",
        "--email",
        "ada@example.org",
        "--password-file",
        &file,
        "--admin",
    ];
    let output = place.run(&create);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("ada  admin"), "{}", text(&output.stdout));
    let again = place.run(&create);
    assert_eq!(again.status.code(), Some(5), "{}", text(&again.stderr));
    assert!(!text(&again.stderr).contains("correct horse"));
    let mut short = create;
    short[3] = "x";
    assert_eq!(place.run(&short).status.code(), Some(2));
    let key = std::fs::metadata(place.path("jwt_secret_key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
}

#[test]
fn config_check_hides_secrets_and_names_invalid_settings() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.push(("JWT_SECRET_KEY".into(), "7f3a91c04be2d8561e9fa07c3b5d2846".into()));
    let good = place.sutazai(&settings, &["config", "check"]).output().unwrap();
    let shown = text(&good.stdout);
    assert!(good.status.success());
    assert!(shown.contains("(hidden)") && !shown.contains("7f3a91c04be2d856"), "{shown}");
    settings.push(("ENABLE_AUTH".into(), "perhaps".into()));
    let bad = place.sutazai(&settings, &["config", "check"]).output().unwrap();
    assert_eq!(bad.status.code(), Some(2));
    assert!(text(&bad.stderr).contains("ENABLE_AUTH: expected one of"), "{}", text(&bad.stderr));
}

/// Closes standard output early, as `sutazai config check | head -1` does, and writes to a full disk.
#[test]
fn closed_pipe_ends_the_command_and_a_full_disk_is_reported() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let closed = place.sutazai(&place.settings(), &["config", "check"]).stdout(writer).output().unwrap();
    assert_eq!((closed.status.code(), text(&closed.stderr)), (Some(0), String::new()));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let full = place.sutazai(&place.settings(), &["config", "check"]).stdout(full).output().unwrap();
    assert_eq!(full.status.code(), Some(3));
    assert!(
        text(&full.stderr).starts_with("sutazai: standard output: cannot be written"),
        "{}",
        text(&full.stderr)
    );
}

#[test]
fn config_check_validates_files_and_addresses() {
    let place = Place::new();
    let mut settings = place.settings();
    let none = place.path("none.gguf").display().to_string();
    settings.push(("DATABASE_URL".into(), "mysql://localhost/tasks".into()));
    settings.push(("MODEL_BACKENDS".into(), format!("llama-cpp={none}")));
    settings.push(("LOG_LEVEL".into(), "a=b=c".into()));
    settings.push(("REDIS_URL".into(), "rediss://localhost/0".into()));
    settings.push(("REDIS_CA_FILE".into(), place.path("none.pem").display().to_string()));
    let output = place.sutazai(&settings, &["config", "check"]).output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for wrong in [
        "DATABASE_URL: ",
        "LOG_LEVEL: expected a level",
        "REDIS_CA_FILE: cannot read",
        &format!("MODEL_BACKENDS: expected a GGUF model at {none}"),
    ] {
        assert!(errors.contains(wrong), "{wrong:?} in {errors}");
    }
}

#[test]
fn models_are_listed() {
    let place = Place::new();
    let none = place.run(&["models", "list"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).contains("MODEL_BACKENDS"), "{}", text(&none.stderr));
    let listed = place.sutazai(&place.with_model(), &["models", "list", "--json"]).output().unwrap();
    let models: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(models[0]["backend"], "llama-cpp");
    assert!(models[0]["size_bytes"].as_u64().unwrap() > 90_000_000, "{models}");
}

#[test]
fn watch_continues_until_interrupted() {
    let place = Place::new();
    let mut child = place
        .sutazai(&place.settings(), &["analyze", "--no-model", "--json", "--watch", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    for _ in 0..2 {
        let line = lines.next().unwrap().unwrap();
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
    }
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert!(child.wait().unwrap().success());
}

#[test]
fn openapi_document_is_printed_without_a_server() {
    let output = Place::new().run(&["openapi"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["paths"]["/api/v1/system/metrics/history"].is_object());
    assert!(document["components"]["schemas"]["Analysis"]["properties"]["checked"].is_object());
}

#[test]
fn help_has_examples() {
    for arguments in [
        &["--help"][..],
        &["analyze", "--help"],
        &["serve", "--help"],
        &["openapi", "--help"],
        &["admin", "create-user", "--help"],
    ] {
        let output = Place::new().run(arguments);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("Examples:"), "{arguments:?}");
    }
}
