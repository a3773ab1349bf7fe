//! `DELETE /api/v1/schedules/{id}`: deletes a schedule; its tasks remain.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, ScheduleId};

use crate::app::App;
use crate::dto::deleted::Deleted;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::IdPath;

/// Delete a schedule; its tasks remain.
#[utoipa::path(
    delete,
    path = "/api/v1/schedules/{id}",
    operation_id = "delete_schedule",
    tag = "schedules",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The schedule was deleted.", body = Deleted)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<ScheduleId>,
) -> Result<Reply, ApiError> {
    app.schedules()?.delete(&caller, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
