//! `POST /api/v1/schedules`: creates a schedule.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::schedule::{ScheduleView, WriteSchedule};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Json;

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
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<WriteSchedule>,
) -> Result<Reply, ApiError> {
    let schedule = app.schedules()?.create(&caller, body.into()).await?;
    Ok(Reply::created(&ScheduleView::from(schedule)))
}
