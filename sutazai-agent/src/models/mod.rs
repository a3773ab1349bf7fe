//! Backends of language models: one file per technology, and a manager over several of them.
//!
//! An operator names backends in `MODEL_BACKENDS`. [`connect_all`] opens them in that order, and [`ModelManager`] puts
//! them behind the one [`ModelBackend`] that agents see: it selects the model, falls back from one backend to the next
//! ([`FallbackChain`]) and suspends calls to a backend that keeps failing ([`CircuitBreaker`]).
//!
//! A new technology needs one file here, its `mod` line and one arm of [`connect`].

#[cfg(any(feature = "ollama", feature = "openai"))]
mod answer;
mod auto_pull;
mod breaker;
mod chain;
#[cfg(any(feature = "ollama", feature = "openai"))]
mod gbnf;
#[cfg(any(feature = "ollama", feature = "openai"))]
mod http;
#[cfg(feature = "llama-cpp")]
mod llama_cpp;
mod manager;
#[cfg(feature = "ollama")]
mod ollama;
#[cfg(feature = "openai")]
mod openai;
mod permissions;
mod retry;
mod spans;
mod specification;
#[cfg(any(feature = "ollama", feature = "openai"))]
mod wire;

use std::sync::Arc;
use std::time::Duration;

use sutazai_core::Result;
use sutazai_core::ports::ModelBackend;

pub use breaker::{BreakerState, CircuitBreaker, Permit};
pub use chain::FallbackChain;
#[cfg(feature = "llama-cpp-native")]
pub use llama_cpp::run_model_process;
#[cfg(feature = "llama-cpp")]
pub use llama_cpp::{LlamaCppModelBackend, ModelLauncher};
pub use manager::ModelManager;
#[cfg(feature = "ollama")]
pub use ollama::OllamaModelBackend;
#[cfg(feature = "openai")]
pub use openai::OpenAiModelBackend;
pub use permissions::{MeasuredModel, PermissionStore};

/// Default of the longest silence of a model before a request to it fails. Loading a large model from a slow disk is
/// silence too.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Settings of backends in addition to their addresses.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Bearer key for `openai` servers.
    pub openai_api_key: Option<String>,
    /// Longest silence of a server before a request to it fails.
    pub idle_timeout: Duration,
    /// Place where `llama-cpp` models run; without it such an entry is an error.
    pub embedded: Option<EmbeddedModels>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { openai_api_key: None, idle_timeout: DEFAULT_IDLE_TIMEOUT, embedded: None }
    }
}

/// Place where the models of GGUF files run.
#[derive(Debug, Clone)]
pub enum EmbeddedModels {
    /// Each in a child process, so that a crash of native code fails only the requests in progress.
    #[cfg(feature = "llama-cpp")]
    ChildProcess(ModelLauncher),
    /// In this process: a crash of native code ends the process.
    #[cfg(feature = "llama-cpp-native")]
    InProcess,
}

/// Opens the backend of one `name=address` entry of `MODEL_BACKENDS`: `ollama=http://127.0.0.1:11434`,
/// `openai=http://127.0.0.1:8080/v1` or `llama-cpp=/models/small.gguf`.
///
/// A GGUF file is loaded here, which may take seconds to minutes: do not call this on a thread of the async runtime.
/// Servers are not contacted.
///
/// # Errors
/// `InvalidInput` naming `MODEL_BACKENDS` and what was expected, or `MODEL_PROGRAM` when no place to run an embedded
/// model is configured; `Unsupported` naming the feature that this build lacks.
pub fn connect(entry: &str, options: &ConnectOptions) -> Result<Arc<dyn ModelBackend>> {
    let (technology, address) = specification::split(entry)?;
    match technology {
        #[cfg(feature = "ollama")]
        "ollama" => Ok(Arc::new(OllamaModelBackend::new(address)?.idle_timeout(options.idle_timeout))),
        #[cfg(feature = "openai")]
        "openai" => {
            let backend = OpenAiModelBackend::new(address, options.openai_api_key.as_deref())?;
            Ok(Arc::new(backend.idle_timeout(options.idle_timeout)))
        }
        #[cfg(feature = "llama-cpp")]
        "llama-cpp" => match &options.embedded {
            Some(EmbeddedModels::ChildProcess(launcher)) => {
                let launcher = launcher.clone().idle_timeout(options.idle_timeout);
                Ok(Arc::new(LlamaCppModelBackend::open(address, launcher)?))
            }
            #[cfg(feature = "llama-cpp-native")]
            Some(EmbeddedModels::InProcess) => Ok(Arc::new(LlamaCppModelBackend::in_process(address)?)),
            None => Err(specification::nowhere_to_run()),
        },
        other => {
            #[cfg(not(any(feature = "ollama", feature = "openai", feature = "llama-cpp")))]
            let _ = (options, address);
            Err(specification::unknown(other))
        }
    }
}

/// Opens every entry of a comma-separated list, in order.
///
/// # Errors
/// Any error of [`connect`]; `InvalidInput` for an empty list.
pub fn connect_all(entries: &str, options: &ConnectOptions) -> Result<Vec<Arc<dyn ModelBackend>>> {
    specification::entries(entries)?.into_iter().map(|entry| connect(entry, options)).collect()
}
