//! Test support: a server for each test, an agent with scripted behavior, and a user's view of the API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use futures::StreamExt;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sutazai_core::admission_control::AdmissionControlConfig;
use sutazai_core::chat::Chat;
use sutazai_core::documents::Documents;
use sutazai_core::domain::{AgentDescriptor, NewTask, SnapshotPart, Step};
use sutazai_core::engine::{Engine, EngineBuilder};
use sutazai_core::identity::{Identity, IdentityConfig};
use sutazai_core::memory::{
    MemoryApiKeyStore, MemoryConversationStore, MemoryDocumentStore, MemoryIdentityStore,
    MemoryScheduleStore, MemoryTaskStore,
};
use sutazai_core::ports::{Agent, AgentContext, Clock, MetricSource, ModelBackend, SystemClock, TaskStore};
use sutazai_core::testing::ManualClock;
use sutazai_core::{Error, Result};
use sutazai_http::auth::{Argon2Cost, Argon2PasswordHasher, JwtTokenSigner};
use sutazai_http::{App, Monitoring, SecuritySettings, ServerConfig, router, serve_with};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Time limit against hanging tests: far longer than anything takes on a busy machine. Not a measurement.
pub(crate) const HANG_LIMIT: Duration = Duration::from_secs(60);

pub(crate) const SECRET: &[u8] = b"a secret of thirty-two bytes ...";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Agent that behaves as its payload says: `mode` is `echo`, `gate` (report, then wait until the test opens the
/// gate), `flood` (emit 1 MB of text), `refuse` (fail with a permanent error), `break` (fail with an internal error)
/// or `split` (wait for three children: an echo, a refusal and a break).
#[derive(Debug)]
struct Worker {
    gate: Arc<Semaphore>,
}

#[async_trait]
impl Agent for Worker {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("worker", "Does what its payload says.").capabilities(["testing"]).input_schema(json!({
                "type": "object",
                "properties": { "mode": { "enum": ["echo", "gate", "flood", "refuse", "break", "split"] }, "text": { "type": "string" } },
                "required": ["mode"],
                "additionalProperties": false
            }))
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        match context.task.payload["mode"].as_str().unwrap_or_default() {
            "gate" => {
                context.progress(0.5, "at the gate");
                tokio::select! {
                    opened = self.gate.acquire() => opened.unwrap().forget(),
                    () = context.cancellation.cancelled() => context.check_cancelled()?,
                }
            }
            "flood" => context.text("x".repeat(1_000_000)),
            "refuse" => return Err(Error::invalid("text", "expected something else")),
            "break" => return Err(Error::internal("the secret plan of the disk")),
            "split" if context.children.is_empty() => {
                let child = |mode| NewTask {
                    max_attempts: Some(1),
                    ..NewTask::new("worker", json!({ "mode": mode, "text": "part" }))
                };
                let children = ["echo", "refuse", "break"].map(child).to_vec();
                return Ok(Step::wait_for_all(children, Value::Null));
            }
            _ => {}
        }
        Ok(Step::Done(json!({ "echo": context.task.payload["text"] })))
    }
}

/// Metric source that panics.
#[derive(Debug)]
pub(crate) struct Panicking;

#[async_trait]
impl MetricSource for Panicking {
    fn name(&self) -> &str {
        "panicking"
    }

    async fn collect(&self) -> Result<SnapshotPart> {
        panic!("the secret plan of the source")
    }
}

