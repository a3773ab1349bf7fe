//! Finds out who is calling, before anything else of the request is looked at.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use sutazai_core::Result;
use sutazai_core::domain::Caller;
use sutazai_core::identity::Authenticated;

use crate::app::App;
use crate::auth::credential::Credential;
use crate::error::ApiError;

/// The parameter of the query string that holds a ticket.
const TICKET: &str = "ticket";

/// Lets a request pass whose bearer token or API key is good, with a [`Caller`] and, for somebody who has signed in, an
/// [`Authenticated`] in its extensions. Without identity everybody is the system.
pub(super) async fn require<F>(app: &App, request: Request, inner: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let credential = Credential::of(request.headers());
    admit(app, credential, request, inner).await
}

/// The same for streams, where a ticket may stand in the address; with the [`Credential`] in the extensions, which has
/// to be good as long as the stream lasts.
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
            let proved = match credential {
                Ok(credential) => credential.prove(identity).await,
                Err(e) => Err(e),
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
                Err(e) => return ApiError::from(e).into_response(),
            }
        }
    };
    request.extensions_mut().insert(caller);
    inner(request).await
}

fn ticket(request: &Request) -> Option<String> {
    let query = request.uri().query()?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == TICKET).map(|(_, ticket)| ticket.into_owned())
}
