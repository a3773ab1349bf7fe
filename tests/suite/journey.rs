//! A user's journey through the real server: register, sign in, analyze, follow the events, read the result.

use std::time::Duration;

use futures::StreamExt;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::support::{Place, Server};

async fn register(client: &Client, server: &Server, name: &str) -> String {
    let body = json!({ "username": name, "email": format!("{name}@example.org"), "password": "correct horse battery" });
    let answer = client.post(server.url("/api/v1/auth/register")).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["status"], "success");
    answer["data"]["access_token"].as_str().unwrap().to_owned()
}

async fn get(client: &Client, server: &Server, token: &str, path: &str) -> (StatusCode, Value) {
    let answer = client.get(server.url(path)).bearer_auth(token).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

/// Reads the event stream of a task to its end; returns the names and data of its events.
async fn events(client: &Client, server: &Server, token: &str, task: &str) -> Vec<(String, Value)> {
    let url = server.url(&format!("/api/v1/tasks/{task}/events"));
    let answer = client.get(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut bytes = answer.bytes_stream();
    let mut text = String::new();
    while let Some(piece) = bytes.next().await {
        text.push_str(&String::from_utf8_lossy(&piece.unwrap()));
    }
    let field = |block: &str, name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    text.split("\n\n")
        .filter_map(|block| {
            Some((field(block, "event:")?, serde_json::from_str(&field(block, "data:")?).unwrap()))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_registration_to_recommendations() {
    let place = Place::new();
    let mut server = Server::start(&place, &place.with_model());
    let client = Client::new();
    let token = register(&client, &server, "ada").await;
    let (status, me) = get(&client, &server, &token, "/api/v1/auth/me").await;
    assert_eq!((status, me["data"]["username"].as_str()), (StatusCode::OK, Some("ada")));

    let begun = client
        .post(server.url("/api/v1/agents/hardware-optimizer/analyze"))
        .bearer_auth(&token)
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(begun.status(), StatusCode::ACCEPTED);
    let begun: Value = begun.json().await.unwrap();
    let task = begun["data"]["task_id"].as_str().unwrap().to_owned();

    let seen = events(&client, &server, &token, &task).await;
    let sequences: Vec<u64> = seen.iter().map(|(_, event)| event["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>());
    assert_eq!(seen.first().unwrap().1["status"], "pending");
    assert_eq!(seen.last().unwrap().1["status"], "completed");
    assert!(seen.iter().any(|(name, _)| name == "progress"), "{seen:?}");

    let (_, done) = get(&client, &server, &token, &format!("/api/v1/tasks/{task}")).await;
    let result = &done["data"]["result"];
    assert_eq!(result["metrics"]["host"]["status"], "present");
    let texts = result["grounding"]["texts"].as_array().unwrap();
    assert_eq!(texts.len(), result["recommendations"].as_array().unwrap().len());
    let found: Vec<&Value> =
        seen.iter().filter(|(name, _)| name == "findings").map(|(_, event)| &event["findings"]).collect();
    assert_eq!(found, [&result["findings"]], "the findings are an event of their own");
    let (_, rules) = get(&client, &server, &token, "/api/v1/agents/hardware-optimizer/rules").await;
    let names = |list: &Value, key: &str| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|one| one[key].clone()).collect()
    };
    assert_eq!(names(&result["checked"], "rule"), names(&rules["data"]["items"], "id"));

    let other_user = register(&client, &server, "eve").await;
    let (status, _) = get(&client, &server, &other_user, &format!("/api/v1/tasks/{task}")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    server.signal("TERM");
    assert_eq!(server.ended_within(Duration::from_secs(15)), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn submitted_tasks_survive_kill_9_of_the_server() {
    let place = Place::new();
    let settings = place.settings();
    let mut server = Server::start(&place, &settings);
    let client = Client::new();
    let token = register(&client, &server, "ada").await;
    let mut tasks = Vec::new();
    for _ in 0..5 {
        let url = server.url("/api/v1/agents/hardware-optimizer/analyze");
        let answer =
            client.post(url).bearer_auth(&token).json(&json!({ "use_model": false })).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        tasks.push(answer["data"]["task_id"].as_str().unwrap().to_owned());
    }
    server.signal("KILL");
    assert_eq!(server.ended_within(Duration::from_secs(5)), None);

    let server = Server::start(&place, &settings);
    for task in tasks {
        let seen = events(&client, &server, &token, &task).await;
        let ends = seen.iter().filter(|(_, event)| event["status"] == "completed").count();
        assert_eq!(ends, 1, "{seen:?}");
    }
}
