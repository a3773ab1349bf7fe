//! Route table: maps each path to its handler and wraps each group of routes in the checks and limits it requires.

use axum::Router;
use axum::extract::DefaultBodyLimit;
#[cfg(not(feature = "ui"))]
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use sutazai_core::domain::Permission;
use tower::util::option_layer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
#[cfg(not(feature = "ui"))]
use crate::error::ApiError;
use crate::middleware::body;
use crate::middleware::{browser, compress, layers, parameters, permit, rate_limit, timeout};
use crate::openapi::{
    access, api, domain_schemas, envelope as envelope_schema, openai_api as openai_openapi,
};
#[cfg(any(feature = "api-docs", feature = "ui"))]
use crate::pages;
#[cfg(feature = "ui")]
use crate::pages::ui::fallback;
use crate::routes::{
    admin, agents, auth, conversations, documents, event_log, health, models, openai_api, openapi,
    prometheus, schedules, setup, system, tasks,
};
use crate::security::body_limit::BodyLimit;

/// Builds the router of the whole API. It can be nested under any prefix, because it contains no absolute link.
pub fn router(app: App) -> Router {
    let (router, document) = described(app.clone());
    router.with_state(app.described(document))
}

/// Returns the OpenAPI document of the whole API as JSON, as the router serves it at `/api/openapi.json`.
///
/// # Examples
///
/// ```
/// use sutazai_core::engine::Engine;
/// use sutazai_http::{App, openapi_document};
///
/// # fn main() -> sutazai_core::Result<()> {
/// let document = openapi_document(App::new(Engine::builder().build()?));
/// assert!(document.contains("/api/v1/tasks/{id}"));
/// # Ok(())
/// # }
/// ```
pub fn openapi_document(app: App) -> String {
    described(app).1
}

/// Builds the routes without their state, and their OpenAPI document.
fn described(app: App) -> (Router<App>, String) {
    let small = |routes| about_users(sized(&app, BodyLimit::ACCOUNT, queried(&app, routes)));
    let open = limited_by_address(&app, small(sign_in())).merge(refreshed(&app, small(refresh())));
    let first_run = limited_by_address(&app, sized(&app, BodyLimit::ACCOUNT, first_run()));
    let open = open.merge(queried(&app, first_run.merge(first_run_state())));
    let open = timed(&app, open);
    let quick = about_users(me())
        .merge(permitted(
            &app,
            Permission::ManageAccount,
            about_users(sized(&app, BodyLimit::ACCOUNT, account()).merge(password(&app))),
        ))
        .merge(permitted(
            &app,
            Permission::Administer,
            about_users(sized(&app, BodyLimit::ACCOUNT, users())).merge(sized(
                &app,
                BodyLimit::JSON,
                operation(),
            )),
        ))
        .merge(permitted(&app, Permission::ReadTasks, about_users(tickets()).merge(task_reads())))
        .merge(permitted(&app, Permission::WriteTasks, sized(&app, BodyLimit::PAYLOAD, task_writes())))
        .merge(permitted(&app, Permission::ReadMetrics, metrics()))
        .merge(permitted(
            &app,
            Permission::UseModels,
            models().merge(sized(&app, BodyLimit::JSON, conversations())),
        ))
        .merge(permitted(&app, Permission::ReadDocuments, document_reads()))
        .merge(permitted(
            &app,
            Permission::WriteDocuments,
            sized(&app, BodyLimit::UPLOAD, document_writes()).merge(sized(
                &app,
                BodyLimit::JSON,
                document_changes(),
            )),
        ))
        .merge(permitted(&app, Permission::Administer, sized(&app, BodyLimit::JSON, model_changes())));
    let answers = permitted(&app, Permission::UseModels, sized(&app, BodyLimit::MODEL, answers()));
    let signed_in = signed_in(&app, timed(&app, quick).merge(answers));
    let streams = permitted(&app, Permission::ReadTasks, streams()).merge(permitted(
        &app,
        Permission::ReadMetrics,
        metric_streams(),
    ));
    let streams = signed_in_or_ticket(&app, streams);
    let gateway = by_protocol(self::signed_in(
        &app,
        permitted(&app, Permission::UseModels, sized(&app, BodyLimit::MODEL, gateway())),
    ));
    let bare = queried(&app, OpenApiRouter::new().routes(routes!(openapi::show)));
    let mut routes = open.merge(signed_in).merge(streams);
    access::queried(routes.get_openapi_mut());
    let routes = enveloped(routes).merge(gateway).merge(bare);
    #[cfg(feature = "api-docs")]
    let routes = routes.merge(pages::swagger_ui::router().merge(pages::redoc::router()).into());
    #[cfg(feature = "ui")]
    let routes = routes.merge(pages::ui::router().into());
    let cross_origin = option_layer(browser::cross_origin(&app.protection().cors_origins));
    let routes = routes.fallback(fallback).layer((
        from_fn_with_state(app.clone(), layers::outermost),
        cross_origin.clone(),
        compress::layer(),
        from_fn_with_state(app.clone(), layers::answered),
        // Default for routes without a body limit in this file: their handlers read no body, so none may arrive.
        DefaultBodyLimit::max(0),
    ));
    let probes = probes(&app).route_layer((from_fn_with_state(app.clone(), layers::probed), cross_origin));
    let (router, document) =
        OpenApiRouter::with_openapi(api::frame()).merge(probes).merge(routes).split_for_parts();
    app.query_parameters().learn(&document);
    (router, domain_schemas::complete(&document))
}

