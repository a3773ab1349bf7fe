//! Environment variables that are not settings: names of other programs, and misspelled names.

use super::settings::{setting_named, settings};

/// Variable of another program that is read as a setting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alias {
    /// Name of the variable.
    pub(super) name: &'static str,
    /// Setting that takes its value when it is not set itself.
    pub(super) of: &'static str,
}

/// Variables of the applications that this project replaces. The first one that is set wins.
const ALIASES: &[Alias] = &[
    Alias { name: "OLLAMA_BASE_URL", of: "MODEL_BACKENDS" },
    Alias { name: "OLLAMA_HOST", of: "MODEL_BACKENDS" },
    Alias { name: "MODEL_OVERRIDE", of: "DEFAULT_MODEL" },
    Alias { name: "OLLAMA_DEFAULT_MODEL", of: "DEFAULT_MODEL" },
];

/// Variables of other programs, with the setting that expresses the same in another form.
const FOREIGN: &[(&str, &str)] = &[
    ("AMQP_URL", "RABBITMQ_URL"),
    ("CELERY_BROKER_URL", "RABBITMQ_URL"),
    ("JWT_SECRET", "JWT_SECRET_KEY"),
    ("OPENAI_API_BASE", "MODEL_BACKENDS=openai=URL"),
    ("OPENAI_BASE_URL", "MODEL_BACKENDS=openai=URL"),
    ("POSTGRES_DB", "DATABASE_URL"),
    ("POSTGRES_HOST", "DATABASE_URL"),
    ("POSTGRES_PASSWORD", "DATABASE_URL"),
    ("POSTGRES_PORT", "DATABASE_URL"),
    ("POSTGRES_USER", "DATABASE_URL"),
    ("RABBITMQ_HOST", "RABBITMQ_URL"),
    ("RABBITMQ_PASSWORD", "RABBITMQ_URL"),
    ("RABBITMQ_USER", "RABBITMQ_URL"),
    ("REDIS_HOST", "REDIS_URL"),
    ("REDIS_PASSWORD", "REDIS_URL"),
    ("REDIS_PORT", "REDIS_URL"),
];

/// Prefixes that only settings of this program have.
const PREFIXES: &[&str] = &["ARGON2_", "DATABASE_", "HISTORY_", "JWT_", "MODEL_", "RATE_LIMIT_"];

/// Maximum number of characters that are added, left out, changed or swapped in a misspelled name.
const MAX_TYPOS: usize = 2;

/// Returns the settings whose values come from aliases that are set.
pub(super) fn aliases<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Vec<(Alias, String)> {
    let set = ALIASES.iter().filter_map(|alias| Some((*alias, value(alias.name)?)));
    let mut given: Vec<(Alias, String)> = Vec::new();
    for (alias, value) in set {
        if given.iter().all(|(other, _)| other.of != alias.of) {
            let value = if alias.of == "MODEL_BACKENDS" { ollama(value) } else { value.to_owned() };
            given.push((alias, value));
        }
    }
    given
}

/// Returns the backend of an Ollama server. Ollama's own variable may contain a host without a scheme, or the
/// wildcard address that the server binds, which reaches it as loopback.
fn ollama(address: &str) -> String {
    let (scheme, host) = address.split_once("://").unwrap_or(("http", address));
    let host = host.replacen("0.0.0.0", "127.0.0.1", 1);
    let has_port =
        host.rsplit_once(':').is_some_and(|(_, port)| port.chars().all(|c| c.is_ascii_digit() || c == '/'));
    let port = if has_port || address.contains("://") { "" } else { ":11434" };
    format!("ollama={scheme}://{host}{port}")
}

