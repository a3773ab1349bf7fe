//! `POST /api/v1/schedules`: makes a schedule.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::schedule::{ScheduleView, WriteSchedule};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Json;

/// Make a schedule.
///
/// Whenever its time comes it asks for a task of the same user.
#[utoipa::path(
    post,
    path = "/api/v1/schedules",
    operation_id = "create_schedule",
    tag = "schedules",
    request_body = WriteSchedule,
    responses(
        (status = 201, description = "It is there.", body = ScheduleView),
        (status = 409, description = "There are too many."),
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
