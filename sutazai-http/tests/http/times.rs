//! Times in requests: those that no database can store, and absurd ones, are rejected by the name of their field.

use chrono::TimeDelta;
use serde_json::json;
use sutazai_core::ports::{Clock, SystemClock};

use crate::support::{Server, names, success};

const EXTREMES: [&str; 6] = [
    "-4713-11-24T00:00:00Z",
    "-262143-01-01T00:00:00Z",
    "+262142-12-31T23:59:59Z",
    "1969-12-31T23:59:59Z",
    "9999-12-31T23:59:59Z",
    "2020-01-01T00:00:00Z",
];

#[tokio::test]
async fn times_far_from_now_are_rejected() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for time in EXTREMES {
        let task = json!({
            "agent": "worker", "payload": { "mode": "echo" }, "priority": 9, "unique_key": "x", "run_at": time
        });
        names(ada.post("/api/v1/tasks", &task).await, 422, "invalid_input", "run_at").await;
        let key = json!({ "name": "x", "scopes": ["tasks:read"], "expires_at": time });
        names(ada.post("/api/v1/auth/api-keys", &key).await, 422, "invalid_input", "expires_at").await;
    }
    for time in EXTREMES {
        for field in ["created_after", "created_before"] {
            let path = format!("/api/v1/tasks?{field}={}", time.replace('+', "%2B"));
            let answer = ada.get(&path).await;
            match time.starts_with(['-', '+']) {
                // RFC 3339 has four digits for a year.
                true => names(answer, 422, "invalid_input", field).await,
                false => assert_eq!(success(answer, 200).await["items"], json!([]), "{path}"),
            };
        }
    }
    let all = success(ada.get("/api/v1/tasks").await, 200).await;
    assert_eq!(all["items"], json!([]), "a rejected request added a task");
}

#[tokio::test]
async fn time_is_returned_as_sent_or_rejected() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let day = (SystemClock.now() + TimeDelta::days(7)).format("%Y-%m-%d").to_string();
    let of_task = async |time: &str| {
        let body = json!({ "agent": "worker", "payload": { "mode": "echo" }, "run_at": time });
        ada.post("/api/v1/tasks", &body).await
    };
    let of_key = async |time: &str| {
        let body = json!({ "name": "x", "scopes": ["tasks:read"], "expires_at": time });
        ada.post("/api/v1/auth/api-keys", &body).await
    };
    for (sent, told) in [
        ("T01:02:03Z", "T01:02:03Z"),
        ("T01:02:03.5Z", "T01:02:03.500Z"),
        ("T01:02:03.000001Z", "T01:02:03.000001Z"),
        ("T01:02:03.999999000Z", "T01:02:03.999999Z"),
        ("T13:32:03.25+12:30", "T01:02:03.250Z"),
    ] {
        let (sent, told) = (format!("{day}{sent}"), format!("{day}{told}"));
        let task = success(of_task(&sent).await, 202).await;
        assert_eq!(task["run_at"], told);
        let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
        assert_eq!(success(ada.get(&path).await, 200).await["run_at"], told);
        assert_eq!(success(of_key(&sent).await, 201).await["expires_at"], told);
    }
    for bad in [
        format!("{day}T01:02:03.0000001Z"),
        format!("{day}T01:02:03.123456789Z"),
        format!("{day}T23:59:60Z"),
        format!("{day}T25:00:00Z"),
        format!("{day}T01:02:03"),
        day.clone(),
        "0001-01-01T00:00:00Z".into(),
        "0000-00-00T00:00:00Z".into(),
        "9999-12-31T23:59:59Z".into(),
        String::new(),
    ] {
        names(of_task(&bad).await, 422, "invalid_input", "run_at").await;
        names(of_key(&bad).await, 422, "invalid_input", "expires_at").await;
    }
    let finer = format!("/api/v1/tasks?created_after={day}T01:02:03.0000001Z");
    names(ada.get(&finer).await, 422, "invalid_input", "created_after").await;
}