/// Returns whether the router serves the web interface at `/ui/`: whether it was built with the feature `ui` and with
/// the folder that `SUTAZAI_UI` names.
pub const fn has_ui() -> bool {
    cfg!(all(feature = "ui", ui))
}

/// Responds to a path that no route has.
#[cfg(not(feature = "ui"))]
async fn fallback() -> ApiError {
    ApiError::of_status(StatusCode::NOT_FOUND)
}

/// Routes that load balancers and Prometheus poll every few seconds.
fn probes(app: &App) -> OpenApiRouter<App> {
    let figures = OpenApiRouter::new().routes(routes!(prometheus::show)).route_layer(compress::layer());
    let ready = OpenApiRouter::new().routes(routes!(health::ready));
    // Liveness waits for nothing, so a time limit would add cost without an effect.
    let alive = OpenApiRouter::new().routes(routes!(health::show));
    enveloped(alive.merge(timed(app, ready.merge(figures))))
}

fn sign_in() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(auth::register::handle)).routes(routes!(auth::login::handle))
}

fn first_run_state() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(setup::show))
}

fn first_run() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(setup::create))
}

fn refresh() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(auth::refresh::handle))
}

fn me() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(auth::me::show))
}

fn account() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(auth::sessions::logout))
        .routes(routes!(auth::sessions::logout_all))
        .routes(routes!(auth::sessions::list))
        .routes(routes!(auth::sessions::end))
        .routes(routes!(auth::api_keys::list))
        .routes(routes!(auth::api_keys::delete))
}

/// Routes that verify the caller's password. Limited by address, because the holder of a stolen access token could
/// use them to guess the password.
fn password(app: &App) -> OpenApiRouter<App> {
    let routes = OpenApiRouter::new()
        .routes(routes!(auth::password::handle))
        .routes(routes!(auth::api_keys::create))
        .routes(routes!(auth::me::delete));
    limited_by_address(app, sized(app, BodyLimit::ACCOUNT, routes))
}

fn users() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(admin::users::list))
        .routes(routes!(admin::users::create))
        .routes(routes!(admin::users::show))
        .routes(routes!(admin::users::set_password))
        .routes(routes!(admin::users::disable))
        .routes(routes!(admin::users::enable))
        .routes(routes!(admin::users::change_role))
        .routes(routes!(admin::users::delete))
        .routes(routes!(admin::invitations::list))
        .routes(routes!(admin::invitations::create))
        .routes(routes!(admin::invitations::delete))
        .routes(routes!(admin::sessions::list))
        .routes(routes!(admin::sessions::end))
}

fn operation() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(admin::dead_letter::list))
        .routes(routes!(admin::dead_letter::retry_all))
        .routes(routes!(admin::dead_letter::retry))
        .routes(routes!(admin::statistics::handle))
}

fn task_reads() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(agents::list::handle))
        .routes(routes!(tasks::list))
        .routes(routes!(tasks::statistics))
        .routes(routes!(tasks::show))
        .routes(routes!(tasks::messages))
        .routes(routes!(schedules::list))
        .routes(routes!(schedules::show))
        .routes(routes!(schedules::times))
}

fn task_writes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(agents::analyze::handle))
        .routes(routes!(tasks::create::handle))
        .routes(routes!(tasks::batch::handle))
        .routes(routes!(tasks::delete))
        .routes(routes!(tasks::cancel))
        .routes(routes!(tasks::retry))
        .routes(routes!(schedules::create))
        .routes(routes!(schedules::replace))
        .routes(routes!(schedules::run))
        .routes(routes!(schedules::delete))
}

