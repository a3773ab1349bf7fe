//! Authenticates the caller before any other part of the request is used.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use sutazai_core::domain::Caller;
use sutazai_core::identity::{Authenticated, Identity};
use sutazai_core::{ErrorKind, Result};

use crate::app::App;
use crate::auth::credential::Credential;
use crate::error::ApiError;
use crate::middleware::rate_limit::FailedAuth;

/// Query parameter that contains a stream ticket.
const TICKET_PARAMETER: &str = "ticket";

/// Authenticates a request by its bearer token or API key. Inserts the [`Caller`] into the extensions and, for an
/// access token, the [`Authenticated`]. Without identity every caller is the system.
pub(super) async fn require<F>(app: &App, request: Request, inner: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let credential = Credential::of(request.headers());
    admit(app, credential, request, inner).await
}

/// Like [`require`], but accepts a stream ticket in the URL instead. Also inserts the [`Credential`], which must
/// remain valid while the stream is open.
pub(super) async fn require_or_ticket<F>(
    app: &App,
    mut request: Request,
    inner: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let ticket = ticket(&request).filter(|_| app.identity().is_some());
    let credential = match ticket {
        Some(ticket) if !Credential::is_in(request.headers()) => {
            app.tickets().redeem(&ticket, app.engine().clock().now())
        }
        _ => Credential::of(request.headers()),
    };
    if let Ok(credential) = &credential {
        request.extensions_mut().insert(credential.clone());
    }
    admit(app, credential, request, inner).await
}

async fn admit<F>(
    app: &App,
    credential: Result<Credential>,
    mut request: Request,
    inner: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let caller = match app.identity() {
        None => Caller::System,
        Some(identity) => {
            let failed_auth = FailedAuth::of(app, &request);
            let proved = match credential {
                Ok(credential) => prove(identity, &credential, failed_auth).await,
                Err(e) => Err(ApiError::from(e).into_response()),
            };
            match proved {
                Ok((caller, authenticated)) => {
                    if let Some(user) = caller.owner() {
                        tracing::Span::current().record("user_id", tracing::field::display(user));
                    }
                    if let Some(authenticated) = authenticated {
                        request.extensions_mut().insert::<Authenticated>(authenticated);
                    }
                    caller
                }
                Err(refused) => return refused,
            }
        }
    };
    request.extensions_mut().insert(caller);
    inner(request).await
}

/// Resolves a credential to its caller. Unknown credentials count towards the brute-force limit of the address; once
/// it is exceeded, they are rejected without being verified.
async fn prove(
    identity: &Identity,
    credential: &Credential,
    failed_auth: Option<FailedAuth<'_>>,
) -> Result<(Caller, Option<Authenticated>), Response> {
    let failed_auth = failed_auth.filter(|_| credential.is_failed_auth(identity));
    if let Some(refusal) = failed_auth.as_ref().and_then(FailedAuth::refusal) {
        return Err(refusal);
    }
    match (credential.prove(identity).await, failed_auth) {
        (Err(e), Some(failed_auth)) if e.kind() == ErrorKind::Unauthenticated => {
            Err(failed_auth.count(e).await)
        }
        (proved, _) => proved.map_err(|e| ApiError::from(e).into_response()),
    }
}

fn ticket(request: &Request) -> Option<String> {
    let query = request.uri().query()?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == TICKET_PARAMETER).map(|(_, ticket)| ticket.into_owned())
}
