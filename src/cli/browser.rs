//! Opens the web interface in the browser of the person who starts the server.

use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};
use std::thread;

use super::output;

/// Program of the desktop that opens an address.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Environment variables that name a display or a browser. Without one of them `xdg-open` would look for a browser that
/// runs in the terminal, which the server occupies.
const DISPLAYS: [&str; 3] = ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"];

/// Other environment variables that a browser needs. It gets no others, since settings of the server are secrets.
const KEPT: [&str; 8] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS"];

/// Beginnings of the names of further variables that a browser needs: those of desktops, languages and WSL.
const KEPT_PREFIXES: [&str; 8] = ["XDG_", "LC_", "DESKTOP_", "GNOME_", "KDE_", "GTK_", "QT_", "WSL"];

/// Opens `url` in a browser, or prints it where there is none. Some browsers keep the opening program running until they
/// are closed, so it runs in a thread of its own.
pub(crate) fn open(url: String) {
    let environment: Vec<(OsString, OsString)> =
        std::env::vars_os().filter(|(name, _)| is_kept(name)).collect();
    let has_display = environment
        .iter()
        .any(|(name, value)| !value.is_empty() && DISPLAYS.iter().any(|display| name == OsStr::new(display)));
    if !has_display && !cfg!(target_os = "macos") {
        return show(&url);
    }
    thread::spawn(move || {
        let mut opener = Command::new(OPENER);
        opener.arg(&url).env_clear().envs(environment);
        opener.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if !opener.status().is_ok_and(|status| status.success()) {
            show(&url);
        }
    });
}

fn is_kept(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    DISPLAYS.contains(&name)
        || KEPT.contains(&name)
        || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn show(url: &str) {
    let shown = output::line(format_args!("Open {url} in a browser."));
    // The server works without.
    shown.unwrap_or_else(|e| tracing::warn!(error = %e, "address not shown"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browser_gets_no_setting_of_the_server() {
        for kept in ["DISPLAY", "HOME", "XDG_RUNTIME_DIR", "LC_ALL", "WSLENV"] {
            assert!(is_kept(OsStr::new(kept)), "{kept}");
        }
        for secret in ["JWT_SECRET_KEY", "DATABASE_URL", "ADMIN_PASSWORD", "HOMEPAGE", "MYXDG_A", ""] {
            assert!(!is_kept(OsStr::new(secret)), "{secret}");
        }
    }
}
