//! One trace from the request through the queue to the agent and the model, as a collector receives it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::{Value, json};
use sutazai::agent::models::{ConnectOptions, EmbeddedModels, ModelLauncher, ModelManager, connect_all};
use sutazai::domain::{
    AgentDescriptor, Caller, ChatMessage, GenerateRequest, NewTask, Permission, Role, Step, TraceContext,
};
use sutazai::engine::Engine;
use sutazai::http::{App, router, serve};
use sutazai::ports::{Agent, AgentContext, ModelBackendExt, SystemClock};
use sutazai::telemetry::{OpenTelemetryTracer, Telemetry};
use sutazai::{Result, testing};
use tracing_subscriber::layer::SubscriberExt;

use crate::collector::{Collector, Seen, named};
use crate::postgres_server::Postgres;
use crate::support::model;

const PROMPT: &str = "Greet the captain of the Nautilus.";

/// Agent that delegates its work to a child task, which calls the model.
#[derive(Debug)]
struct Writer;

#[async_trait]
impl Agent for Writer {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("writer", "Writes.").capabilities(["writing"])
    }

    fn permissions(&self, _: &Value) -> Vec<Permission> {
        vec![Permission::WriteTasks, Permission::UseModels]
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        if context.task.payload["delegate"] == true && context.children.is_empty() {
            let child = NewTask::new("writer", json!({ "prompt": context.task.payload["prompt"] }));
            return Ok(Step::wait_for_all(vec![child], json!({})));
        }
        if let Some(child) = context.children.first() {
            return Ok(Step::Done(child.result.clone().unwrap_or_default()));
        }
        let prompt = context.task.payload["prompt"].as_str().unwrap_or_default();
        let message = ChatMessage { role: Role::User, content: prompt.into() };
        let request = GenerateRequest { max_tokens: 8, ..GenerateRequest::new(vec![message]) };
        let (text, _) = context.model.as_ref().unwrap().complete(request).await?;
        Ok(Step::Done(Value::from(text)))
    }
}

/// Model server that lists a model but rejects every completion; records the `traceparent` of requests.
#[derive(Debug, Clone, Default)]
struct Refusing {
    received: Arc<Mutex<Vec<String>>>,
}

impl Refusing {
    async fn start(&self) -> String {
        let received = self.received.clone();
        let refuse = move |headers: HeaderMap| {
            received.lock().unwrap().push(headers["traceparent"].to_str().unwrap().to_owned());
            async { StatusCode::SERVICE_UNAVAILABLE }
        };
        let models = async || axum::Json(json!({ "object": "list", "data": [{ "id": "away" }] }));
        let router =
            Router::new().route("/v1/models", get(models)).route("/v1/chat/completions", post(refuse));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        url
    }

    /// Returns the span ids of one trace from which requests were sent.
    fn places(&self, trace: &str) -> Vec<String> {
        let received = self.received.lock().unwrap();
        let places = received.iter().filter_map(|header| header.strip_prefix(&format!("00-{trace}-")));
        places.map(|place| place.strip_suffix("-01").unwrap().to_owned()).collect()
    }
}

/// Starts a server; returns its address and its engine.
async fn server(telemetry: &Telemetry, database: &str, models: &str) -> (String, Engine) {
    let launcher = ModelLauncher::new(env!("CARGO_BIN_EXE_sutazai")).argument("model-process");
    let embedded = Some(EmbeddedModels::ChildProcess(launcher));
    let backends = connect_all(models, &ConnectOptions { embedded, ..ConnectOptions::default() }).unwrap();
    let engine = Engine::builder()
        .task_store(sutazai::store::open(database).await.unwrap().tasks)
        .model(Arc::new(ModelManager::new(backends, "", Arc::new(SystemClock))))
        .agent(Arc::new(Writer))
        .tracer(telemetry.tracer())
        .build()
        .unwrap();
    engine.start().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let app = App::new(engine.clone());
    tokio::spawn(serve(listener, router(app), std::future::pending()));
    (address, engine)
}

/// Submits a task, waits for its end, and returns the trace id of the response.
async fn ask(address: &str, engine: &Engine, payload: Value, parent: Option<&str>) -> String {
    let client = reqwest::Client::new();
    let mut request = client.post(format!("{address}/api/v1/tasks?"));
    if let Some(parent) = parent {
        request = request.header("traceparent", parent);
    }
    let body = json!({ "agent": "writer", "payload": payload });
    let answer: Value = request.json(&body).send().await.unwrap().json().await.unwrap();
    let id = serde_json::from_value(answer["data"]["id"].clone()).unwrap();
    let task = engine.wait(&Caller::System, id).await.unwrap();
    assert!(task.result.is_some(), "{task:?}");
    let read = client.get(format!("{address}/api/v1/tasks/{id}"));
    let read =
        read.header("x-request-id", format!("read-{}", answer["metadata"]["trace_id"].as_str().unwrap()));
    assert_eq!(read.send().await.unwrap().status(), 200);
    answer["metadata"]["trace_id"].as_str().unwrap().to_owned()
}

