//! Requests about schedules of a server.

use serde::Deserialize;
use serde_json::{Map, Value};
use sutazai::domain::ScheduleId;
use sutazai::{Error, Result};
use sutazai_bodies::schedule::WriteSchedule;

use super::http::Http;
use super::request::Request;
use super::{Id, PageBody, page};
use crate::verbs::{Answer, answer, id, nothing};

/// Fields that the API calls otherwise: the name of Python, and that of the API.
const RENAMED: [(&str, &str); 2] = [("missed", "missed_runs"), ("overlap", "overlap_policy")];

type Plan = Map<String, Value>;

/// Reads a plan of Python.
///
/// # Errors
/// `InvalidInput` saying what does not fit.
fn plan(mut plan: Plan) -> Result<WriteSchedule> {
    for (python, api) in RENAMED {
        if let Some(value) = plan.remove(python) {
            plan.insert(api.to_owned(), value);
        }
    }
    serde_json::from_value(Value::Object(plan)).map_err(|e| Error::invalid("request", e.to_string()))
}

fn view(mut schedule: Value) -> Value {
    if let Some(fields) = schedule.as_object_mut() {
        for (python, api) in RENAMED {
            if let Some(value) = fields.remove(api) {
                fields.insert(python.to_owned(), value);
            }
        }
    }
    schedule
}

fn path(body: &Id) -> Result<String> {
    Ok(format!("api/v1/schedules/{}", id::<ScheduleId>("schedule", &body.id)?))
}

async fn sent(http: &Http, request: Request) -> Answer {
    answer(&view(http.data(&request).await?))
}

pub(super) async fn create(http: &Http, body: Plan) -> Answer {
    sent(http, Request::post("api/v1/schedules").json(&plan(body)?)?).await
}

pub(super) async fn list(http: &Http, body: PageBody) -> Answer {
    page(http, &body.of(Request::get("api/v1/schedules")), view).await
}

pub(super) async fn get(http: &Http, body: Id) -> Answer {
    sent(http, Request::get(path(&body)?)).await
}

#[derive(Debug, Deserialize)]
pub(super) struct Replace {
    #[serde(flatten)]
    id: Id,
    plan: Plan,
}

pub(super) async fn replace(http: &Http, body: Replace) -> Answer {
    sent(http, Request::put(path(&body.id)?).json(&plan(body.plan)?)?).await
}

pub(super) async fn delete(http: &Http, body: Id) -> Answer {
    http.bytes(&Request::delete(path(&body)?)).await?;
    nothing()
}
