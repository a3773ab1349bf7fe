//! What the model is told: how to write, one example, and the facts of one finding.
//!
//! Instructions and example are the same for every finding, so that a backend which keeps what it has read reads them
//! once. Names in the facts are chosen by whoever started a process or a container; whatever they say, the text is
//! checked afterwards.

use sutazai_core::domain::{ChatMessage, Severity};

use super::slots::Slots;
use super::support::Support;

const INSTRUCTIONS: &str = "\
You write short advice for the owner of a server. Say in one plain sentence what is going on, and in a second one what to \
do about it. Use only the facts given.";

const SLOT_INSTRUCTIONS: &str = " Never write a digit, a name or a command: write the slot in braces that stands for it, \
such as {figure} or {command}.";

/// The messages for a model whose sampling is bound to the facts.
pub(super) fn for_grammar(support: &Support) -> Vec<ChatMessage> {
    vec![
        ChatMessage::system(INSTRUCTIONS),
        ChatMessage::user(
            "Finding (warning): Swap is 81 % used.\nWhy it matters: Reading memory back from swap is slow.\nRemedy: See \
             which processes were swapped out.\nCommand: `smem -s swap`",
        ),
        ChatMessage::assistant(
            "Swap is 81 % used, so programs wait while their memory is read back from the disk. Run `smem -s swap` to \
             see which processes were swapped out.",
        ),
        ChatMessage::user(facts(support, &support.summary, |command| format!("`{command}`"))),
    ]
}

/// The messages for a model that writes slots.
pub(super) fn for_slots(support: &Support, slots: &Slots) -> Vec<ChatMessage> {
    let known: Vec<_> = slots.iter().map(|(slot, value)| format!("{{{slot}}} stands for {value}")).collect();
    let facts = format!(
        "{}\nSlots:\n{}",
        facts(support, &slots.emptied(&support.summary), |_| "{command}".to_owned()),
        known.join("\n")
    );
    vec![
        ChatMessage::system(format!("{INSTRUCTIONS}{SLOT_INSTRUCTIONS}")),
        ChatMessage::user(
            "Finding (warning): {resource} is {figure} used.\nWhy it matters: Reading memory back from swap is \
             slow.\nRemedy: See which processes were swapped out.\nCommand: {command}\nSlots:\n{resource} stands for \
             swap\n{figure} stands for 81 %\n{command} stands for `smem -s swap`",
        ),
        ChatMessage::assistant(
            "The {resource} is {figure} used, so programs wait while their memory is read back. Run {command} to see \
             which processes were swapped out.",
        ),
        ChatMessage::user(facts),
    ]
}

/// What a text must not merely repeat.
pub(super) fn instructions() -> String {
    format!("{INSTRUCTIONS}{SLOT_INSTRUCTIONS}")
}

fn facts(support: &Support, summary: &str, command: impl Fn(&str) -> String) -> String {
    let severity = match support.severity {
        Severity::Info => "worth knowing",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    };
    let mut facts = format!("Finding ({severity}): {summary}\nWhy it matters: {}", support.meaning);
    if let Some(remedy) = &support.advice {
        facts.push_str(&format!("\nRemedy: {}", remedy.text));
        facts.extend(remedy.command.iter().map(|own| format!("\nCommand: {}", command(own))));
    }
    facts
}
