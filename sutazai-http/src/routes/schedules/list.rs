//! `GET /api/v1/schedules`: lists the caller's schedules, newest first.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::schedule::{ListSchedules, ScheduleList};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Query;

/// List the caller's schedules.
#[utoipa::path(
    get,
    path = "/api/v1/schedules",
    operation_id = "list_schedules",
    tag = "schedules",
    params(ListSchedules),
    responses((status = 200, description = "One page of schedules, newest first.", body = ScheduleList)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(list): Query<ListSchedules>,
) -> Result<Reply, ApiError> {
    let page = app.schedules()?.list(&caller, list.query()?).await?;
    Ok(Reply::ok(&ScheduleList::from(page)))
}
