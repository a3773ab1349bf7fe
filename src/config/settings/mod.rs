//! The only description of each setting. Parsing, `config check`, `config settings`, the help of the flags
//! and docs/configuration.md are derived from it.

mod accounts;
mod metrics;
mod models;
mod server;
mod setting;
mod storage;
mod tasks;

use std::fmt::Write;

pub use setting::{Fallback, Setting, Values};
pub(crate) use storage::user_data_folder;

/// Subject of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Databases and message brokers.
    Storage,
    /// Models and the requests to them.
    Models,
    /// Users, sessions and their keys.
    Accounts,
    /// The HTTP server and its limits.
    Server,
    /// Workers, quotas and retention.
    Tasks,
    /// Metric history, monitoring, traces and logs.
    Metrics,
}

/// Returns every setting, by group.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    Group::ALL.into_iter().flat_map(Group::settings)
}

/// Returns the setting of this name.
pub fn setting_named(name: &str) -> Option<&'static Setting> {
    settings().find(|setting| setting.name == name)
}

/// Returns the meaning of a setting for the help of its flag; empty where there is no such setting.
pub fn flag_help(name: &str) -> String {
    let Some(setting) = setting_named(name) else { return String::new() };
    let mut help = setting.help.to_owned();
    help[..1].make_ascii_uppercase();
    format!("{help} [env: {name}]")
}

/// Returns the tables of docs/configuration.md: every setting by group, in Markdown.
pub fn markdown() -> String {
    let mut text = String::new();
    let cell = |text: &str| text.replace('|', "\\|");
    for group in Group::ALL {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n### {}\n\n| variable | meaning | values | default |\n|---|---|---|---|\n",
            group.title()
        );
        for setting in group.settings() {
            let secret = if setting.is_secret() { " (secret)" } else { "" };
            let (help, expected, default) =
                (cell(setting.help), cell(&setting.expected()), cell(&setting.default_text()));
            let _ = writeln!(text, "| `{}`{secret} | {help} | {expected} | {default} |", setting.name);
        }
    }
    text.trim_start().to_owned()
}

impl Group {
    /// All groups, in the order in which they are listed.
    pub const ALL: [Self; 6] =
        [Self::Storage, Self::Models, Self::Accounts, Self::Server, Self::Tasks, Self::Metrics];

    /// Settings of the group.
    pub fn settings(self) -> &'static [Setting] {
        match self {
            Self::Storage => storage::SETTINGS,
            Self::Models => models::SETTINGS,
            Self::Accounts => accounts::SETTINGS,
            Self::Server => server::SETTINGS,
            Self::Tasks => tasks::SETTINGS,
            Self::Metrics => metrics::SETTINGS,
        }
    }

    /// Heading of the group.
    pub fn title(self) -> &'static str {
        match self {
            Self::Storage => "Storage",
            Self::Models => "Models",
            Self::Accounts => "Accounts",
            Self::Server => "Server",
            Self::Tasks => "Tasks and quotas",
            Self::Metrics => "Metrics and logs",
        }
    }
}
