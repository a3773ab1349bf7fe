//! Web origins whose pages may call the API from a browser (Fetch standard, CORS protocol).

use std::str::FromStr;

use axum::http::{HeaderValue, Uri};
use sutazai_core::Error;

/// Allowed origins as browsers send them; none by default. As text: origins such as `https://app.example.org`,
/// separated by commas, or `*` for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorsOrigins(pub(crate) Vec<HeaderValue>);

impl FromStr for CorsOrigins {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts: Vec<_> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        let all = parts == ["*"];
        let origin = |part: &&str| {
            let fits = all || is_origin(part);
            HeaderValue::from_str(part).ok().filter(|_| fits).ok_or_else(|| {
                let expected = "expected * or origins such as https://app.example.org, separated by commas";
                Error::invalid("cors_origins", format!("{expected}, got {part:?}"))
            })
        };
        parts.iter().map(origin).collect::<Result<_, _>>().map(Self)
    }
}

impl CorsOrigins {
    /// Returns whether pages of all origins may call.
    pub fn all(&self) -> bool {
        self.0.iter().any(|origin| origin == "*")
    }
}

/// Returns whether the text is an origin: scheme, host and an optional port, in lower case and without a
/// path. Browsers never send anything else, so another spelling would silently match nothing.
fn is_origin(text: &str) -> bool {
    let known = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    let bare = !text.ends_with('/') && !text.contains(['?', '#', '@', '*']);
    let plain = text.parse::<Uri>().is_ok_and(|uri| uri.host().is_some() && uri.path() == "/");
    known && bare && plain && text == text.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_parsed_and_invalid_ones_are_named() {
        let two: CorsOrigins = "https://app.example.org, http://localhost:3000".parse().unwrap();
        assert_eq!((two.0.len(), two.all()), (2, false));
        assert!("*".parse::<CorsOrigins>().unwrap().all());
        assert_eq!("".parse::<CorsOrigins>().unwrap(), CorsOrigins::default());
        for bad in [
            "app.example.org",
            "https://app.example.org/",
            "https://app.example.org/page",
            "https://App.example.org",
            "ftp://example.org",
            "https://*.example.org",
            "https://a@example.org",
            "*,https://app.example.org",
            "null",
        ] {
            let e = bad.parse::<CorsOrigins>().unwrap_err();
            assert!(e.to_string().contains("expected * or origins"), "{bad}: {e}");
        }
    }
}
