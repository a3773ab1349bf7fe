//! Builds ready processes from a [`Config`]; the only place that chooses adapters.
//!
//! * `worker`: workers without a server,
//! * `service`, with the feature `http`: a server with its workers, `identity`: its users,
//! * `engine`: the engine of both,
//! * `analysis`: an analysis without a queue,
//! * `model_backends`, `shared`: the models, and the services that processes share.
//!
//! All other modules use ports. The binary and the Python package use this module; an embedder who needs other parts
//! builds an [`Engine`](sutazai_core::engine::Engine) directly or passes a closure to [`Worker::open_with`].

mod analysis;
mod engine;
#[cfg(feature = "http")]
mod identity;
mod model_backends;
#[cfg(feature = "http")]
mod service;
pub(crate) mod shared;
#[cfg(feature = "http")]
mod signing_key;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sutazai_agent::metrics;
use sutazai_core::Result;
use sutazai_core::ports::MetricSource;
use sutazai_store::Stores;

use crate::config::{Config, Secret};

pub use analysis::LocalAnalysis;
pub use engine::with_models;
#[cfg(feature = "http")]
pub use identity::identity;
pub use model_backends::{model_permissions, models, models_with};
#[cfg(feature = "http")]
pub use service::Service;
pub use worker::Worker;

/// Returns the folder of the database if that is a file.
fn data_folder(config: &Config) -> Option<PathBuf> {
    let file = config.database_url.expose().strip_prefix("sqlite://").map(PathBuf::from);
    file.as_deref().and_then(Path::parent).map(Path::to_path_buf)
}

/// Opens the stores of the database at `DATABASE_URL`.
///
/// # Errors
/// Those of [`sutazai_store::open_listening`].
pub async fn stores(config: &Config) -> Result<Stores> {
    let listen_url = config.database_listen_url.as_ref().map(Secret::expose);
    sutazai_store::open_listening(config.database_url.expose(), listen_url).await
}

/// Returns every built-in metric source.
pub fn metric_sources() -> Vec<Arc<dyn MetricSource>> {
    metrics::all()
}
