//! Accounts: registration, the lifetime of sessions and keys, quotas, and the deletion of a user with all
//! their data.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sutazai_core::chat::Chat;
use sutazai_core::documents::Documents;
use sutazai_core::domain::{
    AccessPolicy, AgentDescriptor, Caller, DocumentQuota, MessageQuota, NewUser, Step, UserRole,
};
use sutazai_core::engine::Engine;
use sutazai_core::identity::{Client, Identity, IdentityConfig, UserData};
use sutazai_core::memory::{
    MemoryApiKeyStore, MemoryConversationStore, MemoryDocumentStore, MemoryIdentityStore,
    MemoryScheduleStore, MemoryTaskStore,
};
use sutazai_core::ports::{Agent, AgentContext, Clock, IdentityStore, TaskRecords};
use sutazai_core::testing::{ManualClock, ScriptedModelBackend};
use sutazai_core::{ErrorKind, Result};
use sutazai_http::auth::{Argon2Cost, Argon2PasswordHasher, JwtTokenSigner};
use sutazai_http::{App, ServerConfig};

use crate::support::{PASSWORD, SECRET, Server, User, failure, names, success};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Agent whose tasks stay pending, because the engine is not started.
#[derive(Debug)]
struct Worker;

#[async_trait]
impl Agent for Worker {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("worker", "Does nothing.").capabilities(["testing"])
    }

    async fn run(&self, _: &AgentContext) -> Result<Step> {
        Ok(Step::Done(json!({})))
    }
}

/// A server with all stores in memory, quotas, and an admin `root_1`.
struct Place {
    server: Server,
    clock: Arc<ManualClock>,
    tasks: Arc<MemoryTaskStore>,
    users: Arc<MemoryIdentityStore>,
}

impl Place {
    async fn new(config: IdentityConfig) -> Self {
        let clock = Arc::new(ManualClock::new());
        let (tasks, users) = (Arc::new(MemoryTaskStore::new()), Arc::new(MemoryIdentityStore::new()));
        let data = UserData {
            tasks: tasks.clone(),
            schedules: Arc::new(MemoryScheduleStore::new()),
            conversations: Arc::new(MemoryConversationStore::new()),
            documents: Arc::new(MemoryDocumentStore::new()),
        };
        let cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
        let identity = Identity::new(
            users.clone(),
            Arc::new(MemoryApiKeyStore::new()),
            Arc::new(Argon2PasswordHasher::new(cost).unwrap()),
            Arc::new(JwtTokenSigner::new(SECRET).unwrap()),
            clock.clone(),
            config,
        );
        let identity = identity.data(data.clone());
        let engine = Engine::builder()
            .task_store(tasks.clone())
            .identity(identity.clone())
            .schedule_store(data.schedules)
            .access(config.access)
            .max_pending_per_owner(3)
            .clock(clock.clone())
            .agent(Arc::new(Worker))
            .model(Arc::new(ScriptedModelBackend::replying(|_| "Yes.")))
            .build()
            .unwrap();
        let app = App::new(engine.clone())
            .chat(
                Chat::new(data.conversations, engine.clone())
                    .max_conversations_per_user(2)
                    .message_quota_per_user(MessageQuota { messages: 3, bytes: 100 }),
            )
            .documents(
                Documents::new(data.documents, clock.clone())
                    .quota_per_user(DocumentQuota { documents: 2, bytes: 20 }),
            );
        let server = Server::of_users(app, identity, ServerConfig::default()).await;
        let place = Self { server, clock, tasks, users };
        let new = NewUser {
            username: "root_1".into(),
            email: "root_1@example.org".into(),
            password: PASSWORD.into(),
        };
        place.server.identity.create_user(new, UserRole::Admin).await.unwrap();
        place
    }

