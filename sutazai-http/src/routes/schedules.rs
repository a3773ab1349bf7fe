//! `/api/v1/schedules`: cron plans that submit tasks at set times.

use axum::Extension;
use axum::extract::State;
use sutazai_bodies::schedule::WriteSchedule;
use sutazai_core::Error;
use sutazai_core::domain::{Caller, Schedule, ScheduleId};

use crate::app::App;
use crate::dto::deleted::Deleted;
use crate::dto::schedule::{ScheduleList, ScheduleTimes, ScheduleView, TimesOf};
use crate::dto::task::TaskView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{IdPath, Json, PageQuery, Query};
use crate::monitoring::counts;

/// Number of due times of an expression that are shown.
const SHOWN_TIMES: usize = 5;

/// List the caller's schedules.
#[utoipa::path(
    get,
    path = "/api/v1/schedules",
    operation_id = "list_schedules",
    tag = "schedules",
    params(PageQuery::<ScheduleId>),
    responses((status = 200, description = "One page of schedules, newest first.", body = ScheduleList)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PageQuery(page): PageQuery<ScheduleId>,
) -> Result<Reply, ApiError> {
    let schedules = app.require_schedules()?;
    let page = schedules.list(&caller, None, page).await?;
    let tasks = schedules.last_tasks(&page.items).await?;
    Ok(Reply::ok(&ScheduleList::from(page.map(|schedule| ScheduleView::new(schedule, &tasks)))))
}

/// Create a schedule.
///
/// A schedule submits a task of the same user each time it is due.
#[utoipa::path(
    post,
    path = "/api/v1/schedules",
    operation_id = "create_schedule",
    tag = "schedules",
    request_body = WriteSchedule,
    responses(
        (status = 201, description = "The schedule was created.", body = ScheduleView),
        (status = 409, description = "The user already has 100 schedules."),
    ),
)]
pub(crate) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<WriteSchedule>,
) -> Result<Reply, ApiError> {
    let plan = body.plan(|agent| app.engine().task_defaults(agent));
    let schedule = app.require_schedules()?.create(&caller, plan).await?;
    Ok(Reply::created(&view(&app, schedule).await?))
}

/// Show a schedule.
#[utoipa::path(
    get,
    path = "/api/v1/schedules/{id}",
    operation_id = "show_schedule",
    tag = "schedules",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The schedule.", body = ScheduleView)),
)]
pub(crate) async fn show(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<ScheduleId>,
) -> Result<Reply, ApiError> {
    let schedule = app.require_schedules()?.get(&caller, id).await?;
    Ok(Reply::ok(&view(&app, schedule).await?))
}

/// Replace a schedule.
///
/// Fields that are left out get their default values. Missed and queued runs are discarded.
#[utoipa::path(
    put,
    path = "/api/v1/schedules/{id}",
    operation_id = "replace_schedule",
    tag = "schedules",
    params(("id" = Uuid, Path)),
    request_body = WriteSchedule,
    responses((status = 200, description = "The replaced schedule.", body = ScheduleView)),
)]
pub(crate) async fn replace(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<ScheduleId>,
    Json(body): Json<WriteSchedule>,
) -> Result<Reply, ApiError> {
    let plan = body.plan(|agent| app.engine().task_defaults(agent));
    let schedule = app.require_schedules()?.replace(&caller, id, plan).await?;
    Ok(Reply::ok(&view(&app, schedule).await?))
}

/// Run a schedule now.
///
/// Submits its task at once, for the owner of the schedule; its due times do not change.
#[utoipa::path(
    post,
    path = "/api/v1/schedules/{id}/run",
    operation_id = "run_schedule",
    tag = "schedules",
    params(("id" = Uuid, Path)),
    responses(
        (status = 202, description = "The task was accepted.", body = TaskView),
        (status = 409, description = "The last task of the schedule has not ended, and its `overlap_policy` is not `allow`."),
    ),
)]
pub(crate) async fn run(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<ScheduleId>,
) -> Result<Reply, ApiError> {
    let task = app.require_schedules()?.run_now(&caller, id).await?;
    counts::requested(&task.agent);
    Ok(Reply::accepted(&TaskView::from(task)))
}

/// Show the next due times of a cron expression.
///
/// Evaluates an expression as a schedule does, without creating one.
#[utoipa::path(
    get,
    path = "/api/v1/schedules/times",
    operation_id = "show_schedule_times",
    tag = "schedules",
    params(TimesOf),
    responses((status = 200, description = "The next five due times.", body = ScheduleTimes)),
)]
pub(crate) async fn times(State(app): State<App>, Query(of): Query<TimesOf>) -> Result<Reply, ApiError> {
    let zone = of.time_zone.as_deref().unwrap_or("UTC");
    let items = app.require_schedules()?.next_times(&of.cron, zone, SHOWN_TIMES)?;
    Ok(Reply::ok(&ScheduleTimes { items }))
}

/// Returns a schedule with its last task.
async fn view(app: &App, schedule: Schedule) -> Result<ScheduleView, Error> {
    let tasks = app.require_schedules()?.last_tasks(std::slice::from_ref(&schedule)).await?;
    Ok(ScheduleView::new(schedule, &tasks))
}

/// Delete a schedule; its tasks remain.
#[utoipa::path(
    delete,
    path = "/api/v1/schedules/{id}",
    operation_id = "delete_schedule",
    tag = "schedules",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The schedule was deleted.", body = Deleted)),
)]
pub(crate) async fn delete(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<ScheduleId>,
) -> Result<Reply, ApiError> {
    app.require_schedules()?.delete(&caller, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
