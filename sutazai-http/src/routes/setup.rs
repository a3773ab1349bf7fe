//! `/api/v1/setup`: the first run of a server, until it has an admin.

use axum::extract::State;
use sutazai_bodies::auth::UserView;
use sutazai_core::identity::Client;

use crate::app::App;
use crate::dto::setup::{FirstAdmin, SetupView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{ClientAddress, Json, UserAgent};

/// Show the state of the first run.
///
/// Says whether callers sign in on this server, whether it still needs an admin, and whether anybody may register.
#[utoipa::path(
    get,
    path = "/api/v1/setup",
    operation_id = "show_setup",
    tag = "auth",
    responses(
        (status = 200, description = "The state of the first run.", body = SetupView),
    ),
)]
pub(crate) async fn show(State(app): State<App>) -> Result<Reply, ApiError> {
    let view = match app.identity() {
        Some(identity) => SetupView {
            users: true,
            needs_admin: identity.needs_admin().await?,
            open_registration: identity.has_open_registration(),
        },
        None => SetupView::default(),
    };
    Ok(Reply::ok(&view))
}

/// Create the first admin.
///
/// Requires the setup code that `sutazai serve` printed when it started, and works once: as soon as there is an admin,
/// the code is worthless. It does not sign the admin in.
#[utoipa::path(
    post,
    path = "/api/v1/setup",
    operation_id = "create_first_admin",
    tag = "auth",
    request_body = FirstAdmin,
    responses(
        (status = 201, description = "The admin was created.", body = UserView),
        (status = 403, description = "The setup code is wrong."),
        (status = 409, description = "There is an admin; or the username or the e-mail address is taken, then `details.field` says which."),
        (status = 501, description = "This server runs without users."),
        (status = 503, description = "Too many passwords are being checked; `Retry-After` says when to retry."),
    ),
)]
pub(crate) async fn create(
    State(app): State<App>,
    UserAgent(user_agent): UserAgent,
    ClientAddress(address): ClientAddress,
    Json(body): Json<FirstAdmin>,
) -> Result<Reply, ApiError> {
    let identity = app.require_identity()?;
    let client = Client { user_agent: user_agent.as_deref(), address: Some(address) };
    let (code, new) = body.split();
    let admin = identity.create_first_admin(&code, new, client).await?;
    Ok(Reply::created(&UserView::from(admin)))
}
