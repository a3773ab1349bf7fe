//! `GET /api/v1/admin/statistics`: how the server is used.

use axum::extract::State;

use crate::app::App;
use crate::dto::admin::StatisticsView;
use crate::envelope::Reply;
use crate::error::ApiError;

/// Show how the server is used.
#[utoipa::path(
    get,
    path = "/api/v1/admin/statistics",
    operation_id = "show_statistics",
    tag = "admin",
    responses(
        (status = 200, description = "The numbers of users and of tasks, and the age of the queue.", body = StatisticsView),
    ),
)]
pub(crate) async fn handle(State(app): State<App>) -> Result<Reply, ApiError> {
    let users = match app.identity() {
        Some(identity) => Some(identity.count_users().await?),
        None => None,
    };
    let (tasks, backlog) = (app.engine().statistics().await?, app.engine().backlog().await?);
    Ok(Reply::ok(&StatisticsView::new(users, tasks, backlog, app.engine().clock().now())))
}
