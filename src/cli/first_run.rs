//! First run of a server: shows how to create its first admin.

use std::net::{Ipv4Addr, SocketAddr};

use sutazai::http::has_ui;
use sutazai_core::Result;
use sutazai_core::identity::Identity;

use super::output;

/// Prints the setup code of a server without an admin, as a link to the web interface where there is one. It is written
/// to standard output and not to the log, which others may read and which lasts.
///
/// # Errors
/// Those of the store.
pub(crate) async fn show(identity: &Identity, url: &str) -> Result<()> {
    if let Some(code) = identity.begin_setup().await? {
        let shown = output::line(format_args!("{}", text(&code, url, has_ui())));
        // The server works without: `sutazai admin create-user --admin` creates an admin too.
        shown.unwrap_or_else(|e| tracing::warn!(error = %e, "setup code not shown"));
    }
    Ok(())
}

fn text(code: &str, url: &str, has_ui: bool) -> String {
    let once = "which works once and until the server stops";
    if has_ui {
        format!(
            "This server has no admin yet. Create the first one with this link, {once}:\n  {url}/ui/#/setup/{code}"
        )
    } else {
        format!(
            "This server has no admin yet. Create the first one with this code, {once}:\n  \
             curl {url}/api/v1/setup --json '{{\"code\": \"{code}\", \"username\": \"...\", \"email\": \"...\", \
             \"password\": \"...\"}}'"
        )
    }
}

/// Returns the URL of the server as seen from this machine.
pub(crate) fn url(listen: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let ip = if listen.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { listen.ip() };
    format!("{scheme}://{}", SocketAddr::new(ip, listen.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_names_an_address_that_can_be_opened() {
        for (listen, tls, expected) in [
            ("127.0.0.1:10010", false, "http://127.0.0.1:10010"),
            ("0.0.0.0:443", true, "https://127.0.0.1:443"),
            ("[::]:80", false, "http://127.0.0.1:80"),
            ("[2001:db8::1]:80", false, "http://[2001:db8::1]:80"),
        ] {
            assert_eq!(url(listen.parse().unwrap(), tls), expected);
        }
    }

    #[test]
    fn code_is_in_the_link_or_in_the_request() {
        let link = text("abc", "http://a:1", true);
        assert!(link.ends_with("\n  http://a:1/ui/#/setup/abc"), "{link}");
        let request = text("abc", "http://a:1", false);
        assert!(request.contains("curl http://a:1/api/v1/setup --json '{\"code\": \"abc\", "), "{request}");
    }
}
