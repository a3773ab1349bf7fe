//! Validation of a model file before llama.cpp opens it, so that a problem gets a precise error message.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sutazai_core::{Error, Result};

/// Magic bytes of a GGUF file (github.com/ggml-org/ggml, docs/gguf.md); the version follows in 32 bits.
const MAGIC: &[u8; 4] = b"GGUF";

/// GGUF versions that llama.cpp reads.
const VERSIONS: std::ops::RangeInclusive<u32> = 2..=3;

/// Checks the header of a GGUF file and returns the file's size in bytes.
pub(super) fn check(path: &Path) -> Result<u64> {
    let unreadable = |e: std::io::Error| unusable(path, &format!("it cannot be read: {e}"));
    let mut file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(unusable(path, "it is not a file"));
    }
    let mut header = [0; 8];
    file.read_exact(&mut header).map_err(|_| unusable(path, "it is not a GGUF file: it is too short"))?;
    let [a, b, c, d, version @ ..] = header;
    if &[a, b, c, d] != MAGIC {
        return Err(unusable(path, "it is not a GGUF file: it does not begin with GGUF"));
    }
    let version = u32::from_le_bytes(version);
    if !VERSIONS.contains(&version) {
        return Err(unusable(path, &format!("its GGUF version is {version}, expected 2 or 3")));
    }
    Ok(about.len())
}

/// Returns the model's name: the file name without its extension.
pub(super) fn model_name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Creates the error for a file that cannot be used as a model.
pub(super) fn unusable(path: &Path, why: &str) -> Error {
    Error::invalid("MODEL_BACKENDS", format!("expected a GGUF model at {}, but {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_model_are_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("small.gguf");
        assert!(check(&path).unwrap_err().message().contains("cannot be read"));
        assert!(check(folder.path()).unwrap_err().message().contains("not a file"));
        for (bytes, says) in [
            (&b"GG"[..], "too short"),
            (b"PK\x03\x04 a zip file", "does not begin with GGUF"),
            (b"GGUF\x01\0\0\0", "version is 1"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let e = check(&path).unwrap_err();
            assert!(e.message().contains(says), "{e}");
            assert_eq!(e.field(), Some("MODEL_BACKENDS"));
        }
        std::fs::write(&path, b"GGUF\x03\0\0\0").unwrap();
        assert_eq!(check(&path).unwrap(), 8);
    }
}
