//! Checks a text against what its finding supports.
//!
//! Everything that claims something is taken out of the text first: commands, names, figures, each of which must be
//! the finding's own. What is left must be words, and none that makes a claim which the finding's own sentences do not
//! make.

use sutazai_core::domain::{GeneratedBy, Severity};

use super::claims::{Fault, Figure, figures};
use super::lexicon;
use super::support::{Support, mask, occurrences};

/// How many claims a text makes, all of them supported; or what is wrong with it. The rules' own sentences put names
/// where names belong, so that one which reads as a statement is still a name.
///
/// # Errors
/// The first fault.
pub(super) fn check(text: &str, by: GeneratedBy, support: &Support) -> Result<u32, Fault> {
    if let Some(odd) = text.chars().find(|c| !is_readable(*c)) {
        return Err(Fault::Name(odd.to_string()));
    }
    let mut claims = 0;
    let text = take_commands(text, support, &mut claims)?;
    let names = match by {
        GeneratedBy::Model => &support.names,
        GeneratedBy::Rules => &support.called,
    };
    let text = take_names(&text, names, &mut claims);
    let text = take_figures(&text, support, &mut claims)?;
    check_words(&text, support)?;
    Ok(claims)
}

/// Plain text of one paragraph.
fn is_readable(c: char) -> bool {
    c.is_ascii_graphic() || matches!(c, ' ' | '°')
}

/// Blanks out the remedies' commands. Whatever else stands between backquotes is a command that is no remedy.
fn take_commands(text: &str, support: &Support, claims: &mut u32) -> Result<String, Fault> {
    let mut text = text.to_owned();
    let mut commands: Vec<_> = support.commands.iter().collect();
    commands.sort_by_key(|command| std::cmp::Reverse(command.len()));
    for command in commands {
        let mut from = 0;
        while let Some(at) = text[from..].find(command.as_str()).map(|at| from + at) {
            let (mut start, mut end) = (at, at + command.len());
            from = end;
            // Within a longer word it is no command: `sensors` in `lm-sensors`.
            if text[..start].ends_with(|c: char| c.is_alphanumeric() || "/-_=".contains(c)) {
                continue;
            }
            let quoted = text[..start].ends_with('`') && text[end..].starts_with('`');
            if quoted {
                (start, end) = (start - 1, end + 1);
            }
            // A command that goes on is another command.
            let goes_on = text[end..].starts_with(|c: char| c.is_alphanumeric() || "/-_=|;&><".contains(c))
                || text[end..].trim_start().starts_with(['|', ';', '&', '>', '<', '-'])
                || text[..start].trim_end().ends_with(['|', ';', '&', '>', '<', '`', '$']);
            if goes_on {
                return Err(Fault::Command(text[start..].chars().take(80).collect()));
            }
            text.replace_range(start..end, &blank(end - start));
            *claims += 1;
        }
    }
    match text.find('`') {
        Some(at) => Err(Fault::Command(text[at..].chars().take(80).collect())),
        None => Ok(text),
    }
}

fn take_names(text: &str, names: &[String], claims: &mut u32) -> String {
    let mut text = text.to_owned();
    for name in names {
        *claims += occurrences(&text, name).count() as u32;
        text = mask(&text, std::slice::from_ref(name));
    }
    text
}

/// Blanks out figures. Those of one unit must come in the order in which the rule states them: what is used before
/// what there is.
fn take_figures(text: &str, support: &Support, claims: &mut u32) -> Result<String, Fault> {
    let found = figures(text);
    let mut rest = text.to_owned();
    for placed in &found {
        let written = &text[placed.start..placed.end];
        let joined = text[..placed.start]
            .ends_with(|c: char| c.is_alphanumeric() || "-_/.:$#~^=<>*".contains(c))
            || text[placed.end..].starts_with(|c: char| c.is_alphanumeric() || "-_/:^=<>*".contains(c));
        if joined || !support.has_figure(&placed.figure) {
            return Err(Fault::Number(written.to_owned()));
        }
        rest.replace_range(placed.start..placed.end, &blank(placed.end - placed.start));
        *claims += 1;
    }
    let place = |figure: &Figure| support.stated.iter().position(|stated| stated == figure);
    for (i, first) in found.iter().enumerate() {
        for second in &found[i + 1..] {
            let swapped = first.figure.unit == second.figure.unit
                && place(&first.figure).zip(place(&second.figure)).is_some_and(|(a, b)| a > b);
            if swapped {
                return Err(Fault::Number(text[second.start..second.end].to_owned()));
            }
        }
    }
    Ok(rest)
}

