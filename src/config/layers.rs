//! Where values come from: the environment, a file over it, flags over both.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use sutazai_core::Error;
use sutazai_http::read_private_file;

use super::secret::Secret;
use super::settings::{SETTINGS, Setting};

/// Values as they were found, with where each came from; not yet checked.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    found: BTreeMap<&'static str, (Secret, String)>,
    pub(super) problems: Vec<Error>,
}

impl Layers {
    /// Reads the environment through `lookup`, then the file, then the flags (setting name and value).
    pub fn read(
        lookup: impl Fn(&str) -> Option<String>,
        file: Option<&Path>,
        flags: &[(&'static str, Option<String>)],
    ) -> Self {
        let mut layers = Self::default();
        for setting in SETTINGS {
            layers.read_environment(setting, &lookup);
        }
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

    /// Name, value and origin of every setting; secrets are hidden.
    pub fn effective(&self) -> Vec<(&'static str, String, String)> {
        SETTINGS
            .iter()
            .map(|setting| match (self.found.get(setting.name), (setting.default)()) {
                (Some(_), _) if setting.secret => (setting.name, "(hidden)".to_owned(), self.origin(setting)),
                (Some((value, _)), _) => (setting.name, hide_password(value.expose()), self.origin(setting)),
                (None, Some(default)) => (setting.name, default, "default".to_owned()),
                (None, None) => (setting.name, "(not set)".to_owned(), "default".to_owned()),
            })
            .collect()
    }

    fn origin(&self, setting: &Setting) -> String {
        self.found.get(setting.name).map_or_else(|| "default".to_owned(), |(_, origin)| origin.clone())
    }

    fn put(&mut self, setting: &'static Setting, value: String, origin: String) {
        self.found.insert(setting.name, (Secret::new(value), origin));
    }

    fn read_environment(&mut self, setting: &'static Setting, lookup: &impl Fn(&str) -> Option<String>) {
        let file_variable = format!("{}_FILE", setting.name);
        if (setting.secret || setting.name == "DATABASE_URL")
            && let Some(path) = lookup(&file_variable).filter(|path| !path.is_empty())
        {
            match read_private_file(Path::new(&path)) {
                Ok(text) => self.put(setting, text.trim_end().to_owned(), format!("{file_variable}={path}")),
                Err(e) => {
                    self.problems.push(Error::invalid(file_variable, format!("cannot read {path}: {e}")))
                }
            }
        } else if let Some(value) = lookup(setting.name).filter(|value| !value.is_empty()) {
            self.put(setting, value, "environment".to_owned());
        }
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
            match setting_named(&key.to_uppercase()) {
                Some(setting) => self.put(setting, text, shown.clone()),
                None => self.problems.push(Error::invalid(key, format!("{shown}: no such setting"))),
            }
        }
    }

    pub(super) fn text(&self, name: &'static str) -> Option<String> {
        let found = self.found.get(name).map(|(value, _)| value.expose().to_owned());
        found.or_else(|| setting_named(name).and_then(|setting| (setting.default)()))
    }

    pub(super) fn number<T: FromStr + PartialOrd + fmt::Display>(
        &self,
        name: &'static str,
        (min, max): (T, T),
        problems: &mut Vec<Error>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let number = text.parse::<T>().ok().filter(|number| (&min..=&max).contains(&number));
        if number.is_none() {
            problems.push(Error::invalid(
                name,
                format!("expected a whole number from {min} to {max}, got {text:?}"),
            ));
        }
        number
    }

    pub(super) fn choice<T: Copy>(
        &self,
        name: &'static str,
        of: &[(&str, T)],
        problems: &mut Vec<Error>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let chosen = of.iter().find(|(word, _)| *word == text.to_lowercase()).map(|(_, value)| *value);
        if chosen.is_none() {
            let words: Vec<_> = of.iter().map(|(word, _)| *word).collect();
            problems
                .push(Error::invalid(name, format!("expected one of {}, got {text:?}", words.join(", "))));
        }
        chosen
    }
}

fn setting_named(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// Hides what stands between `//user:` and the last `@` of an address, and the value of a parameter `password`. A
/// password that is not percent-encoded may hold any character, also those that end the host or separate addresses: what
/// stands before an `@` is hidden rather too far than not.
fn hide_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    // A comma begins the next address only where another scheme follows it.
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

/// The parameter, without its value where that is a secret.
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
