//! Parser of `MODEL_BACKENDS` (`technology=address`, separated by commas), and the errors that name backends and
//! models.

#[cfg(any(feature = "ollama", feature = "openai", feature = "llama-cpp"))]
use sutazai_core::domain::ModelInfo;
use sutazai_core::{Error, ErrorKind, Result};

/// Supported technologies, each with the feature of the same name and an example address.
const TECHNOLOGIES: [(&str, &str); 3] = [
    ("ollama", "http://127.0.0.1:11434"),
    ("openai", "http://127.0.0.1:8080/v1"),
    ("llama-cpp", "/models/small.gguf"),
];

/// Splits the list into its entries.
///
/// # Errors
/// `InvalidInput` when it is empty.
pub(super) fn entries(list: &str) -> Result<Vec<&str>> {
    let entries: Vec<_> = list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    if entries.is_empty() { Err(invalid("an empty list")) } else { Ok(entries) }
}

/// Splits an entry into technology and address.
///
/// # Errors
/// `InvalidInput` when one of them is missing.
pub(super) fn split(entry: &str) -> Result<(&str, &str)> {
    match entry.split_once('=').map(|(technology, address)| (technology.trim(), address.trim())) {
        Some((technology, address)) if !technology.is_empty() && !address.is_empty() => {
            Ok((technology, address))
        }
        _ => Err(invalid(&format!("{entry:?}"))),
    }
}

/// Creates the error for an unavailable technology: this build lacks its feature, or it does not exist.
pub(super) fn unknown(technology: &str) -> Error {
    if TECHNOLOGIES.iter().any(|(known, _)| *known == technology) {
        let message = format!("{technology} is not in this build: it needs the feature `{technology}`");
        return Error::new(ErrorKind::Unsupported, message).with_field("MODEL_BACKENDS");
    }
    invalid(&format!("{technology:?}"))
}

/// Creates the error for a model that a backend does not have; it lists the available ones.
#[cfg(any(feature = "ollama", feature = "openai", feature = "llama-cpp"))]
pub(super) fn no_such_model(backend: &str, model: &str, there: &[ModelInfo]) -> Error {
    let names: Vec<_> = there.iter().map(|model| model.name.as_str()).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Error::new(ErrorKind::NotFound, format!("no model {model}: {backend} has {names}"))
}

/// Creates the error for an embedded model without a program to run it.
#[cfg(feature = "llama-cpp")]
pub(super) fn nowhere_to_run() -> Error {
    let message = "must be set where MODEL_BACKENDS has a llama-cpp entry: expected the path of the `sutazai` program, or \
                   in-process";
    Error::invalid("MODEL_PROGRAM", message)
}

fn invalid(got: &str) -> Error {
    let examples: Vec<_> = TECHNOLOGIES.iter().map(|(name, address)| format!("{name}={address}")).collect();
    Error::invalid(
        "MODEL_BACKENDS",
        format!("expected entries such as {}, separated by commas, got {got}", examples.join(" or ")),
    )
}

#[cfg(test)]
mod tests {
    use super::super::{ConnectOptions, connect, connect_all};
    use super::*;

    fn options() -> ConnectOptions {
        ConnectOptions::default()
    }

    #[test]
    fn invalid_entry_error_states_what_was_expected() {
        for bad in
            ["", " , ", "ollama", "ollama=", "=http://127.0.0.1", "gopher=there", "http://127.0.0.1:11434"]
        {
            let e = connect_all(bad, &options()).unwrap_err();
            assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("MODEL_BACKENDS")), "{bad}");
            assert!(e.message().contains("ollama=http://127.0.0.1:11434"), "{e}");
        }
    }

    #[test]
    #[cfg(all(feature = "ollama", feature = "openai"))]
    fn list_keeps_its_order() {
        let list = "openai=http://127.0.0.1:1/v1, ollama=http://127.0.0.1:2,";
        let names: Vec<_> =
            connect_all(list, &options()).unwrap().iter().map(|b| b.name().to_owned()).collect();
        assert_eq!(names, ["openai", "ollama"]);
        for bad in ["not a url", "ftp://there", "http://user:secret@there"] {
            for technology in ["ollama", "openai"] {
                let e = connect(&format!("{technology}={bad}"), &options()).unwrap_err();
                assert_eq!(e.field(), Some("MODEL_BACKENDS"), "{bad}");
                assert!(!e.to_string().contains("secret"), "{e}");
            }
        }
    }

    #[test]
    #[cfg(feature = "llama-cpp")]
    fn embedded_model_needs_a_place_to_run() {
        let e = connect("llama-cpp=/models/small.gguf", &options()).unwrap_err();
        assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("MODEL_PROGRAM")));
    }

    #[test]
    #[cfg(not(feature = "llama-cpp"))]
    fn missing_feature_is_named() {
        let e = connect("llama-cpp=/models/small.gguf", &options()).unwrap_err();
        assert_eq!((e.kind(), e.field()), (ErrorKind::Unsupported, Some("MODEL_BACKENDS")));
        assert!(e.message().contains("feature `llama-cpp`"), "{e}");
    }
}
