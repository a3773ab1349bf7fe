//! `sutazai openapi`: the OpenAPI document of the HTTP API, for generators of clients.

use std::process::ExitCode;

use sutazai::engine::Engine;
use sutazai::http::{App, openapi_document};
use sutazai_core::Result;

use super::output;

/// Prints the document that a server of this build serves at `/api/openapi.json`.
pub(crate) fn run() -> Result<ExitCode> {
    let app = App::new(Engine::builder().build()?);
    output::json(&openapi_document(app)).map(|()| ExitCode::SUCCESS)
}
