//! Lists of tasks: what an item has, how to search, whose tasks count, and changes of many tasks at once.

use futures::StreamExt;
use serde_json::{Value, json};
use sutazai_core::domain::{Caller, TaskId, UserRole};

use crate::support::{EventReader, Server, User, failure, names, success};

async fn list(user: &User<'_>, query: &str) -> Vec<Value> {
    let page = success(user.get(&format!("/api/v1/tasks?{query}")).await, 200).await;
    page["items"].as_array().unwrap().clone()
}

async fn ids(user: &User<'_>, query: &str) -> Vec<String> {
    list(user, query).await.iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect()
}

/// Submits a task with this title and waits until it has ended.
async fn titled(user: &User<'_>, mode: &str, title: &str) -> String {
    let body = json!({ "agent": "worker", "title": title, "payload": { "mode": mode, "text": "hello" } });
    let task = success(user.post("/api/v1/tasks", &body).await, 202).await;
    let id = task["id"].as_str().unwrap().to_owned();
    user.ended(&id).await;
    id
}

async fn batch(user: &User<'_>, action: &str, ids: &[&str]) -> Vec<Value> {
    let body = json!({ "action": action, "ids": ids });
    let data = success(user.post("/api/v1/tasks/batch", &body).await, 200).await;
    data["results"].as_array().unwrap().clone()
}

/// Signs in as an admin.
async fn admin<'s>(server: &'s Server) -> User<'s> {
    let user = server.user("root_1").await;
    let id = user.signed_in["user"]["id"].as_str().unwrap().parse().unwrap();
    server.identity.set_role(&Caller::System, id, UserRole::Admin).await.unwrap();
    let signed_in = server.identity.login("root_1", crate::support::PASSWORD, None).await.unwrap();
    User { server, token: signed_in.access_token, signed_in: user.signed_in }
}

#[tokio::test]
async fn items_have_neither_payload_nor_result() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let id = titled(&ada, "echo", "One").await;
    let whole = ada.task(&id).await;
    assert!(whole["payload"].is_object() && whole["result"].is_object(), "{whole}");
    let item = list(&ada, "").await.remove(0);
    let mut expected = whole.as_object().unwrap().clone();
    expected.remove("payload");
    expected.remove("result");
    expected.remove("tasks_ahead");
    assert_eq!(item, Value::Object(expected));
    assert_eq!(item["priority_level"], Value::Null);
}

#[tokio::test]
async fn list_is_searched_by_statuses_title_and_id() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let morning = titled(&ada, "echo", "Morning look").await;
    let evening = titled(&ada, "refuse", "Evening LOOK 100%").await;
    let other = titled(&ada, "echo", "Ärger").await;
    let all = [other.clone(), evening.clone(), morning.clone()];
    for (query, expected) in [
        ("status=completed,failed", &all[..]),
        ("status=failed", &all[1..2]),
        ("status=failed,pending", &all[1..2]),
        ("status=pending,cancelled", &[]),
        ("q=look", &all[1..]),
        ("q=LOOK&status=completed", &all[2..]),
        ("q=100%25", &all[1..2]),
        ("q=%25", &all[1..2]),
        ("q=_", &[]),
        ("q=%00", &[]),
        ("status=failed,failed", &all[1..2]),
        ("q=%C3%84rger", &all[..1]),
        ("q=", &all[..]),
        (&format!("q={evening}"), &all[1..2]),
        (&format!("q={}", evening.replace('-', "").to_uppercase()), &all[1..2]),
        (&format!("q={}", TaskId::new()), &[]),
        // Too short for an id.
        (&format!("q={}", &evening[..7]), &[]),
    ] {
        assert_eq!(ids(&ada, query).await, expected, "{query}");
    }
    assert!(ids(&ada, &format!("q={}", &evening[..13])).await.contains(&evening));
    let long = format!("q={}", "x".repeat(201));
    for (field, query) in [
        ("status", "status="),
        ("status", "status=failed,"),
        ("status", "status=done"),
        ("status", "status=failed&status=pending"),
        ("q", long.as_str()),
        ("owner", "owner=ada"),
    ] {
        let answer = ada.get(&format!("/api/v1/tasks?{query}")).await;
        names(answer, 422, "invalid_input", field).await;
    }
}

