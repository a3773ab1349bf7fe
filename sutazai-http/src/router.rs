//! Which path leads to which route, who may go there, and what lies around it.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post, put};
use sutazai_core::domain::Permission;

use crate::app::App;
use crate::error::ApiError;
use crate::middleware::{authenticate, envelope, permit, timeout, trace};
use crate::routes::{admin, agents, auth, health, metrics as figures, system, tasks};

/// The largest body in bytes that is read: 10 MB.
pub(crate) const MAX_BODY: usize = 10 * 1_000 * 1_000;

/// All of the API. It can be nested under any prefix: it holds no absolute link.
pub fn router(app: App) -> Router {
    let open = Router::new()
        .route("/health", get(health::show::handle))
        .route("/health/ready", get(health::ready::handle))
        .route("/metrics", get(figures::show::handle))
        .route("/api/v1/auth/register", post(auth::register::handle))
        .route("/api/v1/auth/login", post(auth::login::handle))
        .route("/api/v1/auth/refresh", post(auth::refresh::handle));
    let signed_in = Router::new()
        .route("/api/v1/auth/me", get(auth::me::handle))
        .merge(permitted(Permission::ManageAccount, account()))
        .merge(permitted(Permission::Administer, administration()))
        .merge(permitted(Permission::ReadTasks, task_reads()))
        .merge(permitted(Permission::WriteTasks, task_writes()))
        .merge(permitted(Permission::ReadMetrics, metrics()));
    // A stream lasts as long as its task.
    let streams = Router::new().route("/api/v1/tasks/{id}/events", get(tasks::events::handle));
    let signed_in = signed_in
        .route_layer(from_fn(timeout::limit))
        .merge(permitted(Permission::ReadTasks, streams))
        .route_layer(from_fn_with_state(app.clone(), authenticate::require));
    open.route_layer(from_fn(timeout::limit))
        .merge(signed_in)
        .fallback(|| async { ApiError::of_status(axum::http::StatusCode::NOT_FOUND) })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(app.clone(), envelope::wrap))
        .layer(from_fn_with_state(app.clone(), trace::follow))
        .with_state(app)
}

fn account() -> Router<App> {
    Router::new()
        .route("/api/v1/auth/logout", post(auth::logout::handle))
        .route("/api/v1/auth/logout-all", post(auth::logout_all::handle))
        .route("/api/v1/auth/password", post(auth::password::handle))
        .route("/api/v1/auth/sessions", get(auth::sessions::list::handle))
        .route("/api/v1/auth/sessions/{id}", delete(auth::sessions::end::handle))
        .route(
            "/api/v1/auth/api-keys",
            get(auth::api_keys::list::handle).post(auth::api_keys::create::handle),
        )
        .route("/api/v1/auth/api-keys/{id}", delete(auth::api_keys::delete::handle))
}

fn administration() -> Router<App> {
    Router::new()
        .route("/api/v1/admin/users", get(admin::users::list::handle))
        .route("/api/v1/admin/users/{id}/disable", post(admin::users::disable::handle))
        .route("/api/v1/admin/users/{id}/enable", post(admin::users::enable::handle))
        .route("/api/v1/admin/users/{id}/role", put(admin::users::role::handle))
        .route(
            "/api/v1/admin/users/{id}/sessions",
            get(admin::sessions::list::handle).delete(admin::sessions::end::handle),
        )
        .route("/api/v1/admin/dead-letter", get(admin::dead_letter::list::handle))
        .route("/api/v1/admin/dead-letter/retry", post(admin::dead_letter::retry_all::handle))
        .route("/api/v1/admin/dead-letter/{id}/retry", post(admin::dead_letter::retry::handle))
        .route("/api/v1/admin/statistics", get(admin::statistics::handle))
}

fn task_reads() -> Router<App> {
    Router::new()
        .route("/api/v1/agents", get(agents::list::handle))
        .route("/api/v1/tasks", get(tasks::list::handle))
        .route("/api/v1/tasks/{id}", get(tasks::show::handle))
}

fn task_writes() -> Router<App> {
    Router::new()
        .route("/api/v1/agents/hardware-optimizer/analyze", post(agents::analyze::handle))
        .route("/api/v1/tasks", post(tasks::create::handle))
        .route("/api/v1/tasks/{id}", delete(tasks::delete::handle))
        .route("/api/v1/tasks/{id}/cancel", post(tasks::cancel::handle))
        .route("/api/v1/tasks/{id}/retry", post(tasks::retry::handle))
}

fn metrics() -> Router<App> {
    Router::new().route("/api/v1/system/metrics", get(system::metrics::handle))
}

/// These routes, for callers who have this permission.
fn permitted(permission: Permission, routes: Router<App>) -> Router<App> {
    routes.route_layer(from_fn_with_state(permission, permit::require))
}
