//! Which path leads to which route, and what lies around it.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use crate::app::App;
use crate::error::ApiError;
use crate::middleware::{authenticate, envelope, timeout, trace};
use crate::routes::{agents, auth, health, system, tasks};

/// The largest body in bytes that is read: 10 MB.
pub(crate) const MAX_BODY: usize = 10 * 1_000 * 1_000;

/// All of the API. It can be nested under any prefix: it holds no absolute link.
pub fn router(app: App) -> Router {
    let open = Router::new()
        .route("/health", get(health::show::handle))
        .route("/api/v1/auth/register", post(auth::register::handle))
        .route("/api/v1/auth/login", post(auth::login::handle))
        .route("/api/v1/auth/refresh", post(auth::refresh::handle))
        .route_layer(from_fn(timeout::limit));
    let signed_in = Router::new()
        .route("/api/v1/auth/logout", post(auth::logout::handle))
        .route("/api/v1/auth/me", get(auth::me::handle))
        .route("/api/v1/agents", get(agents::list::handle))
        .route("/api/v1/agents/hardware-optimizer/analyze", post(agents::analyze::handle))
        .route("/api/v1/tasks", get(tasks::list::handle).post(tasks::create::handle))
        .route("/api/v1/tasks/{id}", get(tasks::show::handle).delete(tasks::delete::handle))
        .route("/api/v1/tasks/{id}/cancel", post(tasks::cancel::handle))
        .route("/api/v1/tasks/{id}/retry", post(tasks::retry::handle))
        .route("/api/v1/system/metrics", get(system::metrics::handle))
        .route_layer(from_fn(timeout::limit));
    // A stream lasts as long as its task.
    let streams = Router::new().route("/api/v1/tasks/{id}/events", get(tasks::events::handle));
    let signed_in =
        signed_in.merge(streams).route_layer(from_fn_with_state(app.clone(), authenticate::require));
    open.merge(signed_in)
        .fallback(|| async { ApiError::of_status(axum::http::StatusCode::NOT_FOUND) })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(app.clone(), envelope::wrap))
        .layer(from_fn(trace::follow))
        .with_state(app)
}