#[tokio::test]
async fn only_an_admin_may_ask_for_the_tasks_of_others() {
    let server = Server::start().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let [mine, theirs] = [titled(&ada, "echo", "a").await, titled(&eve, "refuse", "b").await];
    let root = admin(&server).await;
    let [ada_id, eve_id] = [&ada, &eve].map(|user| user.signed_in["user"]["id"].as_str().unwrap().to_owned());
    assert_eq!(ids(&ada, &format!("owner={ada_id}")).await, std::slice::from_ref(&mine));
    for path in ["/api/v1/tasks", "/api/v1/tasks/statistics"] {
        for unknown in [eve_id.as_str(), "0195f3a0-0000-7000-8000-000000000000"] {
            let answer = ada.get(&format!("{path}?owner={unknown}")).await;
            names(answer, 403, "forbidden", "owner").await;
        }
    }
    assert_eq!(ids(&root, &format!("owner={ada_id}")).await, [mine]);
    assert_eq!(ids(&root, &format!("owner={eve_id}")).await, [theirs]);
    assert_eq!(ids(&root, "").await.len(), 2);

    let count = async |user: &User<'_>, query: &str| {
        success(user.get(&format!("/api/v1/tasks/statistics{query}")).await, 200).await
    };
    let of = |completed: u64, failed: u64| {
        json!({
            "total": completed + failed,
            "by_status": { "pending": 0, "processing": 0, "completed": completed, "failed": failed, "cancelled": 0 },
        })
    };
    for (found, expected) in [
        (count(&ada, "").await, of(1, 0)),
        (count(&ada, &format!("?owner={ada_id}")).await, of(1, 0)),
        (count(&eve, "").await, of(0, 1)),
        (count(&root, "").await, of(1, 1)),
        (count(&root, &format!("?owner={eve_id}")).await, of(0, 1)),
    ] {
        assert_eq!((&found["total"], &found["by_status"]), (&expected["total"], &expected["by_status"]));
    }
    assert_eq!(count(&root, "").await["by_agent"], json!({ "worker": { "completed": 1, "failed": 1 } }));
}

#[tokio::test]
async fn batch_reports_what_became_of_each_task() {
    let server = Server::start().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let good = titled(&ada, "echo", "good").await;
    let bad = titled(&ada, "refuse", "bad").await;
    let foreign = titled(&eve, "refuse", "foreign").await;
    let unknown = TaskId::new().to_string();
    let running = ada.submit("gate").await;
    while ada.task(&running).await["status"] != "processing" {
        tokio::task::yield_now().await;
    }
    let codes = |results: &[Value]| -> Vec<String> {
        let code = |result: &Value| result["error"]["code"].as_str().unwrap_or("done").to_owned();
        results.iter().map(code).collect()
    };
    let all = [bad.as_str(), &good, &foreign, &unknown, &running];
    let retried = batch(&ada, "retry", &all).await;
    let named: Vec<&str> = retried.iter().map(|result| result["id"].as_str().unwrap()).collect();
    assert_eq!(named, all, "in the order of the ids");
    assert_eq!(codes(&retried), ["done", "conflict", "not_found", "not_found", "conflict"]);
    assert_eq!((&retried[0]["task"]["status"], &retried[0]["error"]), (&json!("pending"), &Value::Null));
    assert!(retried[0]["task"].get("payload").is_none());
    assert_eq!(retried[1]["task"], Value::Null);
    ada.ended(&bad).await;
    assert_eq!(ada.task(&bad).await["attempt"], 2);
    assert_eq!(eve.task(&foreign).await["attempt"], 1);

    let cancelled = batch(&ada, "cancel", &all).await;
    assert_eq!(codes(&cancelled), ["conflict", "conflict", "not_found", "not_found", "done"]);
    ada.ended(&running).await;
    let deleted = batch(&ada, "delete", &all).await;
    assert_eq!(codes(&deleted), ["done", "done", "not_found", "not_found", "done"]);
    assert_eq!(deleted[0], json!({ "id": bad, "task": null, "error": null }));
    assert_eq!(ids(&ada, "").await, [""; 0]);
    assert_eq!(ids(&eve, "").await, [foreign]);
}

