//! Placeholders in answers of models whose sampling cannot be constrained.
//!
//! The model writes where the statement, a command or the resource goes, and the program inserts it. The result is
//! checked like every other text.

use super::advice::capitalized;
use super::rules::Found;

/// Placeholders of one finding, with their values.
#[derive(Debug, Clone)]
pub(super) struct Placeholders(Vec<(String, String)>);

impl Placeholders {
    /// Creates `statement`, `resource`, `command`, and `command_b`, `command_c` ... for further commands.
    pub(super) fn of(found: &Found) -> Self {
        let statement = found.texts.statements.first().cloned().unwrap_or_default();
        let mut placeholders = vec![
            ("statement".to_owned(), statement),
            ("resource".to_owned(), found.finding.resource.clone()),
        ];
        let commands = found.finding.remedies.iter().filter_map(|remedy| remedy.command.as_ref());
        for (letter, command) in ('a'..='z').zip(commands) {
            let name = if letter == 'a' { "command".to_owned() } else { format!("command_{letter}") };
            placeholders.push((name, format!("`{command}`")));
        }
        Self(placeholders)
    }

    /// Iterates over the names and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Fills in the placeholders of a text. Unknown ones are kept, so that the check rejects the text.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let known = after.split_once('}').and_then(|(name, behind)| {
                let (_, value) = self.iter().find(|(known, _)| *known == name.trim())?;
                Some((value, behind))
            });
            match known {
                // Models tend to put a command's placeholder between backquotes of their own.
                Some((value, behind))
                    if value.starts_with('`') && filled.ends_with('`') && behind.starts_with('`') =>
                {
                    filled.push_str(&value[1..]);
                    rest = &behind[1..];
                }
                Some((value, behind)) => {
                    // A resource is written in lower case and may begin a sentence.
                    let begins = filled.trim_end().is_empty() || filled.trim_end().ends_with('.');
                    filled.push_str(&if begins { capitalized(value) } else { value.to_owned() });
                    rest = behind;
                }
                None => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_and_unknown_ones_are_kept() {
        let values = [("statement", "Swap is full."), ("resource", "swap"), ("command", "`free -h`")];
        let placeholders = Placeholders(values.map(|(name, value)| (name.into(), value.into())).to_vec());
        for (text, filled) in [
            ("{statement} Run {command} now.", "Swap is full. Run `free -h` now."),
            ("Run `{command}`. {resource} and { resource }", "Run `free -h`. Swap and swap"),
            ("{unknown} and {command", "{unknown} and {command"),
            ("{}{{command}}", "{}{`free -h`}"),
            ("", ""),
        ] {
            assert_eq!(placeholders.fill(text), filled);
        }
    }
}
