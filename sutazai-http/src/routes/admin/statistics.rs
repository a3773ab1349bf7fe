//! `GET /api/v1/admin/statistics`: how the server is used.

use axum::extract::State;

use crate::app::App;
use crate::dto::admin::StatisticsView;
use crate::envelope::Reply;
use crate::error::ApiError;

/// 200 with the numbers of users, of tasks by status and by agent, and the age of the queue.
pub(crate) async fn handle(State(app): State<App>) -> Result<Reply, ApiError> {
    let users = match app.identity() {
        Some(identity) => Some(identity.count_users().await?),
        None => None,
    };
    let tasks = app.engine().statistics().await?;
    Ok(Reply::ok(&StatisticsView::new(users, tasks, app.engine().clock().now())))
}
