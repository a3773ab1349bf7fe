//! Frame of the OpenAPI description: title, tags and security schemes.

use utoipa::OpenApi;
use utoipa::openapi::Server;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};

/// Security scheme of access tokens.
pub(super) const ACCESS_TOKEN: &str = "access_token";
/// Security scheme of API keys.
pub(super) const API_KEY: &str = "api_key";
/// Security scheme of stream tickets.
pub(super) const TICKET: &str = "ticket";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "SutazAI",
        description = "Tasks for AI agents. All JSON responses have the same form: `status`, `data` or `error`, and `metadata`. Streams do not.",
    ),
    tags(
        (name = "auth", description = "Registration, sign-in, sessions, API keys and stream tickets."),
        (name = "agents", description = "Agents of this server and the payloads they accept."),
        (name = "tasks", description = "Submit, follow, cancel and retry tasks."),
        (name = "schedules", description = "Cron schedules that submit tasks."),
        (name = "conversations", description = "Stored conversations with a model."),
        (name = "documents", description = "Documents of users, stored as text in chunks and searched by their words."),
        (name = "models", description = "Language models that this server can use."),
        (name = "openai", description = "OpenAI-compatible API. Responses and errors have the form of OpenAI's protocol."),
        (name = "events", description = "Events of tasks in real time."),
        (name = "system", description = "Metrics of the machine that the server runs on."),
        (name = "admin", description = "Administration of users, failed tasks and statistics. For admins only."),
        (name = "health", description = "Liveness, readiness and metrics of the server."),
        (name = "document", description = "This description."),
    ),
)]
struct Api;

/// Creates the description without any route. The server URL is relative to the description's own path, so that it is
/// right under any prefix.
pub(crate) fn frame() -> utoipa::openapi::OpenApi {
    let mut document = Api::openapi();
    document.servers = Some(vec![Server::new("..")]);
    let schemes = &mut document.components.get_or_insert_default().security_schemes;
    let token = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The `access_token` of a sign-in. An API key is accepted here too."))
        .build();
    schemes.insert(ACCESS_TOKEN.into(), SecurityScheme::Http(token).into());
    let key = ApiKeyValue::with_description("X-API-Key", "An API key; its scopes limit what it may do.");
    schemes.insert(API_KEY.into(), SecurityScheme::ApiKey(ApiKey::Header(key)).into());
    let ticket = ApiKeyValue::with_description(
        "ticket",
        "A ticket of `POST /api/v1/auth/ticket`, valid for one stream.",
    );
    schemes.insert(TICKET.into(), SecurityScheme::ApiKey(ApiKey::Query(ticket)).into());
    document
}
