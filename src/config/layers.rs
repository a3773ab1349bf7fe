//! Sources of values: the environment, the file and the flags, in ascending priority.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use sutazai_core::Error;

use super::foreign::{aliases, hint, nearest};
use super::private_file::read_private_file;
use super::secret::Secret;
use super::settings::{Setting, Values, setting_named, settings};

/// Values as they were found, with their origins; not yet validated.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    found: BTreeMap<&'static str, (Secret, String)>,
    pub(super) problems: Vec<Error>,
    warnings: Vec<String>,
}

impl Layers {
    /// Reads the environment, then the file, then the flags (setting name and value); each overrides those
    /// before it.
    pub fn read(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        file: Option<&Path>,
        flags: &[(&'static str, Option<String>)],
    ) -> Self {
        let mut layers = Self::default();
        layers.read_environment(&environment.into_iter().collect());
        if let Some(path) = file {
            layers.read_file(path);
        }
        for (name, value) in flags {
            if let (Some(setting), Some(value)) = (setting_named(name), value) {
                let flag = format!("--{}", name.to_lowercase().replace('_', "-"));
                layers.put(setting, value.clone(), flag);
            }
        }
        layers
    }

    /// Returns name, value and origin of every setting; secrets and passwords are hidden.
    pub fn effective(&self) -> Vec<(&'static str, String, String)> {
        settings()
            .map(|setting| match (self.found.get(setting.name), setting.default_value()) {
                (Some((value, origin)), _) => (setting.name, shown(setting, value), origin.clone()),
                (None, Some(default)) => (setting.name, default, "default".to_owned()),
                (None, None) => (setting.name, "(not set)".to_owned(), "default".to_owned()),
            })
            .collect()
    }

    /// Returns warnings about environment variables that look like settings but are not; each names the right
    /// one.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn put(&mut self, setting: &'static Setting, value: String, origin: String) {
        self.found.insert(setting.name, (Secret::new(value), origin));
    }

    fn read_environment(&mut self, environment: &BTreeMap<OsString, OsString>) {
        // An empty variable counts as not set: Compose and systemd pass those on.
        let value = |name: &str| environment.get(OsStr::new(name)).filter(|value| !value.is_empty());
        for setting in settings() {
            let file_variable = format!("{}_FILE", setting.name);
            match (value(&file_variable).filter(|_| setting.may_be_in_a_file()), value(setting.name)) {
                (Some(path), _) => match read_private_file(Path::new(path)) {
                    Ok(text) => {
                        let origin = format!("{file_variable}={}", path.display());
                        self.put(setting, text.trim_end().to_owned(), origin);
                    }
                    Err(e) => {
                        let why = format!("cannot read {}: {e}", path.display());
                        self.problems.push(Error::invalid(file_variable, why));
                    }
                },
                (None, Some(value)) => match value.to_str() {
                    Some(value) => self.put(setting, value.to_owned(), "environment".to_owned()),
                    None => self.problems.push(Error::invalid(setting.name, "expected text in UTF-8")),
                },
                (None, None) => {}
            }
        }
        for (name, value) in aliases(|name| value(name).and_then(|value| value.to_str())) {
            if let Some(setting) =
                setting_named(name.of).filter(|setting| !self.found.contains_key(setting.name))
            {
                self.put(setting, value, format!("environment, {}", name.name));
            }
        }
        let names =
            environment.iter().filter(|(_, value)| !value.is_empty()).filter_map(|(name, _)| name.to_str());
        self.warnings = names.filter_map(hint).collect();
    }

    fn read_file(&mut self, path: &Path) {
        let shown = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) => {
                return self.problems.push(Error::invalid("--config", format!("cannot read {shown}: {e}")));
            }
        };
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(e) => {
                return self.problems.push(Error::invalid("--config", format!("{shown}: {}", e.message())));
            }
        };
        for (key, value) in table {
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(flag) => flag.to_string(),
                other => {
                    let got = other.type_str();
                    let wanted =
                        format!("{shown}: expected a string, a whole number or a boolean, got {got}");
                    self.problems.push(Error::invalid(key, wanted));
                    continue;
                }
            };
            let name = key.to_uppercase();
            match setting_named(&name) {
                Some(setting) => self.put(setting, text, shown.clone()),
                None => {
                    let instead =
                        nearest(&name).map(|near| format!("; did you mean {}?", near.to_lowercase()));
                    let why = format!("{shown}: no such setting{}", instead.unwrap_or_default());
                    self.problems.push(Error::invalid(key, why));
                }
            }
        }
    }

    pub(super) fn text(&self, name: &'static str) -> Option<String> {
        let found = self.found.get(name).map(|(value, _)| value.expose().to_owned());
        found.or_else(|| setting_named(name).and_then(Setting::default_value))
    }

    /// Reads a whole number within the setting's range.
    pub(super) fn number<T: TryFrom<u64>>(&self, name: &'static str, problems: &mut Vec<Error>) -> Option<T> {
        let Values::Number { min, max } = setting_named(name)?.values else { return None };
        self.number_from(name, min..=max, problems)
    }

    /// Reads a whole number within a narrower range than the setting's.
    pub(super) fn number_from<T: TryFrom<u64>>(
        &self,
        name: &'static str,
        range: RangeInclusive<u64>,
        problems: &mut Vec<Error>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let number = text.parse::<u64>().ok().filter(|number| range.contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            let (min, max) = (range.start(), range.end());
            let why = format!("expected a whole number from {min} to {max}, got {text:?}");
            problems.push(Error::invalid(name, why));
        }
        number
    }

    /// Reads an optional number: `Some(None)` when it is not set.
    pub(super) fn number_if_set<T: TryFrom<u64>>(
        &self,
        name: &'static str,
        problems: &mut Vec<Error>,
    ) -> Option<Option<T>> {
        match self.text(name) {
            Some(_) => self.number(name, problems).map(Some),
            None => Some(None),
        }
    }

    /// Reads a whole number of seconds.
    pub(super) fn seconds(&self, name: &'static str, problems: &mut Vec<Error>) -> Option<Duration> {
        self.number(name, problems).map(Duration::from_secs)
    }

    /// Reads a whole number of days.
    pub(super) fn days(&self, name: &'static str, problems: &mut Vec<Error>) -> Option<Duration> {
        self.number(name, problems).map(|days: u64| Duration::from_secs(days * 86_400))
    }

    /// Reads a setting that is on or off.
    pub(super) fn switch(&self, name: &'static str, problems: &mut Vec<Error>) -> Option<bool> {
        const WORDS: &[&str] = &["true", "false", "on", "off", "1", "0"];
        self.one_of(WORDS, name, problems).map(|word| ["true", "on", "1"].contains(&word))
    }

    /// Reads one of the words of the setting.
    pub(super) fn word(&self, name: &'static str, problems: &mut Vec<Error>) -> Option<&'static str> {
        let Values::Choice(words) = setting_named(name)?.values else { return None };
        self.one_of(words, name, problems)
    }

    fn one_of(
        &self,
        words: &'static [&'static str],
        name: &'static str,
        problems: &mut Vec<Error>,
    ) -> Option<&'static str> {
        let text = self.text(name)?;
        let word = words.iter().find(|word| **word == text.to_lowercase()).copied();
        if word.is_none() {
            let why = format!("expected one of {}, got {text:?}", words.join(", "));
            problems.push(Error::invalid(name, why));
        }
        word
    }
}

