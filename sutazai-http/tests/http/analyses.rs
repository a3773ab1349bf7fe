//! Analyses as tasks: one at a time for each user, their place in the queue, the numbers of their findings, and the names
//! of their owners.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Value, json};
use sutazai_core::Result;
use sutazai_core::domain::{AgentDescriptor, Caller, Step, UserRole};
use sutazai_core::engine::Engine;
use sutazai_core::memory::MemoryTaskStore;
use sutazai_core::ports::{Agent, AgentContext, Clock, SystemClock};
use sutazai_http::{App, ServerConfig};

use crate::support::{PASSWORD, Server, User, failure, identity, success};

const ANALYZE: &str = "/api/v1/agents/hardware-optimizer/analyze";

/// Agent whose analyses have three findings.
#[derive(Debug)]
struct Analyst;

#[async_trait]
impl Agent for Analyst {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("hardware-optimizer", "Finds what it is told to find.")
            .input_schema(json!({ "type": "object" }))
    }

    async fn run(&self, _: &AgentContext) -> Result<Step> {
        let findings = ["critical", "info", "info"].map(|severity| json!({ "severity": severity }));
        Ok(Step::Done(json!({ "priority_level": "critical", "findings": findings })))
    }
}

/// Starts a server that runs this number of analyses at once.
async fn server(workers: usize) -> Server {
    let identity = identity();
    let engine = Engine::builder().task_store(Arc::new(MemoryTaskStore::new())).agent(Arc::new(Analyst));
    let engine = engine.workers(workers).identity(identity.clone()).start().await.unwrap();
    Server::of_users(App::new(engine), identity, ServerConfig::default()).await
}

async fn analyze(user: &User<'_>, body: Value) -> String {
    let accepted = success(user.post(ANALYZE, &body).await, 202).await;
    assert_eq!(accepted["task_id"], accepted["task"]["id"]);
    accepted["task_id"].as_str().unwrap().to_owned()
}

async fn submit(user: &User<'_>, more: Value) -> String {
    let mut body = json!({ "agent": "hardware-optimizer" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let task = success(user.post("/api/v1/tasks", &body).await, 202).await;
    task["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn user_has_one_analysis_at_a_time() {
    let server = server(0).await;
    let [ada, eve] = [server.user("ada").await, server.user("eve").await];
    let first = analyze(&ada, json!({})).await;
    assert_eq!(analyze(&ada, json!({ "use_model": false })).await, first, "the first one has not ended");
    assert_ne!(analyze(&eve, json!({})).await, first, "another user has another analysis");
    let cancel = format!("/api/v1/tasks/{first}/cancel");
    success(ada.request(Method::POST, &cancel).send().await.unwrap(), 200).await;
    assert_ne!(analyze(&ada, json!({})).await, first);
}

#[tokio::test]
async fn waiting_task_names_the_tasks_that_run_first() {
    let server = server(0).await;
    let [ada, eve] = [server.user("ada").await, server.user("eve").await];
    let first = submit(&ada, json!({})).await;
    let second = submit(&ada, json!({})).await;
    let urgent = submit(&ada, json!({ "priority": 9 })).await;
    let later = (SystemClock.now() + Duration::from_secs(86_400)).to_rfc3339();
    let later = submit(&ada, json!({ "run_at": later })).await;
    let theirs = submit(&eve, json!({ "priority": 0 })).await;
    for (user, id, ahead) in [
        (&ada, &urgent, json!(0)),
        (&ada, &first, json!(1)),
        (&ada, &second, json!(2)),
        (&ada, &later, Value::Null),
        (&eve, &theirs, json!(0)),
    ] {
        assert_eq!(user.task(id).await["tasks_ahead"], ahead, "{id}");
    }
    success(ada.request(Method::POST, &format!("/api/v1/tasks/{urgent}/cancel")).send().await.unwrap(), 200)
        .await;
    assert_eq!(ada.task(&second).await["tasks_ahead"], 1);
    assert_eq!(ada.task(&urgent).await["tasks_ahead"], Value::Null, "it has ended");
    failure(eve.get(&format!("/api/v1/tasks/{first}")).await, 404, "not_found").await;
}

#[tokio::test]
async fn findings_are_counted_by_severity() {
    let server = server(1).await;
    let ada = server.user("ada").await;
    let id = analyze(&ada, json!({})).await;
    let task = ada.ended(&id).await;
    let counts = json!({ "critical": 1, "warning": 0, "info": 2 });
    assert_eq!((&task["findings"], &task["priority_level"]), (&counts, &json!("critical")));
    let listed = success(ada.get("/api/v1/tasks").await, 200).await;
    assert_eq!(listed["items"][0]["findings"], counts);
}

#[tokio::test]
async fn only_admins_see_the_names_of_owners() {
    let server = server(0).await;
    let [ada, root] = [server.user("ada").await, server.user("root_1").await];
    let id = root.signed_in["user"]["id"].as_str().unwrap().parse().unwrap();
    server.identity.set_role(&Caller::System, id, UserRole::Admin).await.unwrap();
    let signed_in = server.identity.login("root_1", PASSWORD, None).await.unwrap();
    let root = User { token: signed_in.access_token, ..root };
    let (mine, theirs) = (submit(&root, json!({})).await, submit(&ada, json!({})).await);
    let listed = success(root.get("/api/v1/tasks").await, 200).await;
    let names: Vec<&Value> =
        listed["items"].as_array().unwrap().iter().map(|task| &task["owner_name"]).collect();
    assert_eq!(names, ["ada", "root_1"]);
    for (id, name) in [(&mine, "root_1"), (&theirs, "ada")] {
        assert_eq!(root.task(id).await["owner_name"], name);
    }
    assert_eq!(ada.task(&theirs).await["owner_name"], Value::Null);
    let listed = success(ada.get("/api/v1/tasks").await, 200).await;
    assert_eq!(listed["items"][0]["owner_name"], Value::Null);
}