fn attribute<'s>(span: &'s Seen, name: &str) -> &'s str {
    span.attributes.get(name).unwrap_or_else(|| panic!("{name} in {span:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_contains_request_task_agent_and_model() {
    let collector = Collector::start().await;
    let telemetry = Telemetry::start(&collector.address, "sutazai-test").unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    testing::tracer::run_all(&OpenTelemetryTracer);
    let refusing = Refusing::default();
    let models = format!("openai={},llama-cpp={}", refusing.start().await, model().display());
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}/traces.db", folder.path().display());
    let (address, engine) = server(&telemetry, &sqlite, &models).await;
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let (on_postgres, engine_on_postgres) = server(&telemetry, &postgres.url, &models).await;

    let above = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let continued = ask(&address, &engine, json!({ "prompt": PROMPT }), Some(above)).await;
    let own = ask(&address, &engine, json!({ "prompt": PROMPT, "delegate": true }), None).await;
    let shared = ask(&on_postgres, &engine_on_postgres, json!({ "prompt": PROMPT }), None).await;
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await.unwrap().unwrap();

    assert_eq!(continued, "0af7651916cd43dd8448eb211c80319c");
    let spans = collector.trace(&continued);
    let request = named(&spans, "POST /api/v1/tasks");
    assert_eq!((request.kind, request.parent.as_str()), (2, "b7ad6b7169203331"));
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/api/v1/tasks"),
        ("http.response.status_code", "202"),
        ("url.path", "/api/v1/tasks"),
        ("url.scheme", "http"),
    ] {
        assert_eq!(attribute(request, name), value);
    }
    let publish = named(&spans, "publish");
    assert_eq!((publish.kind, &publish.parent), (4, &request.id));
    assert_eq!(attribute(publish, "messaging.destination.name"), "writer");
    let process = named(&spans, "process writer");
    assert_eq!((process.kind, &process.parent), (5, &publish.id));
    assert_eq!(attribute(process, "messaging.operation.type"), "process");
    let agent = named(&spans, "invoke_agent writer");
    assert_eq!(agent.parent, process.id);
    assert_eq!(attribute(agent, "gen_ai.agent.name"), "writer");
    let insert = named(&spans, "INSERT tasks");
    assert_eq!((insert.kind, &insert.parent), (3, &publish.id));
    let refused = named(&spans, "chat away");
    assert_eq!(attribute(refused, "error.type"), "busy");
    let mut places = refusing.places(&continued);
    // Retries of a call share one span.
    places.dedup();
    assert_eq!(places, std::slice::from_ref(&refused.id), "the server must get the id of its span");
    let chat = spans.iter().find(|span| span.name.starts_with("chat Smol")).unwrap();
    assert_eq!((chat.kind, &chat.parent), (3, &agent.id));
    assert_eq!(attribute(chat, "gen_ai.operation.name"), "chat");
    assert_eq!(attribute(chat, "gen_ai.provider.name"), "llama-cpp");
    assert!(attribute(chat, "gen_ai.response.model").contains("SmolLM2"), "{chat:#?}");
    assert!(attribute(chat, "gen_ai.usage.input_tokens").parse::<u32>().unwrap() > 5);
    assert!(attribute(chat, "gen_ai.usage.output_tokens").parse::<u32>().unwrap() <= 8);

    // A new trace starts with the request, and the spans of a child task are below that of its parent.
    let spans = collector.trace(&own);
    let request = named(&spans, "POST /api/v1/tasks");
    assert_eq!(request.parent, "", "a new trace must have a root span");
    let processed: Vec<&Seen> = spans.iter().filter(|span| span.name == "process writer").collect();
    assert_eq!(processed.len(), 3, "the parent runs twice, the child once: {spans:#?}");
    let below = |one: &&&Seen| processed.iter().any(|other| other.id == one.parent);
    assert_eq!(processed.iter().filter(below).count(), 1, "{processed:#?}");

    // Database spans of both technologies, for writes and reads.
    let read = TraceContext::of_request(&format!("read-{continued}")).unwrap();
    let spans = collector.trace(&format!("{:032x}", read.trace_id()));
    let select = named(&spans, "SELECT tasks");
    assert_eq!((select.kind, &select.parent), (3, &named(&spans, "GET /api/v1/tasks/{id}").id));
    for (name, value) in [
        ("db.system.name", "sqlite"),
        ("db.namespace", "traces.db"),
        ("db.operation.name", "SELECT"),
        ("db.collection.name", "tasks"),
    ] {
        assert_eq!(attribute(select, name), value);
    }
    let read = TraceContext::of_request(&format!("read-{shared}")).unwrap();
    let reads = collector.trace(&format!("{:032x}", read.trace_id()));
    let writes = collector.trace(&shared);
    for span in [named(&reads, "SELECT tasks"), named(&writes, "INSERT tasks")] {
        assert_eq!((span.kind, attribute(span, "db.system.name")), (3, "postgresql"));
        assert_eq!(attribute(span, "db.namespace"), "postgres");
        assert!(postgres.url.contains(&format!(
            "{}:{}",
            attribute(span, "server.address"),
            attribute(span, "server.port")
        )));
    }

    assert!(collector.services().iter().all(|name| name == "sutazai-test"));
    assert!(!collector.has_heard("Nautilus"), "prompts must not be exported");
}