/// Server on a port of its own; it stops with the test.
pub(crate) struct Server {
    pub address: SocketAddr,
    pub identity: Identity,
    pub client: Client,
    gate: Arc<Semaphore>,
    stop: CancellationToken,
    running: Option<JoinHandle<Result<()>>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(vec![], true, |router| router).await
    }

    pub(crate) async fn start_with(
        sources: Vec<Arc<dyn MetricSource>>,
        with_users: bool,
        placed: impl FnOnce(Router) -> Router,
    ) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let mut builder = Engine::builder()
            .task_store(Arc::new(MemoryTaskStore::new()))
            .agent(Arc::new(Worker { gate: gate.clone() }))
            .workers(4);
        for source in sources {
            builder = builder.metric_source(source);
        }
        Self::serve(builder, identity(), with_users, gate, Default::default(), placed).await
    }

    /// Starts a server over this task store.
    pub(crate) async fn start_with_tasks(tasks: Arc<dyn TaskStore>) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let engine =
            Engine::builder().task_store(tasks).agent(Arc::new(Worker { gate: gate.clone() })).workers(4);
        Self::serve(engine, identity(), true, gate, Default::default(), |router| router).await
    }

    /// Starts a server with these security settings.
    pub(crate) async fn start_exposed(protection: SecuritySettings, config: ServerConfig) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let engine = Engine::builder()
            .task_store(Arc::new(MemoryTaskStore::new()))
            .agent(Arc::new(Worker { gate: gate.clone() }));
        Self::serve(engine, identity(), true, gate, (protection, config), |router| router).await
    }

    /// Starts a server with users that serves its metrics.
    pub(crate) async fn start_monitored() -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let agent = Arc::new(Worker { gate: gate.clone() });
        let identity = identity();
        let engine = Engine::builder().agent(agent).identity(identity.clone()).build().unwrap();
        let app = App::new(engine).monitoring(Monitoring::install().unwrap());
        Self::of(app, identity, gate, ServerConfig::default(), |router| router).await
    }

    /// Starts a server with these security settings, whose limits and expiry use `clock`.
    pub(crate) async fn start_exposed_at(clock: Arc<ManualClock>, protection: SecuritySettings) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let engine = Engine::builder()
            .task_store(Arc::new(MemoryTaskStore::new()))
            .clock(clock.clone())
            .agent(Arc::new(Worker { gate: gate.clone() }));
        let config = ServerConfig::default();
        Self::serve(engine, identity_at(clock), true, gate, (protection, config), |router| router).await
    }

    /// Starts a server whose streams use `clock`.
    pub(crate) async fn start_at(clock: Arc<ManualClock>) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let builder = Engine::builder()
            .task_store(Arc::new(MemoryTaskStore::new()))
            .clock(clock)
            .agent(Arc::new(Worker { gate: gate.clone() }));
        Self::serve(builder, identity(), true, gate, Default::default(), |router| router).await
    }

    /// Starts a server over this identity.
    pub(crate) async fn start_over(identity: Identity) -> Self {
        let engine = Engine::builder().task_store(Arc::new(MemoryTaskStore::new()));
        Self::serve(engine, identity, true, Arc::new(Semaphore::new(0)), Default::default(), |router| router)
            .await
    }

    /// Starts a server with this model behind admission control.
    pub(crate) async fn start_with_model(model: Arc<dyn ModelBackend>, gate: AdmissionControlConfig) -> Self {
        let engine = Engine::builder().task_store(Arc::new(MemoryTaskStore::new()));
        let engine = engine.model(model).admission_control(gate);
        Self::serve(engine, identity(), true, Arc::new(Semaphore::new(0)), Default::default(), |router| {
            router
        })
        .await
    }

    async fn serve(
        engine: EngineBuilder,
        identity: Identity,
        with_users: bool,
        gate: Arc<Semaphore>,
        (protection, config): (SecuritySettings, ServerConfig),
        placed: impl FnOnce(Router) -> Router,
    ) -> Self {
        let engine = if with_users { engine.identity(identity.clone()) } else { engine };
        let engine = engine.schedule_store(Arc::new(MemoryScheduleStore::new())).start().await.unwrap();
        let chat = Chat::new(Arc::new(MemoryConversationStore::new()), engine.clone());
        let documents = Documents::new(Arc::new(MemoryDocumentStore::new()), engine.clock());
        let app = App::new(engine).security(protection).chat(chat).documents(documents);
        Self::of(app, identity, gate, config, placed).await
    }

    /// Starts a server of this app without users.
    pub(crate) async fn of_app(app: App) -> Self {
        Self::of(app, identity(), Arc::new(Semaphore::new(0)), ServerConfig::default(), |router| router).await
    }

    /// Starts a server of this app with these users.
    pub(crate) async fn of_users(app: App, identity: Identity, config: ServerConfig) -> Self {
        Self::of(app, identity, Arc::new(Semaphore::new(0)), config, |router| router).await
    }

    async fn of(
        app: App,
        identity: Identity,
        gate: Arc<Semaphore>,
        config: ServerConfig,
        placed: impl FnOnce(Router) -> Router,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (app, asked) = (placed(router(app)), stop.clone().cancelled_owned());
        let running = tokio::spawn(async move { serve_with(&config, listener, app, asked).await });
        Self { address, identity, client: Client::new(), gate, stop, running: Some(running) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// Lets one task pass the gate.
    pub(crate) fn open_gate(&self) {
        self.gate.add_permits(1);
    }

    /// Requests the server to stop.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until the server has stopped.
    pub(crate) async fn stopped(&mut self) {
        let running = self.running.take().unwrap();
        tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap().unwrap();
    }

    /// Registers a user and signs them in.
    pub(crate) async fn user(&self, name: &str) -> User<'_> {
        let body = json!({ "username": name, "email": format!("{name}@example.org"), "password": PASSWORD });
        let answer = self.request(Method::POST, "/api/v1/auth/register").json(&body).send().await.unwrap();
        let data = success(answer, 201).await;
        User { server: self, token: data["access_token"].as_str().unwrap().into(), signed_in: data }
    }
}

/// Identity over in-memory stores, with the cheapest password hashes.
pub(crate) fn identity() -> Identity {
    identity_at(Arc::new(SystemClock))
}

fn identity_at(clock: Arc<dyn Clock>) -> Identity {
    let cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
    Identity::new(
        Arc::new(MemoryIdentityStore::new()),
        Arc::new(MemoryApiKeyStore::new()),
        Arc::new(Argon2PasswordHasher::new(cost).unwrap()),
        Arc::new(JwtTokenSigner::new(SECRET).unwrap()),
        clock,
        IdentityConfig::default(),
    )
}

