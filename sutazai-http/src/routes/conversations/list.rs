//! `GET /api/v1/conversations`: lists the caller's conversations, newest first.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::conversation::{ConversationList, ListPage};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Query;

/// List the caller's conversations.
#[utoipa::path(
    get,
    path = "/api/v1/conversations",
    operation_id = "list_conversations",
    tag = "conversations",
    params(ListPage),
    responses((status = 200, description = "One page of conversations, newest first.", body = ConversationList)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(page): Query<ListPage>,
) -> Result<Reply, ApiError> {
    let page = app.chat()?.list(&caller, page.conversations()?).await?;
    Ok(Reply::ok(&ConversationList::from(page)))
}
