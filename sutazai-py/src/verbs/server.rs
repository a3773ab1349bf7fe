//! Requests about HTTP servers of the engine.

use serde::Deserialize;
use serde_json::json;
use sutazai::domain::Permission;

use super::{Answer, answer, nothing};
use crate::local::Local;

#[derive(Deserialize)]
pub(super) struct Start {
    host: String,
    port: u16,
    /// Key for the tokens of users who end with the engine.
    signing_key: String,
}

pub(super) async fn start(local: &Local, body: Start) -> Answer {
    local.engine().require(&local.caller, Permission::Administer)?;
    let begun = local.servers.start(local.engine(), &body.host, body.port, &body.signing_key).await?;
    let scheme = if begun.has_tls { "https" } else { "http" };
    answer(&json!({
        "number": begun.number,
        "url": format!("{scheme}://{}", begun.address),
        "host": begun.address.ip().to_string(),
        "port": begun.address.port(),
        "setup_code": begun.setup_code,
    }))
}

#[derive(Debug, Deserialize)]
pub(super) struct Stop {
    number: u64,
}

pub(super) async fn stop(local: &Local, body: Stop) -> Answer {
    local.engine().require(&local.caller, Permission::Administer)?;
    local.servers.stop(body.number).await?;
    nothing()
}
