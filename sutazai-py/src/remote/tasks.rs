//! Requests about tasks of a server.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sutazai::domain::{TaskId, TaskStatus};
use sutazai::external::chrono::{DateTime, TimeDelta, Utc};
use sutazai::ports::{Clock, SystemClock};
use sutazai::{Error, Result};
use sutazai_bodies::task::CreateTask;

use super::ends::status_of;
use super::http::Http;
use super::request::Request;
use super::{Id, PageBody, Remote, page, passed};
use crate::failure::ended_without_result;
use crate::verbs::{Answer, answer, id, nothing, within};

#[derive(Debug, Deserialize)]
pub(super) struct Submit {
    tasks: Vec<Value>,
    #[serde(default)]
    traceparent: Option<String>,
}

/// Submits tasks one after another: the API has no request for several.
pub(super) async fn submit(http: &Http, body: Submit) -> Answer {
    let mut requests = Vec::with_capacity(body.tasks.len());
    // All are read before the first is sent.
    for task in body.tasks {
        let has_key = task.get("idempotency_key").is_some_and(Value::is_string);
        let task: CreateTask =
            serde_json::from_value(task).map_err(|e| Error::invalid("request", e.to_string()))?;
        let request = Request::post("api/v1/tasks").json(&task)?;
        requests.push(request.repeatable_if(has_key).traced(body.traceparent.clone()));
    }
    let mut ids = Vec::with_capacity(requests.len());
    for request in &requests {
        let mut task: Map<String, Value> = http.data(request).await?;
        ids.push(task.remove("id"));
    }
    answer(&ids)
}

pub(super) async fn get(http: &Http, body: Id) -> Answer {
    passed(http, &Request::get(path(&body)?)).await
}

#[derive(Debug, Deserialize)]
pub(super) struct List {
    status: Option<String>,
    agent: Option<String>,
    parent: Option<String>,
    created_after: Option<DateTime<Utc>>,
    created_before: Option<DateTime<Utc>>,
    #[serde(flatten)]
    page: PageBody,
}

pub(super) async fn list(http: &Http, body: List) -> Answer {
    if body.parent.is_some() {
        return Err(Error::unsupported("a server cannot list the children of a task")
            .with_field("parent")
            .into());
    }
    let request = Request::get("api/v1/tasks")
        .query_if("status", body.status)
        .query_if("agent", body.agent)
        .query_if("created_after", body.created_after.map(time))
        .query_if("created_before", body.created_before.map(time));
    page(http, &body.page.of(request), |mut task| {
        // A list has neither, because they may be large.
        task["payload"] = Value::Null;
        task["result"] = Value::Null;
        task
    })
    .await
}

/// Writes a time with the precision that the API takes.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(sutazai::external::chrono::SecondsFormat::Micros, true)
}

#[derive(Debug, Deserialize)]
pub(super) struct Wait {
    #[serde(flatten)]
    id: Id,
    timeout: Option<f64>,
}

async fn ended(remote: &Remote, body: &Wait) -> Result<Value> {
    let id = task_id(&body.id)?;
    let mut waiter = remote.ended.wait_for([id]);
    let task = within(body.timeout, waiter.next(&remote.http)).await?;
    task.ok_or_else(|| Error::internal(format!("the wait for task {id} ended without it")))
}

pub(super) async fn wait(remote: &Remote, body: Wait) -> Answer {
    answer(&ended(remote, &body).await?)
}

pub(super) async fn result(remote: &Remote, body: Wait) -> Answer {
    let mut task = ended(remote, &body).await?;
    match status_of(&task) {
        Some(TaskStatus::Completed) => answer(&task["result"].take()),
        status => Err(ended_without_result(status.unwrap_or(TaskStatus::Failed), &task)),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Messages {
    #[serde(flatten)]
    id: Id,
    #[serde(flatten)]
    page: PageBody,
}

pub(super) async fn messages(http: &Http, body: Messages) -> Answer {
    let request = Request::get(format!("{}/messages", path(&body.id)?));
    page(http, &body.page.of(request), |message| message).await
}

/// Cancels or retries a task.
pub(super) async fn change(http: &Http, body: Id, action: &str) -> Answer {
    passed(http, &Request::post(format!("{}/{action}", path(&body)?))).await
}

pub(super) async fn delete(http: &Http, body: Id) -> Answer {
    http.bytes(&Request::delete(path(&body)?)).await?;
    nothing()
}

#[derive(Debug, Deserialize)]
pub(super) struct RetryFailed {
    agent: Option<String>,
}

pub(super) async fn retry_failed(http: &Http, body: RetryFailed) -> Answer {
    let request = Request::post("api/v1/admin/dead-letter/retry").json(&json!({ "agent": body.agent }))?;
    let mut retried: Map<String, Value> = http.data(&request).await?;
    answer(&retried.remove("retried"))
}

/// Numbers of tasks by agent, then by status.
#[derive(Debug, Deserialize)]
struct Numbers {
    by_agent: Map<String, Value>,
}

pub(super) async fn statistics(http: &Http) -> Answer {
    let numbers: Numbers = http.data(&Request::get("api/v1/tasks/statistics")).await?;
    let mut counts = Vec::new();
    for (agent, by_status) in &numbers.by_agent {
        for (status, count) in by_status.as_object().into_iter().flatten() {
            counts.push(json!({ "agent": agent, "status": status, "count": count }));
        }
    }
    answer(&counts)
}

/// Statistics of a server, as far as a backlog needs them.
#[derive(Debug, Deserialize)]
struct Statistics {
    queue: Queue,
}

#[derive(Debug, Deserialize)]
struct Queue {
    depth: u64,
    oldest_age_seconds: f64,
}

pub(super) async fn backlog(http: &Http) -> Answer {
    let Queue { depth, oldest_age_seconds: age } =
        http.data::<Statistics>(&Request::get("api/v1/admin/statistics")).await?.queue;
    // The server says 0 if none is due.
    let age = (age > 0.0).then(|| TimeDelta::milliseconds((age * 1e3) as i64));
    answer(&json!({ "tasks": depth, "oldest": age.map(|age| time(SystemClock.now() - age)) }))
}

#[derive(Debug, Deserialize)]
pub(super) struct CreateWatch {
    ids: Vec<String>,
}

pub(super) fn create_watch(remote: &Remote, body: CreateWatch) -> Answer {
    let ids: Vec<TaskId> = body.ids.iter().map(|text| id("task", text)).collect::<Result<_>>()?;
    answer(&remote.watches.add(remote.ended.wait_for(ids)))
}

#[derive(Debug, Deserialize)]
pub(super) struct Watch {
    watch: u64,
    #[serde(default)]
    timeout: Option<f64>,
}

/// Returns the next ended task of a watch, or null after the last.
pub(super) async fn next_of_watch(remote: &Remote, body: Watch) -> Answer {
    let waiter = remote.watches.get(body.watch)?;
    let mut waiter = waiter.lock().await;
    answer(&within(body.timeout, waiter.next(&remote.http)).await?)
}

pub(super) fn delete_watch(remote: &Remote, body: Watch) -> Answer {
    remote.watches.remove(body.watch);
    nothing()
}

fn task_id(body: &Id) -> Result<TaskId> {
    id("task", &body.id)
}

/// Returns the path of a task.
pub(super) fn path(body: &Id) -> Result<String> {
    Ok(format!("api/v1/tasks/{}", task_id(body)?))
}
