//! Permissions that a task requires: of its submitter, of whoever retries it, and of its owner when it is retried or
//! fires.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use sutazai_core::domain::{
    AccessPolicy, AgentDescriptor, ApiKeyId, Caller, MissedRuns, NewSchedule, NewTask, OverlapPolicy,
    Permission, Scope, Step, Task, TaskStatus, UserChange, UserId, UserRole,
};
use sutazai_core::memory::{MemoryIdentityStore, MemoryScheduleStore, MemoryTaskStore};
use sutazai_core::ports::{Agent, AgentContext, Clock, IdentityStore};
use sutazai_core::testing::{ScriptedModelBackend, identity_store};
use sutazai_core::{Error, ErrorKind, Result};

use super::stage::{ME, Stage, settle};

/// Requires the permissions that its payload names, reports what it was given, and fails or waits for a child on
/// request.
#[derive(Debug)]
struct Guarded;

#[async_trait]
impl Agent for Guarded {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("guarded", "Tells what it was given.").capabilities(["testing"])
    }

    fn permissions(&self, payload: &Value) -> Vec<Permission> {
        let named = payload["needs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let named = named.map(|name| match name {
            "models" => Permission::UseModels,
            "metrics" => Permission::ReadMetrics,
            _ => Permission::Administer,
        });
        [Permission::WriteTasks].into_iter().chain(named).collect()
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        let payload = &context.task.payload;
        if let (Some(child), true) = (payload.get("child"), context.children.is_empty()) {
            return Ok(Step::wait_for_all(vec![NewTask::new("guarded", child.clone())], Value::Null));
        }
        if payload["fail"] == true {
            return Err(Error::invalid("fail", "expected something else"));
        }
        Ok(Step::Done(json!({ "model": context.model.is_some() })))
    }
}

struct Users {
    stage: Stage,
    store: Arc<MemoryIdentityStore>,
}

impl Users {
    fn new(access: AccessPolicy) -> Self {
        let store = Arc::new(MemoryIdentityStore::new());
        let (tasks, users) = (Arc::new(MemoryTaskStore::new()), store.clone());
        let stage = Stage::build(tasks.clone(), tasks, 1, |builder| {
            let builder =
                builder.agent(Arc::new(Guarded)).model(Arc::new(ScriptedModelBackend::new(["yes"; 0])));
            builder.identity_store(users).access(access).schedule_store(Arc::new(MemoryScheduleStore::new()))
        });
        Self { stage, store }
    }

    async fn user(&self, name: &str, role: UserRole) -> (UserId, Caller) {
        let mut user = identity_store::user_named(name);
        user.role = role;
        self.store.create_user(&user).await.unwrap();
        (user.id, Caller::User { id: user.id, role })
    }

    async fn role(&self, id: UserId, role: UserRole) {
        self.store.change_user(id, &UserChange::Role(role), self.stage.clock.now()).await.unwrap();
    }

    async fn submit(&self, caller: &Caller, payload: Value) -> Result<Task> {
        self.stage.engine.submit_as(caller, NewTask::new("guarded", payload)).await
    }

    async fn ended(&self, caller: &Caller, payload: Value) -> Task {
        let task = self.submit(caller, payload).await.unwrap();
        self.stage.until_ended(&task).await
    }
}

fn key_of(user: UserId, scopes: &[Scope]) -> Caller {
    Caller::Key { id: ApiKeyId::new(), user, scopes: scopes.to_vec(), requests_per_minute: None }
}

fn kind<T: std::fmt::Debug>(outcome: Result<T>) -> ErrorKind {
    outcome.unwrap_err().kind()
}

#[tokio::test]
async fn api_key_submits_only_what_its_scopes_allow() {
    let users = Users::new(AccessPolicy::default());
    let (ada, _) = users.user("ada", UserRole::User).await;
    for (needs, scopes, allowed) in [
        (json!([]), vec![Scope::TasksWrite], true),
        (json!(["metrics"]), vec![Scope::TasksWrite], false),
        (json!(["models"]), vec![Scope::TasksWrite, Scope::MetricsRead], false),
        (json!(["models", "metrics"]), vec![Scope::TasksWrite, Scope::MetricsRead, Scope::ModelsUse], true),
        (json!(["metrics"]), vec![Scope::MetricsRead], false),
    ] {
        let outcome = users.submit(&key_of(ada, &scopes), json!({ "needs": needs })).await;
        match allowed {
            true => drop(outcome.unwrap()),
            false => assert_eq!(kind(outcome), ErrorKind::Forbidden, "{needs} with {scopes:?}"),
        }
    }
}

