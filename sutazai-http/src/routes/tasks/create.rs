//! `POST /api/v1/tasks`: asks for a task.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use sutazai_core::Error;
use sutazai_core::domain::{Caller, NewTask};

use crate::app::App;
use crate::dto::task::TaskView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Json;
use crate::monitoring::counts;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// 202 with the task, which is durable. The same `Idempotency-Key` with the same request gives the same task, with
/// another request 409.
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Json(mut new): Json<NewTask>,
) -> Result<Reply, ApiError> {
    if let Some(key) = headers.get(IDEMPOTENCY_KEY) {
        let refused = |why| Error::invalid(IDEMPOTENCY_KEY, why);
        let key = key.to_str().map_err(|_| refused("expected visible ASCII characters"))?.to_owned();
        if new.idempotency_key.replace(key.clone()).is_some_and(|other| other != key) {
            return Err(refused("the body names another idempotency_key").into());
        }
    }
    let task = app.engine().submit(&caller, new).await?;
    counts::requested(&task.agent);
    Ok(Reply::accepted(&TaskView::from(task)))
}
