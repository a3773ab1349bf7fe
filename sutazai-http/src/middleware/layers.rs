//! Combines the middleware into a few axum layers. One layer instead of several saves allocations: each layer costs
//! some per request, and clones all layers within it.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sutazai_core::domain::Caller;

use super::{answer, authenticate, browser, envelope, host, rate_limit, trace};
use crate::app::App;
use crate::error::ApiError;

/// Outermost layer of all routes but probes: trace and browser headers.
pub(crate) async fn outermost(State(app): State<App>, request: Request, next: Next) -> Response {
    let inner = |request| browser::secure(&app, request, |request| next.run(request));
    trace::follow(&app, request, inner).await
}

/// Single layer of probes. They are polled every few seconds by anyone who reaches the server, so they must be cheap.
pub(crate) async fn probed(State(app): State<App>, request: Request, next: Next) -> Response {
    let enveloped = |request| envelope::wrap(&app, request, |request| admitted(&app, request, next));
    trace::pass(&app, request, |request| browser::secure(&app, request, enveloped)).await
}

/// Layer of all other routes: the envelope, and the check of origin and host.
pub(crate) async fn answered(State(app): State<App>, request: Request, next: Next) -> Response {
    envelope::wrap(&app, request, |request| admitted(&app, request, next)).await
}

async fn admitted(app: &App, request: Request, next: Next) -> Response {
    match host::check(app, &request) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

/// Layer of routes that require a sign-in: authentication, query parameters, rate limit and response memory.
pub(crate) async fn signed_in(State(app): State<App>, request: Request, next: Next) -> Response {
    authenticate::require(&app, request, |request| called(&app, request, next)).await
}

/// Like [`signed_in`], for streams, which also accept a ticket.
pub(crate) async fn signed_in_or_ticket(State(app): State<App>, request: Request, next: Next) -> Response {
    authenticate::require_or_ticket(&app, request, |request| called(&app, request, next)).await
}

/// Checks the query parameters, applies the rate limit, and counts the memory of the response.
async fn called(app: &App, request: Request, next: Next) -> Response {
    if let Err(e) = app.query_parameters().check(&request) {
        return ApiError::from(e).into_response();
    }
    let caller = request.extensions().get::<Caller>().cloned();
    let response = rate_limit::calls(app, request, next).await;
    answer::count(app, caller.as_ref(), response)
}