/// Suggests a setting for a variable that is not a setting but looks like one.
pub(super) fn hint(name: &str) -> Option<String> {
    let known = |name: &str| setting_named(name).is_some() || ALIASES.iter().any(|alias| alias.name == name);
    if known(name) || name.strip_suffix("_FILE").is_some_and(known) {
        return None;
    }
    if let Some((_, instead)) = FOREIGN.iter().find(|(foreign, _)| *foreign == name) {
        return Some(format!("{name} is not read; use {instead}"));
    }
    match nearest(name) {
        Some(near) => Some(format!("{name} is not a setting; did you mean {near}?")),
        None if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) => {
            Some(format!("{name} is not a setting; `sutazai config settings` lists them"))
        }
        None => None,
    }
}

/// Returns the setting whose name differs by at most `MAX_TYPOS` characters. Names of fewer than 8 characters
/// are not compared, because many words are near them.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let distance = |setting: &str| strsim::damerau_levenshtein(name, setting);
    let names = settings().map(|setting| setting.name).filter(|setting| setting.len() >= 8);
    let (typos, near) = names.map(|setting| (distance(setting), setting)).min()?;
    (1..=MAX_TYPOS).contains(&typos).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelled_and_foreign_names_get_a_hint() {
        for (name, says) in [
            ("DATABSE_URL", "did you mean DATABASE_URL?"),
            ("DATABASE_ULR", "did you mean DATABASE_URL?"),
            ("RABITMQ_URL", "did you mean RABBITMQ_URL?"),
            ("POSTGRES_HOST", "use DATABASE_URL"),
            ("RATE_LIMIT_BURST", "lists them"),
        ] {
            assert!(hint(name).is_some_and(|hint| hint.ends_with(says)), "{name}: {:?}", hint(name));
        }
        for name in ["DATABASE_URL", "DATABASE_URL_FILE", "OLLAMA_HOST", "PATH", "HOME", "LISTENER"] {
            assert_eq!(hint(name), None, "{name}");
        }
    }

    #[test]
    fn addresses_of_ollama_in_all_its_forms_become_a_backend() {
        for (address, backend) in [
            ("http://10.0.0.7:11434", "ollama=http://10.0.0.7:11434"),
            ("https://models.example.org/ollama", "ollama=https://models.example.org/ollama"),
            ("0.0.0.0:11500", "ollama=http://127.0.0.1:11500"),
            ("0.0.0.0", "ollama=http://127.0.0.1:11434"),
            ("gpu-box", "ollama=http://gpu-box:11434"),
        ] {
            assert_eq!(ollama(address), backend);
        }
    }

    #[test]
    fn every_alias_is_read_and_documented() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        let documentation = std::fs::read_to_string(path).unwrap();
        for (name, expected) in [
            ("OLLAMA_BASE_URL", ("MODEL_BACKENDS", "ollama=http://box:1")),
            ("OLLAMA_HOST", ("MODEL_BACKENDS", "ollama=http://box:1")),
            ("MODEL_OVERRIDE", ("DEFAULT_MODEL", "http://box:1")),
            ("OLLAMA_DEFAULT_MODEL", ("DEFAULT_MODEL", "http://box:1")),
        ] {
            let given = aliases(|other| (other == name).then_some("http://box:1"));
            let given: Vec<_> = given.iter().map(|(alias, value)| (alias.of, value.as_str())).collect();
            assert_eq!(given, [expected], "{name}");
            assert!(documentation.contains(&format!("`{name}`")), "{name} is not in docs/configuration.md");
        }
    }

    #[test]
    fn first_alias_of_a_setting_applies() {
        let value = |name: &str| match name {
            "OLLAMA_BASE_URL" => Some("http://one:1"),
            "OLLAMA_HOST" => Some("two"),
            "MODEL_OVERRIDE" => Some("mistral"),
            "OLLAMA_DEFAULT_MODEL" => Some("llama"),
            _ => None,
        };
        let given: Vec<_> = aliases(value).into_iter().map(|(alias, value)| (alias.of, value)).collect();
        let expected =
            [("MODEL_BACKENDS", "ollama=http://one:1".to_owned()), ("DEFAULT_MODEL", "mistral".to_owned())];
        assert_eq!(given, expected);
    }
}
