//! Times that callers name: what no database keeps, and what nobody means, is refused by the name of its field.

use serde_json::json;

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
async fn times_far_from_now_are_refused() {
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
    assert_eq!(all["items"], json!([]), "nothing was added");
}