/// Returns the value with its secret parts hidden.
fn shown(setting: &Setting, value: &Secret) -> String {
    if setting.is_secret() { "(hidden)".to_owned() } else { hide_password(value.expose()) }
}

/// Hides the text between `//user:` and the last `@` of an address, and the value of a parameter `password`.
/// A password that is not percent-encoded may contain any character, even those that end the host or separate
/// addresses, so hiding too much before an `@` is preferred to hiding too little.
fn hide_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    // A comma separates addresses only if another scheme follows it.
    let next = rest.find("://").and_then(|mark| rest[..mark].rfind(','));
    let (first, others) = next.map_or((rest, None), |comma| (&rest[..comma], Some(&rest[comma + 1..])));
    let (authority, parameters) = match first.rfind('@') {
        Some(at) => {
            let user = first[..at].split([':', '/', '?']).next().unwrap_or_default();
            let host = &first[at..];
            let (host, parameters) = host.split_once('?').unwrap_or((host, ""));
            (format!("{user}:(hidden){host}"), parameters)
        }
        None => {
            let (authority, parameters) = first.split_once('?').unwrap_or((first, ""));
            (authority.to_owned(), parameters)
        }
    };
    let parameters: Vec<_> =
        parameters.split('&').filter(|one| !one.is_empty()).map(hide_parameter).collect();
    let mark = if parameters.is_empty() { "" } else { "?" };
    let others = others.map_or_else(String::new, |others| format!(",{}", hide_password(others)));
    format!("{scheme}://{authority}{mark}{}{others}", parameters.join("&"))
}

/// Hides the value of a parameter if it is a secret.
fn hide_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if ["password", "sslpassword"].contains(&name.to_lowercase().as_str()) => {
            format!("{name}=(hidden)")
        }
        _ => parameter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown_whatever_it_holds() {
        for (address, shown) in [
            ("postgres://me:hunter2@db/x", "postgres://me:(hidden)@db/x"),
            ("postgres://me:hun/ter2@db/x", "postgres://me:(hidden)@db/x"),
            ("postgres://me:hun,ter2@db/x", "postgres://me:(hidden)@db/x"),
            ("postgres://me:hun@ter2@db/x", "postgres://me:(hidden)@db/x"),
            ("postgres://me:hun?ter2@db/x", "postgres://me:(hidden)@db/x"),
            (
                "postgres://me:hun:ter2@db:1/x?sslmode=require",
                "postgres://me:(hidden)@db:1/x?sslmode=require",
            ),
            ("postgres://db/x?user=me&password=hunter2", "postgres://db/x?user=me&password=(hidden)"),
            ("postgres://db/x?PASSWORD=hunter2&a=b", "postgres://db/x?PASSWORD=(hidden)&a=b"),
            ("http://me:hunter2@collector:4318", "http://me:(hidden)@collector:4318"),
            ("a=http://me:hun/ter2@one,b=http://two:1/v1", "a=http://me:(hidden)@one,b=http://two:1/v1"),
            (
                "llama-cpp=/m.gguf,ollama=http://127.0.0.1:11434",
                "llama-cpp=/m.gguf,ollama=http://127.0.0.1:11434",
            ),
            ("sqlite:///var/lib/x.db", "sqlite:///var/lib/x.db"),
            ("plain text", "plain text"),
        ] {
            assert_eq!(hide_password(address), shown, "{address}");
        }
    }
}
