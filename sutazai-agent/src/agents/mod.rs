//! Built-in agents: one file or folder each, every one an implementation of [`Agent`], listed in [`all`].
//!
//! An agent reaches the outside only through its [`AgentContext`](sutazai_core::ports::AgentContext): it imports no
//! model backend and no metric source.

use std::sync::Arc;

use sutazai_core::ports::Agent;

pub mod hardware_optimizer;
pub mod model_puller;

pub use hardware_optimizer::HardwareOptimizer;
pub use model_puller::ModelPuller;

/// Returns all built-in agents.
pub fn all() -> Vec<Arc<dyn Agent>> {
    vec![Arc::new(HardwareOptimizer), Arc::new(ModelPuller)]
}
