//! Pages: the web interface at `/ui/`, and two that render the OpenAPI description, Swagger UI at `/api/docs` and ReDoc
//! at `/api/redoc`. All their files are embedded in the program; they load nothing from other hosts, and their content
//! security policies forbid it.

mod file;
#[cfg(feature = "api-docs")]
pub(crate) mod redoc;
#[cfg(feature = "api-docs")]
pub(crate) mod swagger_ui;
#[cfg(feature = "ui")]
pub(crate) mod ui;

/// Delivery of the pages of the description: they may execute, load and call only what this server provides. Inline
/// styles are allowed because both libraries need them; Swagger UI has its icons as data URLs, and ReDoc searches in a
/// worker from a blob. Caches keep them for one hour, because they change only with the program.
#[cfg(feature = "api-docs")]
const API_DOCS: file::Delivery = file::Delivery {
    policy: "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
             font-src 'self'; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
    caching: "public, max-age=3600",
};
