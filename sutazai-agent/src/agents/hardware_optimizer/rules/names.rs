//! Names that others chose - of processes, containers, mounts - made harmless before they come into a finding.
//!
//! Such a name may hold anything: quotes, line breaks, commands, words that address a model. Only what is cleaned here
//! is used in ids, resources and sentences; of such names only a plain mount path or device name is used in a command.

/// Longest name that is kept.
const LONGEST: usize = 60;

/// The name with letters, digits, `._/:@+-` and single blanks kept and everything else made `_`, cut after 60
/// characters.
pub(in crate::agents::hardware_optimizer) fn clean_name(name: &str) -> String {
    let mut clean = String::with_capacity(LONGEST);
    for c in name.trim_matches(' ').chars() {
        if clean.len() == LONGEST {
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

/// The mount point as an argument of a command; none where the shell or a command might take it for more than a path.
pub(super) fn path_argument(mount: &str) -> Option<&str> {
    let plain = mount.starts_with('/') && mount.len() <= LONGEST && mount.chars().all(is_plain);
    plain.then_some(mount)
}

/// A container's id as an argument of a command: hexadecimal digits only.
pub(super) fn id_argument(id: &str) -> Option<&str> {
    let hexadecimal = (1..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_hexdigit());
    hexadecimal.then_some(id)
}

/// The name of a network interface or a block device as an argument of a command.
pub(super) fn device_argument(name: &str) -> Option<&str> {
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let plain =
        name.len() <= LONGEST && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-@:".contains(c));
    (begins && plain).then_some(name)
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._/:@+-".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_come_out_clean() {
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
        assert_eq!(clean_name(&"x".repeat(500)).len(), LONGEST);
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
