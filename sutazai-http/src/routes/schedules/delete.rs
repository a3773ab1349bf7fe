//! `DELETE /api/v1/schedules/{id}`: removes a schedule; its tasks stay.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, ScheduleId};

use crate::app::App;
use crate::dto::gone::Gone;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::IdPath;

/// Remove a schedule; its tasks stay.
#[utoipa::path(
    delete,
    path = "/api/v1/schedules/{id}",
    operation_id = "delete_schedule",
    tag = "schedules",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "It is gone.", body = Gone)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<ScheduleId>,
) -> Result<Reply, ApiError> {
    app.schedules()?.delete(&caller, id).await?;
    Ok(Reply::ok(&Gone { id: id.0 }))
}