    async fn sign_in(&self, name: &str) -> User<'_> {
        let body = json!({ "login": name, "password": PASSWORD });
        let answer =
            self.server.request(Method::POST, "/api/v1/auth/login").json(&body).send().await.unwrap();
        let data = success(answer, 200).await;
        User { server: &self.server, token: data["access_token"].as_str().unwrap().into(), signed_in: data }
    }

    async fn register(&self, name: &str, invitation: Option<&str>) -> Response {
        let mut body =
            json!({ "username": name, "email": format!("{name}@example.org"), "password": PASSWORD });
        if let Some(invitation) = invitation {
            body["invitation"] = invitation.into();
        }
        self.server.request(Method::POST, "/api/v1/auth/register").json(&body).send().await.unwrap()
    }

    async fn refresh(&self, token: &str) -> Response {
        let body = json!({ "refresh_token": token });
        self.server.request(Method::POST, "/api/v1/auth/refresh").json(&body).send().await.unwrap()
    }
}

async fn delete(user: &User<'_>, path: &str, body: &Value) -> Response {
    user.request(Method::DELETE, path).json(body).send().await.unwrap()
}

fn key(name: &str) -> Value {
    json!({ "name": name, "scopes": ["tasks:read"] })
}

#[tokio::test]
async fn invitation_registers_one_user_while_registration_is_closed() {
    let place = Place::new(IdentityConfig { open_registration: false, ..IdentityConfig::default() }).await;
    names(place.register("ada", None).await, 403, "forbidden", "invitation").await;
    names(place.register("ada", Some("sutazai_invite_00")).await, 403, "forbidden", "invitation").await;
    let root = place.sign_in("root_1").await;
    let invite = async |body: Value| success(root.post("/api/v1/admin/invitations", &body).await, 201).await;
    let made = invite(json!({ "hours": 2 })).await;
    let text = made["invitation"].as_str().unwrap();
    let listed = success(root.get("/api/v1/admin/invitations").await, 200).await;
    assert_eq!(listed["items"][0]["id"], made["id"]);
    assert!(!listed.to_string().contains(text), "{listed}");
    let data = success(place.register("ada", Some(text)).await, 201).await;
    assert_eq!(data["user"]["role"], "user");
    names(place.register("eve", Some(text)).await, 403, "forbidden", "invitation").await;

    let late = invite(json!({ "hours": 1 })).await;
    let taken_back = invite(json!({})).await;
    let path = format!("/api/v1/admin/invitations/{}", taken_back["id"].as_str().unwrap());
    success(delete(&root, &path, &Value::Null).await, 200).await;
    failure(delete(&root, &path, &Value::Null).await, 404, "not_found").await;
    place.clock.advance(60 * MINUTE);
    let root = place.sign_in("root_1").await;
    for gone in [late, taken_back] {
        let gone = gone["invitation"].as_str().unwrap();
        names(place.register("eve", Some(gone)).await, 403, "forbidden", "invitation").await;
    }
    for hours in [json!(0), json!(721)] {
        let refused = root.post("/api/v1/admin/invitations", &json!({ "hours": hours })).await;
        names(refused, 422, "invalid_input", "hours").await;
    }
    let ada = place.sign_in("ada").await;
    failure(ada.post("/api/v1/admin/invitations", &json!({})).await, 403, "forbidden").await;
}

#[tokio::test]
async fn metrics_are_for_admins_where_the_policy_says_so() {
    let access = AccessPolicy { users_read_metrics: false };
    let place = Place::new(IdentityConfig { access, ..IdentityConfig::default() }).await;
    success(place.register("ada", None).await, 201).await;
    let (ada, root) = (place.sign_in("ada").await, place.sign_in("root_1").await);
    for path in ["", "/history?series=a", "/series"] {
        failure(ada.get(&format!("/api/v1/system/metrics{path}")).await, 403, "forbidden").await;
    }
    success(root.get("/api/v1/system/metrics").await, 200).await;
    let body = json!({ "name": "x", "scopes": ["tasks:read", "metrics:read"] });
    names(ada.post("/api/v1/auth/api-keys", &body).await, 422, "invalid_input", "scopes").await;
    // A key loses the permissions of an admin when its user does.
    let made = success(root.post("/api/v1/auth/api-keys", &body).await, 201).await;
    let ask = async || {
        let request = place.server.request(Method::GET, "/api/v1/system/metrics");
        request.header("x-api-key", made["key"].as_str().unwrap()).send().await.unwrap()
    };
    success(ask().await, 200).await;
    let id = |user: &User<'_>| user.signed_in["user"]["id"].as_str().unwrap().parse().unwrap();
    place.server.identity.set_role(&Caller::System, id(&ada), UserRole::Admin).await.unwrap();
    place.server.identity.set_role(&Caller::System, id(&root), UserRole::User).await.unwrap();
    failure(ask().await, 403, "forbidden").await;
}

