//! Slots in texts, for models whose sampling cannot be bound: the model says where a figure, a name or a command goes,
//! the program puts it there.

use super::claims::{Fault, figures};
use super::support::{Support, mask, occurrences};

/// The slots of one finding and what stands for each, in the order of its summary.
#[derive(Debug, Clone)]
pub(super) struct Slots(Vec<(String, String)>);

impl Slots {
    pub(super) fn of(support: &Support) -> Self {
        let mut slots = vec![("resource".to_owned(), support.resource.clone())];
        let bare = mask(&support.summary, &support.called);
        let mut values: Vec<&str> = Vec::new();
        for placed in figures(&bare) {
            let value = &support.summary[placed.start..placed.end];
            if !values.contains(&value) {
                values.push(value);
            }
        }
        slots
            .extend(values.iter().enumerate().map(|(i, value)| (numbered("figure", i), (*value).to_owned())));
        let first = support.advice.iter().filter_map(|remedy| remedy.command.as_ref());
        let mut commands: Vec<_> = first.chain(&support.commands).collect();
        commands.dedup();
        let commands = commands.into_iter().enumerate();
        slots.extend(commands.map(|(i, command)| (numbered("command", i), format!("`{command}`"))));
        Self(slots)
    }

    /// Each slot and what stands for it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(slot, value)| (slot.as_str(), value.as_str()))
    }

    /// A sentence with slots where its values stand.
    pub(super) fn emptied(&self, sentence: &str) -> String {
        let mut sentence = sentence.to_owned();
        for (slot, value) in self.iter() {
            let mut places: Vec<_> = occurrences(&sentence, value).collect();
            places.reverse();
            for start in places {
                sentence.replace_range(start..start + value.len(), &format!("{{{slot}}}"));
            }
        }
        sentence
    }

    /// The text with its slots filled in.
    ///
    /// # Errors
    /// `Number` for a digit outside of a slot, `Name` for a slot that there is not.
    pub(super) fn fill(&self, text: &str) -> Result<String, Fault> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (before, slot) = rest.split_at(open);
            no_digits(before)?;
            let unknown = || Fault::Name(slot.chars().take(40).collect());
            let (name, after) =
                slot.strip_prefix('{').and_then(|slot| slot.split_once('}')).ok_or_else(unknown)?;
            let (_, value) = self.iter().find(|(known, _)| *known == name.trim()).ok_or_else(unknown)?;
            filled.push_str(before);
            // Models like to put a command's slot between backquotes of their own.
            match (filled.ends_with('`'), value.strip_prefix('`'), after.strip_prefix('`')) {
                (true, Some(value), Some(after)) => {
                    filled.push_str(value);
                    rest = after;
                }
                _ => {
                    filled.push_str(value);
                    rest = after;
                }
            }
        }
        no_digits(rest)?;
        filled.push_str(rest);
        Ok(sentence_case(&filled))
    }
}

fn numbered(name: &str, i: usize) -> String {
    // Letters, for a slot's name must not look like a figure.
    match i {
        0 => name.to_owned(),
        i => format!("{name}_{}", char::from(b'a' + (i % 26) as u8)),
    }
}

fn no_digits(text: &str) -> Result<(), Fault> {
    match text.split(' ').find(|word| word.contains(|c: char| c.is_numeric())) {
        Some(word) => Err(Fault::Number(word.to_owned())),
        None => Ok(()),
    }
}

/// A slot at the beginning stands for a name in lower case.
pub(super) fn sentence_case(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
