//! In the making.

/// In the making.
#[derive(Debug)]
pub struct ScriptedModelBackend;
