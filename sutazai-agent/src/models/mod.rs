//! Where text comes from: one file a technology, and what makes several of them one.
//!
//! An operator names backends in `MODEL_BACKENDS`; [`connect_all`] opens them in that order and [`ModelManager`]
//! puts them behind the one [`ModelBackend`] that agents see: it chooses the model, falls from one backend to the
//! next ([`FallbackChain`]) and leaves alone what keeps failing ([`CircuitBreaker`]).
//!
//! Another technology is one file here, its `mod` line and one arm of [`connect`].

#[cfg(any(feature = "ollama", feature = "openai"))]
mod answer;
mod breaker;
mod chain;
#[cfg(any(feature = "ollama", feature = "openai"))]
mod http;
#[cfg(feature = "llama-cpp")]
mod llama_cpp;
mod manager;
#[cfg(feature = "ollama")]
mod ollama;
#[cfg(feature = "openai")]
mod openai;
mod spans;
mod specification;
#[cfg(any(feature = "ollama", feature = "openai"))]
mod wire;

use std::sync::Arc;
use std::time::Duration;

use sutazai_core::Result;
use sutazai_core::ports::ModelBackend;

pub use breaker::{BreakerState, CircuitBreaker};
pub use chain::FallbackChain;
#[cfg(feature = "llama-cpp")]
pub use llama_cpp::LlamaCppModelBackend;
pub use manager::ModelManager;
#[cfg(feature = "ollama")]
pub use ollama::OllamaModelBackend;
#[cfg(feature = "openai")]
pub use openai::OpenAiModelBackend;

/// Opens the backend of one `name=address` entry of `MODEL_BACKENDS`: `ollama=http://127.0.0.1:11434`,
/// `openai=http://127.0.0.1:8080/v1` or `llama-cpp=/models/small.gguf`. The key is for `openai` servers; any server that
/// keeps silent for `idle` is taken for stuck. A GGUF file is loaded here, which takes its time: call it off the async
/// threads. No server is asked anything yet.
///
/// # Errors
/// `InvalidInput` naming `MODEL_BACKENDS` and what was expected; `Unsupported` naming the feature that this build
/// lacks.
pub fn connect(entry: &str, openai_api_key: Option<&str>, idle: Duration) -> Result<Arc<dyn ModelBackend>> {
    let (technology, address) = specification::split(entry)?;
    match technology {
        #[cfg(feature = "ollama")]
        "ollama" => Ok(Arc::new(OllamaModelBackend::new(address)?.with_idle_timeout(idle))),
        #[cfg(feature = "openai")]
        "openai" => Ok(Arc::new(OpenAiModelBackend::new(address, openai_api_key)?.with_idle_timeout(idle))),
        #[cfg(feature = "llama-cpp")]
        "llama-cpp" => Ok(Arc::new(LlamaCppModelBackend::open(address)?)),
        other => Err(specification::unknown(other)),
    }
}

/// Opens every entry of a comma-separated list, in its order.
///
/// # Errors
/// Those of [`connect`]; an empty list is `InvalidInput`.
pub fn connect_all(
    entries: &str,
    openai_api_key: Option<&str>,
    idle: Duration,
) -> Result<Vec<Arc<dyn ModelBackend>>> {
    specification::entries(entries)?.into_iter().map(|entry| connect(entry, openai_api_key, idle)).collect()
}
