//! The frame of the document: what the API is called, how one signs in, what its parts are about.

use utoipa::OpenApi;
use utoipa::openapi::Server;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};

/// The scheme of tokens that a sign-in gives.
pub(super) const ACCESS_TOKEN: &str = "access_token";
/// The scheme of API keys.
pub(super) const API_KEY: &str = "api_key";
/// The scheme of tickets.
pub(super) const TICKET: &str = "ticket";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "SutazAI",
        description = "Tasks for AI agents. Every answer but streams has one form: `status`, `data` or `error`, `metadata`.",
    ),
    tags(
        (name = "auth", description = "Who is calling, and what they sign in with."),
        (name = "agents", description = "What can be asked for."),
        (name = "tasks", description = "Asking for tasks, following them, stopping them."),
        (name = "schedules", description = "Tasks that are asked for by the clock."),
        (name = "conversations", description = "Talking with a model; what was said is kept."),
        (name = "documents", description = "Files of users, kept as text in chunks and searched by their words."),
        (name = "models", description = "The language models behind this server."),
        (name = "openai", description = "The models by OpenAI's protocol, for its clients. Answers and errors have the protocol's form."),
        (name = "events", description = "What happens, as it happens."),
        (name = "system", description = "The machine below."),
        (name = "admin", description = "For admins: users, failed tasks, numbers."),
        (name = "health", description = "Whether the server is alive."),
        (name = "document", description = "This description."),
    ),
)]
struct Api;

/// The document before any route is in it. Its server is where the document itself lies, so that it stays right under
/// any prefix.
pub(crate) fn frame() -> utoipa::openapi::OpenApi {
    let mut document = Api::openapi();
    document.servers = Some(vec![Server::new("..")]);
    let schemes = &mut document.components.get_or_insert_default().security_schemes;
    let token = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The `access_token` of a sign-in. An API key may stand here too."))
        .build();
    schemes.insert(ACCESS_TOKEN.into(), SecurityScheme::Http(token).into());
    let key = ApiKeyValue::with_description("X-API-Key", "An API key; what it may do its scopes say.");
    schemes.insert(API_KEY.into(), SecurityScheme::ApiKey(ApiKey::Header(key)).into());
    let ticket = ApiKeyValue::with_description(
        "ticket",
        "What `POST /api/v1/auth/ticket` gives: good for one stream.",
    );
    schemes.insert(TICKET.into(), SecurityScheme::ApiKey(ApiKey::Query(ticket)).into());
    document
}
