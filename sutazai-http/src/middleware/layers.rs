//! The parts of this folder that always lie around each other, as one layer of axum each: a layer costs some allocations
//! for every request, and copies all layers within it.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sutazai_core::domain::Caller;

use super::{answer, authenticate, browser, envelope, host, rate_limit, trace};
use crate::app::App;
use crate::error::ApiError;

/// Around everything but probes: the trace, and the headers for browsers.
pub(crate) async fn outermost(State(app): State<App>, request: Request, next: Next) -> Response {
    let inner = |request| browser::secure(&app, request, |request| next.run(request));
    trace::follow(&app, request, inner).await
}

/// Around probes, all of it: what is asked for every few seconds, by whoever reaches the server, is to cost little.
pub(crate) async fn probed(State(app): State<App>, request: Request, next: Next) -> Response {
    let enveloped = |request| envelope::wrap(&app, request, |request| admitted(&app, request, next));
    trace::pass(&app, request, |request| browser::secure(&app, request, enveloped)).await
}

/// Around all other routes: the envelope, and who may ask at all.
pub(crate) async fn answered(State(app): State<App>, request: Request, next: Next) -> Response {
    envelope::wrap(&app, request, |request| admitted(&app, request, next)).await
}

async fn admitted(app: &App, request: Request, next: Next) -> Response {
    match host::check(app, &request) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

/// For callers who have signed in: who they are, whether the route has what they send in the query, and how often they may
/// call.
pub(crate) async fn signed_in(State(app): State<App>, request: Request, next: Next) -> Response {
    authenticate::require(&app, request, |request| called(&app, request, next)).await
}

/// The same for streams, which a ticket opens too.
pub(crate) async fn signed_in_or_ticket(State(app): State<App>, request: Request, next: Next) -> Response {
    authenticate::require_or_ticket(&app, request, |request| called(&app, request, next)).await
}

/// What the query may hold, how often the caller may call, and the memory that the answer takes.
async fn called(app: &App, request: Request, next: Next) -> Response {
    if let Err(e) = app.query_parameters().check(&request) {
        return ApiError::from(e).into_response();
    }
    let caller = request.extensions().get::<Caller>().cloned();
    let response = rate_limit::calls(app, request, next).await;
    answer::count(app, caller.as_ref(), response)
}
