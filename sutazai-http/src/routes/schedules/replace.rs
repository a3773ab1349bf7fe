//! `PUT /api/v1/schedules/{id}`: puts another plan in the place of a schedule's.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, ScheduleId};

use crate::app::App;
use crate::dto::schedule::{ScheduleView, WriteSchedule};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{IdPath, Json};

/// Change a schedule.
///
/// What is left out has its default again. Times that it had missed are forgotten.
#[utoipa::path(
    put,
    path = "/api/v1/schedules/{id}",
    operation_id = "replace_schedule",
    tag = "schedules",
    params(("id" = Uuid, Path)),
    request_body = WriteSchedule,
    responses((status = 200, description = "The schedule.", body = ScheduleView)),
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
