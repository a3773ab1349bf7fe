//! The agents.

mod hardware_optimizer;
