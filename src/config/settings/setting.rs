//! Description of one setting: its name, its values, its default and its meaning.

use std::time::Duration;

/// A setting, named by its environment variable.
#[derive(Debug)]
pub struct Setting {
    /// Name of its environment variable; in a file, the name is in lower case.
    pub name: &'static str,
    /// Values that the setting accepts.
    pub values: Values,
    /// Value that applies when the setting is not set.
    pub default: Fallback,
    /// Meaning of the setting, as a phrase.
    pub help: &'static str,
}

/// Values that a setting accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// A whole number within this range.
    Number {
        /// Smallest value that is accepted.
        min: u64,
        /// Largest value that is accepted.
        max: u64,
    },
    /// `true` or `false`, also `on`, `off`, `1`, `0`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text of the form described here.
    Text(&'static str),
    /// An address of this form. It may contain a password, which is hidden in output; `NAME_FILE` names a
    /// file with the address.
    Address(&'static str),
    /// A secret of at least `min_bytes`, which is never shown; `NAME_FILE` names a file with it.
    Secret {
        /// Shortest secret that is accepted.
        min_bytes: usize,
    },
}

/// Value of a setting that is not set.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// A constant default value.
    Fixed(&'static str),
    /// A default of the library, or one that depends on the machine.
    Computed(fn() -> String),
    /// Absence of a value; the text describes what applies then.
    Unset(&'static str),
}

impl Setting {
    /// Returns whether the value is never shown.
    pub fn is_secret(&self) -> bool {
        matches!(self.values, Values::Secret { .. })
    }

    /// Returns whether `NAME_FILE` may name a file that contains the value.
    pub fn may_be_in_a_file(&self) -> bool {
        matches!(self.values, Values::Secret { .. } | Values::Address(_))
    }

    /// Describes the accepted values, for people.
    pub fn expected(&self) -> String {
        match self.values {
            Values::Number { min, max } => format!("{min} to {max}"),
            Values::Switch => "true or false".to_owned(),
            Values::Choice(words) => words.join(" or "),
            Values::Text(form) | Values::Address(form) => form.to_owned(),
            Values::Secret { min_bytes: 0 } => "a secret".to_owned(),
            Values::Secret { min_bytes } => format!("a secret of at least {min_bytes} bytes"),
        }
    }

    /// Returns the default value, if there is one.
    pub fn default_value(&self) -> Option<String> {
        match self.default {
            Fallback::Fixed(value) => Some(value.to_owned()),
            Fallback::Computed(value) => Some(value()),
            Fallback::Unset(_) => None,
        }
    }

    /// Describes the default for people, independent of the machine.
    pub fn default_text(&self) -> String {
        match (self.name, self.default) {
            ("DATABASE_URL", _) => "sutazai/sutazai.db in $XDG_DATA_HOME or ~/.local/share".to_owned(),
            ("WORKERS", _) => "the number of processors".to_owned(),
            ("HOST_NAME", _) => "the kernel's host name".to_owned(),
            (_, Fallback::Fixed(value)) => value.to_owned(),
            (_, Fallback::Computed(value)) => value(),
            (_, Fallback::Unset(text)) => text.to_owned(),
        }
    }
}

/// Formats a duration of the library as the value of a setting in seconds.
pub(super) fn seconds(duration: Duration) -> String {
    duration.as_secs().to_string()
}

/// Returns a duration of the library as the value of a setting in days.
pub(super) fn days(duration: Duration) -> String {
    (duration.as_secs() / 86_400).to_string()
}
