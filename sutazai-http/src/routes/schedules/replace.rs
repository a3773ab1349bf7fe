//! `PUT /api/v1/schedules/{id}`: replaces the plan of a schedule.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, ScheduleId};

use crate::app::App;
use crate::dto::schedule::{ScheduleView, WriteSchedule};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{IdPath, Json};

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
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<ScheduleId>,
    Json(body): Json<WriteSchedule>,
) -> Result<Reply, ApiError> {
    let schedule = app.schedules()?.replace(&caller, id, body.into()).await?;
    Ok(Reply::ok(&ScheduleView::from(schedule)))
}