fn tickets() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(auth::ticket::handle))
}

/// Streams: open-ended responses, therefore without a time limit.
fn streams() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(event_log::stream::handle))
        .routes(routes!(tasks::events::handle))
        .routes(routes!(event_log::web_socket::handle))
}

/// Streams of measurements: open-ended responses as well.
fn metric_streams() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(system::stream::handle))
}

fn metrics() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(system::metrics))
        .routes(routes!(system::history))
        .routes(routes!(system::series))
        .routes(routes!(agents::rules::handle))
}

fn models() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(models::list::handle))
}

fn model_changes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(models::pull::handle))
}

fn conversations() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(conversations::list))
        .routes(routes!(conversations::create))
        .routes(routes!(conversations::show))
        .routes(routes!(conversations::rename))
        .routes(routes!(conversations::delete))
}

fn document_reads() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(documents::list))
        .routes(routes!(documents::search))
        .routes(routes!(documents::show))
        .routes(routes!(documents::chunks))
}

fn document_writes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(documents::upload::handle)).routes(routes!(documents::delete))
}

fn document_changes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(documents::rename))
}

/// Routes that wait for a model. No request timeout: admission control in front of the models has its own limit.
fn answers() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(conversations::say::handle))
        .routes(routes!(conversations::ask_again::handle))
}

/// OpenAI-compatible API. No request timeout: admission control in front of the models has its own limit.
fn gateway() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(openai_api::complete::handle))
        .routes(routes!(openai_api::embed::handle))
        .routes(routes!(openai_api::models::list))
        .routes(routes!(openai_api::models::show))
}

/// Restricts the routes to callers with `permission` and documents the requirement.
fn permitted(app: &App, permission: Permission, mut routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    access::permitted(routes.get_openapi_mut(), permission);
    routes.route_layer(from_fn_with_state((app.clone(), permission), permit::require))
}

/// Restricts the routes to authenticated callers and applies the rate limit per user.
fn signed_in(app: &App, mut routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    access::limited(routes.get_openapi_mut());
    access::signed_in(routes.get_openapi_mut());
    routes.route_layer(from_fn_with_state(app.clone(), layers::signed_in))
}

/// Like [`signed_in`], but also accepts a stream ticket, because browsers cannot set a header when they open a
/// stream.
fn signed_in_or_ticket(app: &App, mut routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    access::limited(routes.get_openapi_mut());
    access::signed_in(routes.get_openapi_mut());
    access::ticketed(routes.get_openapi_mut());
    routes.route_layer(from_fn_with_state(app.clone(), layers::signed_in_or_ticket))
}

/// Applies the request timeout to the routes.
fn timed(app: &App, mut routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    access::timed(routes.get_openapi_mut());
    routes.route_layer(from_fn_with_state(app.clone(), timeout::limit))
}

/// Limits the request bodies of the routes to `limit`.
fn sized(app: &App, limit: BodyLimit, mut routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    access::sized(routes.get_openapi_mut(), limit.bytes);
    routes.route_layer(from_fn_with_state((app.clone(), limit), body::limit))
}

/// Rejects unknown query parameters on routes that need no sign-in. Routes behind a sign-in check them in the layer
/// that authenticates.
fn queried(app: &App, mut routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    access::queried(routes.get_openapi_mut());
    routes.route_layer(from_fn_with_state(app.clone(), parameters::check))
}

/// Applies the rate limit per address to routes where a secret can be guessed.
fn limited_by_address(app: &App, mut routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    access::limited(routes.get_openapi_mut());
    routes.route_layer(from_fn_with_state(app.clone(), rate_limit::sign_in))
}

/// Applies the rate limits of token refresh: successful refreshes count as calls, rejected ones as sign-in attempts.
fn refreshed(app: &App, mut routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    access::limited(routes.get_openapi_mut());
    routes.route_layer(from_fn_with_state(app.clone(), rate_limit::refresh))
}

/// Marks these routes as refused by a server without users.
fn about_users(mut routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    access::about_users(routes.get_openapi_mut());
    routes
}

/// Describes these routes with the envelope that `middleware::envelope` writes around their responses.
fn enveloped(mut routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    envelope_schema::wrap(routes.get_openapi_mut());
    routes
}

/// Describes these routes with responses in OpenAI's form, as `middleware::envelope` writes them.
fn by_protocol(mut routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    openai_openapi::describe(routes.get_openapi_mut());
    routes
}