#[tokio::test]
async fn api_key_creation_requires_the_password_after_an_old_sign_in() {
    let place = Place::new(IdentityConfig::default()).await;
    success(place.register("ada", None).await, 201).await;
    let ada = place.sign_in("ada").await;
    let make = async |body: Value| ada.post("/api/v1/auth/api-keys", &body).await;
    success(make(key("fresh")).await, 201).await;
    place.clock.advance(5 * MINUTE);
    names(make(key("stolen")).await, 403, "forbidden", "password").await;
    let mut with_password = key("with a password");
    with_password["password"] = "wrong password".into();
    names(make(with_password.clone()).await, 403, "forbidden", "password").await;
    with_password["password"] = PASSWORD.into();
    success(make(with_password).await, 201).await;
}

#[tokio::test]
async fn new_password_revokes_the_keys_unless_they_are_kept() {
    let place = Place::new(IdentityConfig::default()).await;
    success(place.register("ada", None).await, 201).await;
    let ada = place.sign_in("ada").await;
    let mut current = PASSWORD.to_owned();
    for (revoke, revoked) in [(json!(false), 0), (Value::Null, 1)] {
        let made = success(ada.post("/api/v1/auth/api-keys", &key("x")).await, 201).await;
        let new = format!("{current} again");
        let mut body = json!({ "current_password": current, "new_password": new });
        if revoke == json!(false) {
            body["revoke_keys"] = revoke;
        }
        let changed = success(ada.post("/api/v1/auth/password", &body).await, 200).await;
        assert_eq!(changed["revoked_keys"], revoked * 2, "{changed}");
        let request = place.server.request(Method::GET, "/api/v1/tasks");
        let answer = request.header("x-api-key", made["key"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(answer.status(), if revoked == 0 { 200 } else { 401 });
        current = new;
    }
}

#[tokio::test]
async fn only_a_token_that_was_exchanged_ends_its_session() {
    let place = Place::new(IdentityConfig::default()).await;
    success(place.register("ada", None).await, 201).await;
    let ada = place.sign_in("ada").await;
    let token = ada.signed_in["refresh_token"].as_str().unwrap().to_owned();
    let (session, _) = token.split_once('.').unwrap();
    let forged = format!("{session}.{}", "0".repeat(64));
    failure(place.refresh(&forged).await, 401, "unauthenticated").await;
    assert_eq!(ada.get("/api/v1/auth/me").await.status(), 200, "a forged token ended the session");
    let next = success(place.refresh(&token).await, 200).await;
    place.clock.advance(Duration::from_secs(31));
    failure(place.refresh(&token).await, 401, "unauthenticated").await;
    assert_eq!(ada.get("/api/v1/auth/me").await.status(), 401, "a spent token did not");
    failure(place.refresh(next["refresh_token"].as_str().unwrap()).await, 401, "unauthenticated").await;
}

#[tokio::test]
async fn session_expires_despite_refreshes() {
    let place = Place::new(IdentityConfig::default()).await;
    success(place.register("ada", None).await, 201).await;
    for (name, days) in [("ada", 90), ("root_1", 7)] {
        let begun = place.clock.now();
        let mut token = place.sign_in(name).await.signed_in["refresh_token"].as_str().unwrap().to_owned();
        let mut refreshed = 0;
        loop {
            place.clock.advance(DAY);
            let answer = place.refresh(&token).await;
            if answer.status() != 200 {
                break;
            }
            token = success(answer, 200).await["refresh_token"].as_str().unwrap().to_owned();
            refreshed += 1;
        }
        assert_eq!((refreshed, (place.clock.now() - begun).num_days()), (days - 1, days), "{name}");
    }
}

#[tokio::test]
async fn request_over_the_limit_names_the_limit() {
    let place = Place::new(IdentityConfig::default()).await;
    success(place.register("ada", None).await, 201).await;
    let ada = place.sign_in("ada").await;
    let task = json!({ "agent": "worker", "payload": {} });
    for _ in 0..3 {
        success(ada.post("/api/v1/tasks", &task).await, 202).await;
    }
    let answer = ada.post("/api/v1/tasks", &task).await;
    assert!(answer.headers().contains_key("retry-after"));
    let refused = failure(answer, 429, "rate_limited").await;
    assert!(refused["message"].as_str().unwrap().contains("3 tasks"), "{refused}");
    let mut conversations = Vec::new();
    for _ in 0..2 {
        let made = success(ada.post("/api/v1/conversations", &json!({})).await, 201).await;
        conversations.push(format!("/api/v1/conversations/{}", made["id"].as_str().unwrap()));
    }
    let refused = failure(ada.post("/api/v1/conversations", &json!({})).await, 409, "conflict").await;
    assert!(refused["message"].as_str().unwrap().contains("2 conversations"), "{refused}");
    let say = async |number: usize, text: &str| {
        let answer =
            ada.post(&format!("{}/messages", conversations[number]), &json!({ "content": text })).await;
        match answer.status().as_u16() {
            // Reads to the end, because only then is the answer stored.
            200 => answer.text().await.map(drop).map(|()| None).unwrap(),
            _ => failure(answer, 409, "conflict").await["message"].as_str().map(str::to_owned),
        }
    };
    assert!(say(0, &"x".repeat(101)).await.unwrap().contains("100 bytes"));
    for number in [0, 1] {
        assert_eq!(
            say(number, "Is it so?").await,
            None,
            "the question is one too many only after two and their answers"
        );
    }
    assert!(say(1, "And now?").await.unwrap().contains("3 messages"), "questions and answers of both count");
    success(delete(&ada, &conversations[0], &Value::Null).await, 200).await;
    assert_eq!(say(1, "And now?").await, None, "what was deleted counts no more");
    let upload = async |text: &'static str| {
        let form = format!(
            "--end\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\
             Content-Type: text/plain\r\n\r\n{text}\r\n--end--\r\n"
        );
        let request = ada.request(Method::POST, "/api/v1/documents");
        let request = request.header("content-type", "multipart/form-data; boundary=end");
        request.body(form).send().await.unwrap()
    };
    success(upload("fifteen bytes !").await, 201).await;
    let refused = failure(upload("six  !").await, 409, "conflict").await;
    assert!(refused["message"].as_str().unwrap().contains("20 bytes"), "{refused}");
    success(upload("five!").await, 201).await;
    let refused = failure(upload("x").await, 409, "conflict").await;
    assert!(refused["message"].as_str().unwrap().contains("2 documents"), "{refused}");
    let mut tokens = Vec::new();
    for _ in 0..51 {
        tokens.push(place.sign_in("ada").await);
    }
    assert_eq!(ada.get("/api/v1/auth/me").await.status(), 401, "the oldest session has ended");
    let sessions = success(tokens[50].get("/api/v1/auth/sessions").await, 200).await;
    assert_eq!(sessions["items"].as_array().unwrap().len(), 50);
}

/// Creates one thing of each kind for a user.
async fn furnish(user: &User<'_>) -> Value {
    let task = json!({ "agent": "worker", "payload": {} });
    let task = success(user.post("/api/v1/tasks", &task).await, 202).await;
    let schedule =
        json!({ "name": "x", "agent": "worker", "payload": {}, "cron": "0 * * * *", "time_zone": "UTC" });
    success(user.post("/api/v1/schedules", &schedule).await, 201).await;
    success(user.post("/api/v1/conversations", &json!({})).await, 201).await;
    success(user.post("/api/v1/auth/api-keys", &key("x")).await, 201)
        .await
        .as_object()
        .map(|made| json!({ "key": made["key"], "task": task["id"] }))
        .unwrap()
}

#[tokio::test]
async fn user_is_deleted_with_all_data_and_without_side_effects() {
    let place = Place::new(IdentityConfig::default()).await;
    for name in ["ada", "bob", "eve"] {
        success(place.register(name, None).await, 201).await;
    }
    let (ada, bob, eve) =
        (place.sign_in("ada").await, place.sign_in("bob").await, place.sign_in("eve").await);
    let root = place.sign_in("root_1").await;
    let of_ada = furnish(&ada).await;
    let of_bob = furnish(&bob).await;
    let of_eve = furnish(&eve).await;

    names(
        delete(&ada, "/api/v1/auth/me", &json!({ "password": "wrong password" })).await,
        403,
        "forbidden",
        "password",
    )
    .await;
    success(delete(&ada, "/api/v1/auth/me", &json!({ "password": PASSWORD })).await, 200).await;
    let path = format!("/api/v1/admin/users/{}", bob.signed_in["user"]["id"].as_str().unwrap());
    failure(delete(&eve, &path, &Value::Null).await, 403, "forbidden").await;
    success(delete(&root, &path, &Value::Null).await, 200).await;
    failure(delete(&root, &path, &Value::Null).await, 404, "not_found").await;
    for (user, gone) in [(&ada, &of_ada), (&bob, &of_bob)] {
        failure(user.get("/api/v1/auth/me").await, 401, "unauthenticated").await;
        let refreshed = place.refresh(user.signed_in["refresh_token"].as_str().unwrap()).await;
        failure(refreshed, 401, "unauthenticated").await;
        let request = place.server.request(Method::GET, "/api/v1/tasks");
        let answer = request.header("x-api-key", gone["key"].as_str().unwrap()).send().await.unwrap();
        failure(answer, 401, "unauthenticated").await;
        let task = gone["task"].as_str().unwrap();
        failure(root.get(&format!("/api/v1/tasks/{task}")).await, 404, "not_found").await;
        assert_eq!(place.tasks.get(task.parse().unwrap()).await.unwrap(), None);
    }
    for (path, left) in [("tasks", 1), ("schedules", 1), ("conversations", 1)] {
        let all = success(root.get(&format!("/api/v1/{path}")).await, 200).await;
        assert_eq!(all["items"].as_array().unwrap().len(), left, "{path}: {all}");
    }
    success(eve.get(&format!("/api/v1/tasks/{}", of_eve["task"].as_str().unwrap())).await, 200).await;
    // The last admin cannot be deleted, not even by an admin.
    let path = format!("/api/v1/admin/users/{}", root.signed_in["user"]["id"].as_str().unwrap());
    failure(delete(&root, &path, &Value::Null).await, 409, "conflict").await;
    failure(delete(&root, "/api/v1/auth/me", &json!({ "password": PASSWORD })).await, 409, "conflict").await;
    assert_eq!(root.get("/api/v1/auth/me").await.status(), 200);
    assert!(place.users.user_by_login("ada").await.unwrap().is_none());
    success(place.register("ada", None).await, 201).await;
}

#[tokio::test]
async fn guesses_at_one_account_are_slowed_down_and_its_user_is_not() {
    let place = Place::new(IdentityConfig::default()).await;
    success(place.register("ada", None).await, 201).await;
    let identity = place.server.identity.clone();
    let client = |last: u8| Client { user_agent: None, address: Some(IpAddr::from([192, 0, 2, last])) };
    let sign_in = async |password: &str, last: u8| -> Result<()> {
        identity.login_from("ada", password, client(last)).await.map(drop)
    };
    sign_in(PASSWORD, 1).await.unwrap();
    for n in 0..10 {
        assert_eq!(sign_in("wrong password", 100 + n).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    }
    // From now on each failure delays the next one. The clock is stopped, so a request with a long delay is rejected.
    let mut waiting = Vec::new();
    for n in 0..10 {
        let identity = identity.clone();
        let client = Client { user_agent: None, address: Some(IpAddr::from([198, 51, 100, n])) };
        waiting.push(tokio::spawn(async move {
            identity.login_from("ada", "wrong password", client).await.map(drop)
        }));
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    sign_in(PASSWORD, 1).await.unwrap();
    let mut kinds = Vec::new();
    for _ in 0..10 {
        place.clock.advance(Duration::from_secs(2));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    for attempt in waiting {
        kinds.push(attempt.await.unwrap().unwrap_err().kind());
    }
    let refused = kinds.iter().filter(|kind| **kind == ErrorKind::RateLimited).count();
    assert_eq!((refused, kinds.len()), (4, 10), "{kinds:?}");
}