/// User who is signed in.
pub(crate) struct User<'a> {
    pub server: &'a Server,
    pub token: String,
    pub signed_in: Value,
}

impl User<'_> {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.server.request(method, path).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).json(body).send().await.unwrap()
    }

    /// Submits a task and returns its id.
    pub(crate) async fn submit(&self, mode: &str) -> String {
        let body = json!({ "agent": "worker", "payload": { "mode": mode, "text": "hello" } });
        let task = success(self.post("/api/v1/tasks", &body).await, 202).await;
        task["id"].as_str().unwrap().to_owned()
    }

    /// Creates a ticket for one stream.
    pub(crate) async fn ticket(&self) -> String {
        let answer = self.request(Method::POST, "/api/v1/auth/ticket").send().await.unwrap();
        success(answer, 201).await["ticket"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn task(&self, id: &str) -> Value {
        success(self.get(&format!("/api/v1/tasks/{id}")).await, 200).await
    }

    /// Reads the events after this one until the stream ends.
    pub(crate) async fn events(&self, id: &str, after: u64) -> Vec<SentEvent> {
        let request = self.request(Method::GET, &format!("/api/v1/tasks/{id}/events"));
        let answer = request.header("last-event-id", after.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        EventReader::new(answer).rest().await
    }

    /// Waits until a task has ended, and returns it.
    pub(crate) async fn ended(&self, id: &str) -> Value {
        self.events(id, 0).await;
        self.task(id).await
    }
}

/// Runs this test again in a process of its own, where no other test runs; returns whether this is that process.
pub(crate) fn is_alone(test: &str) -> bool {
    const ALONE: &str = "SUTAZAI_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    assert!(alone.args([test, "--exact", "--nocapture"]).env(ALONE, "1").status().unwrap().success());
    false
}

/// Asserts that a response is a success in the envelope, and returns its data.
pub(crate) async fn success(answer: Response, status: u16) -> Value {
    let (found, body) = open(answer).await;
    assert_eq!(found, status, "{body}");
    assert_eq!(body["status"], "success", "{body}");
    assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
    body["data"].clone()
}

/// Asserts that a response is an error in the envelope, and returns its `error`.
pub(crate) async fn failure(answer: Response, status: u16, code: &str) -> Value {
    let (found, body) = open(answer).await;
    assert_eq!(found, status, "{body}");
    assert_eq!(body["status"], "error", "{body}");
    assert_eq!(body["error"]["code"], code, "{body}");
    assert!(body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    assert!(body["error"]["details"].is_object(), "{body}");
    assert_eq!((body.as_object().unwrap().len(), body["error"].as_object().unwrap().len()), (3, 3), "{body}");
    body["error"].clone()
}

/// Asserts that an error names this field.
pub(crate) async fn names(answer: Response, status: u16, code: &str, field: &str) {
    let error = failure(answer, status, code).await;
    assert_eq!(error["details"]["field"], field, "{error}");
}

async fn open(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let headers = answer.headers().clone();
    let text = answer.text().await.unwrap();
    let body: Value =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{status}, not JSON: {e}: {text:?}"));
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["cache-control"], "no-store");
    let metadata = &body["metadata"];
    assert_eq!(metadata["trace_id"].as_str().unwrap(), headers["x-request-id"], "{body}");
    assert_eq!(metadata["version"], env!("CARGO_PKG_VERSION"));
    let timestamp = metadata["timestamp"].as_str().unwrap();
    assert!(
        chrono::DateTime::parse_from_rfc3339(timestamp).is_ok() && timestamp.ends_with('Z'),
        "{timestamp}"
    );
    (status, body)
}

/// One parsed server-sent event; `id` is 0 in a stream without ids.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SentEvent {
    pub id: u64,
    pub name: String,
    pub data: Value,
}

/// Reader of server-sent events as they arrive.
pub(crate) struct EventReader {
    bytes: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

impl EventReader {
    pub(crate) fn new(answer: Response) -> Self {
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { bytes: answer.bytes_stream().boxed(), text: String::new() }
    }

    /// Returns the next event, or `None` at the end of the stream. Panics if nothing arrives in time.
    pub(crate) async fn next(&mut self) -> Option<SentEvent> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = Self::read(block);
                self.text = rest.to_owned();
                match event {
                    Some(event) => return Some(event),
                    None => continue, // a comment
                }
            }
            let piece = tokio::time::timeout(Duration::from_secs(10), self.bytes.next()).await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
        }
    }

    pub(crate) async fn rest(mut self) -> Vec<SentEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    fn read(block: &str) -> Option<SentEvent> {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        Some(SentEvent {
            id: field("id:").map_or(0, |id| id.parse().unwrap()),
            name: field("event:")?.to_owned(),
            data: serde_json::from_str(field("data:")?).unwrap(),
        })
    }
}
