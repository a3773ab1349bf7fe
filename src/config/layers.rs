//! Where values come from: the environment, a file over it, flags over both.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use sutazai_core::Error;

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
        if setting.secret
            && let Some(path) = lookup(&file_variable).filter(|path| !path.is_empty())
        {
            match std::fs::read_to_string(&path) {
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

/// Hides what stands between `//user:` and `@` of an address, in each of several that commas separate.
fn hide_password(text: &str) -> String {
    let hide = |part: &str| {
        let Some((scheme, rest)) = part.split_once("://") else { return part.to_owned() };
        let authority_end = rest.find('/').unwrap_or(rest.len());
        match rest[..authority_end].rfind('@') {
            Some(at) => {
                let user = rest[..at].split(':').next().unwrap_or_default();
                format!("{scheme}://{user}:(hidden){}", &rest[at..])
            }
            None => part.to_owned(),
        }
    };
    text.split(',').map(hide).collect::<Vec<_>>().join(",")
}
