//! `GET /api/v1/schedules/{id}`: returns one schedule.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, ScheduleId};

use crate::app::App;
use crate::dto::schedule::ScheduleView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::IdPath;

/// Show a schedule.
#[utoipa::path(
    get,
    path = "/api/v1/schedules/{id}",
    operation_id = "show_schedule",
    tag = "schedules",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The schedule.", body = ScheduleView)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<ScheduleId>,
) -> Result<Reply, ApiError> {
    let schedule = app.schedules()?.get(&caller, id).await?;
    Ok(Reply::ok(&ScheduleView::from(schedule)))
}
