//! `GET /api/v1/admin/statistics`: counts users and tasks.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::admin::StatisticsView;
use crate::envelope::Reply;
use crate::error::ApiError;

/// Show usage statistics.
#[utoipa::path(
    get,
    path = "/api/v1/admin/statistics",
    operation_id = "show_statistics",
    tag = "admin",
    responses(
        (status = 200, description = "Numbers of users and tasks, and the depth and age of the queue.", body = StatisticsView),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Reply, ApiError> {
    let users = match app.identity() {
        Some(identity) => Some(identity.count_users().await?),
        None => None,
    };
    let (tasks, backlog) = (app.engine().statistics(&caller, None).await?, app.engine().backlog().await?);
    Ok(Reply::ok(&StatisticsView::new(users, tasks, backlog, app.engine().clock().now())))
}