#[tokio::test]
async fn users_need_the_metrics_permission_of_the_policy() {
    let users = Users::new(AccessPolicy { users_read_metrics: false });
    let (_, ada) = users.user("ada", UserRole::User).await;
    let (_, admin) = users.user("root_1", UserRole::Admin).await;
    let measured = json!({ "needs": ["metrics"] });
    assert_eq!(kind(users.submit(&ada, measured.clone()).await), ErrorKind::Forbidden);
    users.submit(&admin, measured).await.unwrap();
}

#[tokio::test]
async fn agent_gets_only_the_permissions_that_it_names() {
    let users = Users::new(AccessPolicy::default());
    users.stage.engine.start().await.unwrap();
    for (needs, model) in [(json!([]), false), (json!(["models"]), true)] {
        let task = users.ended(&ME, json!({ "needs": needs })).await;
        assert_eq!(task.result.unwrap()["model"], model);
    }
    let child = json!({ "needs": ["models"] });
    let task = users.ended(&ME, json!({ "child": child })).await;
    assert_eq!(task.error.unwrap().kind, ErrorKind::Forbidden, "its child needs more than it names");
    let task = users.ended(&ME, json!({ "needs": ["models"], "child": child })).await;
    assert_eq!(task.status, TaskStatus::Completed);
}

#[tokio::test]
async fn retry_checks_current_permissions_of_caller_and_owner() {
    let users = Users::new(AccessPolicy::default());
    let engine = &users.stage.engine;
    engine.start().await.unwrap();
    let (ada, as_admin) = users.user("ada", UserRole::Admin).await;
    let (_, other_admin) = users.user("root_1", UserRole::Admin).await;
    let failed = users.ended(&as_admin, json!({ "needs": ["admin"], "fail": true })).await;
    assert_eq!(failed.status, TaskStatus::Failed);
    assert_eq!(kind(engine.retry(&key_of(ada, &Scope::ALL), failed.id).await), ErrorKind::Forbidden);

    users.role(ada, UserRole::User).await;
    let as_user = Caller::User { id: ada, role: UserRole::User };
    for caller in [&as_user, &other_admin, &ME] {
        assert_eq!(kind(engine.retry(caller, failed.id).await), ErrorKind::Forbidden);
    }
    assert_eq!(engine.retry_failed(&ME, None).await.unwrap(), 0, "passed over, and no error");

    users.role(ada, UserRole::Admin).await;
    let disable = |disabled| UserChange::Disabled(disabled);
    users.store.change_user(ada, &disable(true), users.stage.clock.now()).await.unwrap();
    assert_eq!(kind(engine.retry(&ME, failed.id).await), ErrorKind::Forbidden);
    users.store.change_user(ada, &disable(false), users.stage.clock.now()).await.unwrap();
    engine.retry(&as_admin, failed.id).await.unwrap();
}

#[tokio::test]
async fn schedule_fires_with_current_permissions_of_its_owner() {
    let users = Users::new(AccessPolicy::default());
    users.user("root_1", UserRole::Admin).await;
    let (ada, as_admin) = users.user("ada", UserRole::Admin).await;
    let schedules = users.stage.engine.schedules().unwrap();
    let plan = NewSchedule {
        name: "hourly".into(),
        agent: "guarded".into(),
        payload: json!({ "needs": ["admin"] }),
        priority: 5,
        cron: "0 * * * *".into(),
        time_zone: "UTC".into(),
        missed_runs: MissedRuns::Skip,
        overlap_policy: OverlapPolicy::Allow,
        enabled: true,
    };
    schedules.create(&as_admin, plan).await.unwrap();
    users.stage.engine.start().await.unwrap();
    let mut fired = Vec::new();
    for role in [UserRole::Admin, UserRole::User, UserRole::Admin] {
        users.role(ada, role).await;
        for _ in 0..60 {
            users.stage.clock.advance(std::time::Duration::from_secs(60));
            settle().await;
        }
        fired.push(
            users
                .stage
                .engine
                .statistics(&Caller::System, None)
                .await
                .unwrap()
                .counts
                .iter()
                .map(|c| c.count)
                .sum::<u64>(),
        );
    }
    assert_eq!(fired, [1, 1, 2]);
}
