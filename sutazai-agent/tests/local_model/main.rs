//! What a real small model does inside the process: by itself, and as the writer of the hardware-optimizer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on says so by ending

use std::path::PathBuf;

mod hardware_optimizer;
mod llama_cpp;

/// The GGUF file that `scripts/model.sh` brings.
fn model_path() -> PathBuf {
    let path = std::env::var_os("SUTAZAI_TEST_MODEL").map(PathBuf::from).unwrap_or_else(|| {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        home.join(".cache/sutazai/models/SmolLM2-135M-Instruct.Q4_1.gguf")
    });
    assert!(path.is_file(), "there is no model at {}: run scripts/model.sh", path.display());
    path
}