/// What is left are words and the marks of sentences.
fn check_words(text: &str, support: &Support) -> Result<(), Fault> {
    let mut negation: Option<String> = None;
    let mut before = String::new();
    let mut begins = true;
    for token in text.split(' ').filter(|token| !token.is_empty()) {
        let word =
            token.trim_matches(|c| matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '(' | ')' | '"' | '\''));
        if word.is_empty() {
            begins |= token.contains(['.', '!', '?']);
            continue;
        }
        if word.starts_with('-') || word.contains(['|', '&', '<', '>', '$', ';', '\\', '=', '*']) {
            return Err(Fault::Command(word.to_owned()));
        }
        if word.contains(|c: char| !c.is_ascii_alphabetic() && !matches!(c, '-' | '\'')) {
            return Err(Fault::Name(word.to_owned()));
        }
        let lower = word.to_ascii_lowercase();
        let capital = word.contains(|c: char| c.is_ascii_uppercase());
        let odd = word.chars().skip(1).any(|c| c.is_ascii_uppercase());
        if capital && (odd || !begins) && !support.has_word(&lower) && lower != "i" {
            return Err(Fault::Name(word.to_owned()));
        }
        for part in lower.split('-').chain(lower.contains('-').then_some(lower.as_str())) {
            check_word(part, support)?;
        }
        if let Some(negation) = negation.take()
            && !support.has_negation(&negation, &lower)
        {
            return Err(Fault::Contradiction(format!("{negation} {lower}")));
        }
        for (thing, name) in [(&before, &lower), (&lower, &before)] {
            let known = name.is_empty() || support.has_word(name) || lexicon::is_of_the_language(name);
            if lexicon::contains(lexicon::NAMED, thing) && !known {
                return Err(Fault::Name(name.clone()));
            }
        }
        before.clone_from(&lower);
        if lexicon::contains(lexicon::NEGATIONS, &lower) {
            negation = Some(lower);
        }
        begins = token.ends_with(['.', '!', '?', ':']);
    }
    match negation {
        Some(negation) => Err(Fault::Contradiction(negation)),
        None => Ok(()),
    }
}

/// One word, in lower case.
///
/// # Errors
/// What it claims without support.
pub(super) fn check_word(word: &str, support: &Support) -> Result<(), Fault> {
    if support.has_word(word) {
        return Ok(());
    }
    let is = |list| lexicon::contains(list, word);
    let said = || word.to_owned();
    if is(lexicon::NUMBERS) {
        Err(Fault::Number(said()))
    } else if is(lexicon::UNITS) {
        Err(Fault::Unit(said()))
    } else if is(lexicon::RESOURCES) {
        Err(Fault::Finding(said()))
    } else if is(lexicon::PROGRAMS) {
        Err(Fault::Name(said()))
    } else if is(lexicon::COMMANDS) || is(lexicon::ACTIONS) {
        Err(Fault::Command(said()))
    } else if is(lexicon::PROMPTING) {
        Err(Fault::Prompt(said()))
    } else if is(if support.severity == Severity::Info { lexicon::ALARMING } else { lexicon::REASSURING }) {
        Err(Fault::Contradiction(said()))
    } else {
        Ok(())
    }
}

/// As wide as what was taken out, and no word.
fn blank(length: usize) -> String {
    " ".repeat(length)
}