#[tokio::test]
async fn invalid_batch_changes_nothing() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let id = titled(&ada, "echo", "a").await;
    let many: Vec<String> = (0..101).map(|_| TaskId::new().to_string()).collect();
    for (field, body) in [
        ("ids", json!({ "action": "delete", "ids": [] })),
        ("ids", json!({ "action": "delete", "ids": many })),
        ("ids", json!({ "action": "delete", "ids": [id, id] })),
        ("ids[1]", json!({ "action": "delete", "ids": [id, "x"] })),
        ("action", json!({ "action": "purge", "ids": [id] })),
        ("action", json!({ "ids": [id] })),
        ("status", json!({ "action": "delete", "ids": [id], "status": "failed" })),
    ] {
        names(ada.post("/api/v1/tasks/batch", &body).await, 422, "invalid_input", field).await;
    }
    assert_eq!(ids(&ada, "").await, [id]);
    let nobody = server.request(reqwest::Method::POST, "/api/v1/tasks/batch");
    failure(
        nobody.json(&json!({ "action": "delete", "ids": many })).send().await.unwrap(),
        401,
        "unauthenticated",
    )
    .await;
}

#[tokio::test]
async fn event_stream_is_filtered_by_type() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let gated = ada.submit("gate").await;
    let flood = ada.submit("flood").await;
    ada.ended(&flood).await;
    server.open_gate();
    ada.ended(&gated).await;
    let follow =
        async |types: &str| EventReader::new(ada.get(&format!("/api/v1/events?after=0{types}")).await);
    let mut kinds = Vec::new();
    let (mut all, mut ends) = (follow("").await, 0);
    while ends < 2 {
        let event = all.next().await.unwrap();
        ends += usize::from(event.data["status"] == "completed");
        kinds.push((event.id, event.name));
    }
    for types in ["progress", "text", "status", "status,progress", "text,status,progress"] {
        let wanted: Vec<_> =
            kinds.iter().filter(|(_, name)| types.split(',').any(|one| one == name)).collect();
        assert!(!wanted.is_empty(), "{types}: {kinds:?}");
        let mut selected = follow(&format!("&types={types}")).await;
        for (id, name) in wanted {
            let event = selected.next().await.unwrap();
            assert_eq!((event.id, &event.name), (*id, name), "{types}");
        }
    }
    for bad in ["", "status,", "all"] {
        let answer = ada.get(&format!("/api/v1/events?types={bad}")).await;
        names(answer, 422, "invalid_input", "types").await;
    }
}

#[tokio::test]
async fn filtered_stream_tells_how_far_it_is() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for _ in 0..34 {
        let id = ada.submit("echo").await;
        ada.ended(&id).await;
    }
    let answer = ada.get("/api/v1/events?after=0&types=text").await;
    let (mut bytes, mut text) = (answer.bytes_stream(), String::new());
    let read = async {
        while text.matches("id:").count() < 2 {
            text.push_str(std::str::from_utf8(&bytes.next().await.unwrap().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(crate::support::HANG_LIMIT, read).await.unwrap();
    assert!(!text.contains("event:") && !text.contains("data:"), "{text}");
    let last = text.rsplit("id:").next().unwrap().trim();
    let mut rest = EventReader::new(ada.get(&format!("/api/v1/events?after={last}")).await);
    for _ in 0..2 {
        rest.next().await.unwrap();
    }
    ada.submit("echo").await;
    assert_eq!(rest.next().await.unwrap().data["status"], "pending", "102 events, and 100 were left out");
}
