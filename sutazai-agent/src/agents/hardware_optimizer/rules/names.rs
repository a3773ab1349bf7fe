//! Sanitization of names of untrusted origin (processes, containers, mounts) before they enter a finding.
//!
//! Such a name may hold anything: quotes, line breaks, commands, or words that address a model. Ids, resources and
//! sentences use only names that were cleaned here, and commands use only plain mount paths, device names and container
//! ids.

/// Longest name in characters; the rest is cut off.
const MAX_NAME_CHARS: usize = 60;

/// Cleans a name: keeps letters, digits, `._/:@+-` and single blanks, replaces everything else by `_`, and cuts after
/// 60 characters.
pub(in crate::agents::hardware_optimizer) fn clean_name(name: &str) -> String {
    let mut clean = String::with_capacity(MAX_NAME_CHARS);
    for c in name.trim_matches(' ').chars() {
        if clean.len() == MAX_NAME_CHARS {
            break;
        }
        match c {
            ' ' if clean.ends_with(' ') => {}
            ' ' => clean.push(' '),
            c if is_plain(c) => clean.push(c),
            _ => clean.push('_'),
        }
    }
    let clean = clean.trim_end_matches(' ');
    if clean.is_empty() { "unnamed".to_owned() } else { clean.to_owned() }
}

/// Returns the mount point as an argument of a command; `None` if a shell or the command might read more than a path in
/// it.
pub(super) fn path_argument(mount: &str) -> Option<&str> {
    let plain = mount.starts_with('/') && mount.len() <= MAX_NAME_CHARS && mount.chars().all(is_plain);
    plain.then_some(mount)
}

/// Returns a container's id as an argument of a command; `None` unless it has only hexadecimal digits.
pub(super) fn id_argument(id: &str) -> Option<&str> {
    let hexadecimal = (1..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_hexdigit());
    hexadecimal.then_some(id)
}

/// Returns the name of a network interface or block device as an argument of a command; `None` if it is unsafe.
pub(super) fn device_argument(name: &str) -> Option<&str> {
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let plain = name.len() <= MAX_NAME_CHARS
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-@:".contains(c));
    (begins && plain).then_some(name)
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._/:@+-".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_cleaned() {
        for (name, clean) in [
            ("postgres", "postgres"),
            ("registry:5000/team/web@v1.2+a-b_c", "registry:5000/team/web@v1.2+a-b_c"),
            ("  two   blanks  ", "two blanks"),
            ("a\nb\tc", "a_b_c"),
            ("$(reboot)`x`;'\"|&<>", "__reboot__x________"),
            ("naïve 名", "na_ve _"),
            ("", "unnamed"),
            ("   ", "unnamed"),
        ] {
            assert_eq!(clean_name(name), clean, "{name:?}");
        }
        assert_eq!(clean_name(&"x".repeat(500)).len(), MAX_NAME_CHARS);
        assert!(!clean_name(&format!("{} y", "x".repeat(59))).ends_with(' '));
    }

    #[test]
    fn only_plain_words_become_arguments() {
        assert_eq!(path_argument("/var/lib"), Some("/var/lib"));
        for path in ["var", "/a b", "/a;b", "/$x", "/`x`", "-rf", "/é", "/a\nb"] {
            assert_eq!(path_argument(path), None, "{path:?}");
        }
        assert_eq!(id_argument("0123456789ab"), Some("0123456789ab"));
        for id in ["", "web", "-f", "12 34"] {
            assert_eq!(id_argument(id), None, "{id:?}");
        }
        assert_eq!(device_argument("enp0s3.100"), Some("enp0s3.100"));
        for name in ["-s", "", "a b", "eth0;x", "a/b"] {
            assert_eq!(device_argument(name), None, "{name:?}");
        }
    }
}
