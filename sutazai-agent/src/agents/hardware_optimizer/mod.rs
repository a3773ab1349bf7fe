//! The hardware optimizer.

#[allow(dead_code, unused_imports, reason = "used by the agent")]
mod rules;
