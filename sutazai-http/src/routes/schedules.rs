//! `/api/v1/schedules`: cron plans that submit tasks at set times.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, ScheduleId};

use crate::app::App;
use crate::dto::deleted::Deleted;
use crate::dto::schedule::{ListSchedules, ScheduleList, ScheduleView, WriteSchedule};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{IdPath, Json, Query};

/// List the caller's schedules.
#[utoipa::path(
    get,
    path = "/api/v1/schedules",
    operation_id = "list_schedules",
    tag = "schedules",
    params(ListSchedules),
    responses((status = 200, description = "One page of schedules, newest first.", body = ScheduleList)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(list): Query<ListSchedules>,
) -> Result<Reply, ApiError> {
    let page = app.schedules()?.list(&caller, list.query()?).await?;
    Ok(Reply::ok(&ScheduleList::from(page)))
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
    let schedule = app.schedules()?.create(&caller, body.into()).await?;
    Ok(Reply::created(&ScheduleView::from(schedule)))
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
    let schedule = app.schedules()?.get(&caller, id).await?;
    Ok(Reply::ok(&ScheduleView::from(schedule)))
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
    let schedule = app.schedules()?.replace(&caller, id, body.into()).await?;
    Ok(Reply::ok(&ScheduleView::from(schedule)))
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
    app.schedules()?.delete(&caller, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
