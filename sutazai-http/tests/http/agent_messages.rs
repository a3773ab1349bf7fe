//! Messages between agents about a task.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::support::{Server, names, success};

#[tokio::test]
async fn agent_messages_are_paged_in_order() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let parent = ada.submit("split").await;
    assert_eq!(ada.ended(&parent).await["status"], "completed");
    let path = format!("/api/v1/tasks/{parent}/messages");
    let whole = success(ada.get(&path).await, 200).await;
    assert_eq!(whole["next_cursor"], Value::Null);
    let messages = whole["items"].as_array().unwrap().clone();
    let modes = ["echo", "refuse", "break"];
    let mut answers = HashMap::new();
    for (index, message) in messages.iter().enumerate() {
        assert_eq!(message["task_id"], parent.as_str());
        assert_eq!((&message["source"], &message["target"]), (&json!("worker"), &json!("worker")));
        assert_eq!(message.as_object().unwrap().len(), 8, "{message}");
        match modes.get(index) {
            Some(mode) => {
                assert_eq!(message["type"], "TASK");
                assert_eq!(message["payload"], json!({ "mode": mode, "text": "part" }));
            }
            None => drop(answers.insert(message["correlation_id"].to_string(), message.clone())),
        }
    }
    assert_eq!((messages.len(), answers.len()), (6, 3), "each child must send one result");
    let answer = |index: usize| {
        let answer = &answers[&messages[index]["correlation_id"].to_string()];
        (answer["type"].as_str().unwrap(), &answer["payload"])
    };
    assert_eq!(answer(0), ("RESULT", &json!({ "echo": "part" })));
    assert_eq!((answer(1).0, &answer(1).1["kind"]), ("ERROR", &json!("invalid_input")));
    let internal = json!({ "kind": "internal", "message": "the agent failed; the log has more" });
    assert_eq!(answer(2), ("ERROR", &internal));

    let child = messages[0]["correlation_id"].as_str().unwrap();
    let of_child = success(ada.get(&format!("/api/v1/tasks/{child}/messages")).await, 200).await;
    assert_eq!(of_child["items"].as_array().unwrap().len(), 2);

    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = success(ada.get(&format!("{path}?limit=4{cursor}")).await, 200).await;
        seen.extend(page["items"].as_array().unwrap().clone());
        match &page["next_cursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            end => break assert_eq!(end, &Value::Null),
        }
    }
    assert_eq!(seen, messages);

    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=00000000000000000000000000000001", "cursor"),
        ("cursor=000000000000000F", "cursor"),
        ("after=1", "after"),
    ] {
        names(ada.get(&format!("{path}?{query}")).await, 422, "invalid_input", field).await;
    }
}

#[tokio::test]
async fn task_without_children_has_no_agent_messages() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let alone = ada.submit("echo").await;
    ada.ended(&alone).await;
    let none = success(ada.get(&format!("/api/v1/tasks/{alone}/messages")).await, 200).await;
    assert_eq!(none, json!({ "items": [], "next_cursor": null }));
}
