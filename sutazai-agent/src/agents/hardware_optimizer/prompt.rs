//! Prompts of the model: instructions, one example, and the facts of one finding.
//!
//! Instructions and example are the same for every finding, so that a backend with a prompt cache reads them once.
//! Names in the facts are chosen by whoever started a process or a container; whatever they say, the text is checked
//! afterwards.

use sutazai_core::domain::{ChatMessage, Severity};

use super::placeholders::Placeholders;
use super::rules::{Found, first_choices};

const CHOOSE: &str = "\
You advise the owner of a server. You get a finding and sentences about it. Answer with the sentences that help the owner \
most, word by word: what was found, why it matters, and what to do.";

const WORD: &str = "\
You write short advice for the owner of a server. The owner has read the finding. Say in one plain sentence where to look, \
with the command.";

const PLACEHOLDERS: &str = " Never write a number, a name or a command yourself: write the placeholder in braces that stands \
for it, such as {command}. Begin with {statement}.";

const FITTING: &str = "\
You advise the owner of a server. You get a finding and sentences. Answer with the one sentence that says why this finding \
matters, word by word.";

const SUMMARY: &str = "\
You get what was found on a server. Answer with the line that names the most important of it first.";

/// Builds the messages for a model that chooses among the authored sentences.
pub(super) fn choose(found: &Found) -> Vec<ChatMessage> {
    let texts = &found.texts;
    let mut facts = format!("Severity: {}\n", severity(found.finding.severity));
    let consequences: Vec<_> = texts.consequences.iter().map(|text| first_choices(text)).collect();
    for (title, sentences) in [
        ("What was found", &texts.statements),
        ("Why it matters", &consequences),
        ("What to do", &texts.advice),
    ] {
        facts.push_str(&format!("{title}:\n"));
        facts.extend(sentences.iter().map(|sentence| format!("- {sentence}\n")));
    }
    vec![ChatMessage::system(CHOOSE), ChatMessage::user(facts)]
}

/// Question about a finding whose answers are compared by likelihood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    /// Reason why the finding matters.
    Why,
    /// Action to take about the finding.
    Advice,
}

/// Builds the messages after which sentences about a finding are compared; without a finding, those that measure how
/// probable a sentence is by itself.
///
/// They include two example answers, because a small model learns from examples, more than from the instruction, that a
/// sentence about the finding is wanted.
pub(super) fn question(question: Question, found: Option<&Found>) -> Vec<ChatMessage> {
    let (asked, swap, battery) = match question {
        Question::Why => (
            "Say why a finding on a server matters.",
            "Reading memory back from swap is slow.",
            "The machine turns off when the battery is empty.",
        ),
        Question::Advice => (
            "Say what to do about a finding on a server.",
            "See which processes were swapped out.",
            "Connect the machine to its power supply.",
        ),
    };
    let finding = |summary: &str| ChatMessage::user(format!("Finding: {summary}"));
    vec![
        ChatMessage::system(asked),
        finding("Swap is 81 % used."),
        ChatMessage::assistant(swap),
        finding("The battery is at 3 %."),
        ChatMessage::assistant(battery),
        found.map_or_else(|| ChatMessage::user("Finding:"), |found| finding(&found.finding.summary)),
    ]
}

/// Builds the messages for a model that words advice and samples by a grammar.
pub(super) fn word(found: &Found) -> Vec<ChatMessage> {
    vec![
        ChatMessage::system(WORD),
        ChatMessage::user(
            "Finding (warning): Swap is 81 % used.\nWhy it matters: Reading memory back from swap is slow.\nRemedy: See \
             which processes were swapped out. Command: `smem -s swap`",
        ),
        ChatMessage::assistant("Run `smem -s swap` to see which processes were swapped out."),
        ChatMessage::user(facts(found, |command| format!("`{command}`"))),
    ]
}

/// Builds the messages for a model that words advice with placeholders.
pub(super) fn word_with_placeholders(found: &Found, placeholders: &Placeholders) -> Vec<ChatMessage> {
    let known: Vec<_> =
        placeholders.iter().map(|(name, value)| format!("{{{name}}} stands for {value}")).collect();
    let named = |command: &str| {
        let value = format!("`{command}`");
        let name = placeholders.iter().find(|(_, known)| *known == value).map(|(name, _)| name);
        name.map_or(value.clone(), |name| format!("{{{name}}}"))
    };
    let facts = format!("{}\nPlaceholders:\n{}", facts(found, named), known.join("\n"));
    vec![
        ChatMessage::system(format!("{WORD}{PLACEHOLDERS}")),
        ChatMessage::user(
            "Finding (warning): Swap is 81 % used.\nWhy it matters: Reading memory back from swap is slow.\nRemedy: See \
             which processes were swapped out. Command: {command}\nPlaceholders:\n{statement} stands for Swap is 81 % \
             used.\n{resource} stands for swap\n{command} stands for `smem -s swap`",
        ),
        ChatMessage::assistant("{statement} Run {command} to see which processes were swapped out."),
        ChatMessage::user(facts),
    ]
}

/// Builds the messages for a model that chooses the sentence on why a finding matters.
pub(super) fn fitting(found: &Found, sentences: &[String]) -> Vec<ChatMessage> {
    let listed: String = sentences.iter().map(|sentence| format!("- {sentence}\n")).collect();
    vec![
        ChatMessage::system(FITTING),
        ChatMessage::user(format!("Finding: {}\nSentences:\n{listed}", found.finding.summary)),
    ]
}

/// Builds the messages for a model that chooses the summary among these lines.
pub(super) fn summary(lines: &[String]) -> Vec<ChatMessage> {
    let lines: String = lines.iter().map(|line| format!("- {line}\n")).collect();
    vec![ChatMessage::system(SUMMARY), ChatMessage::user(lines)]
}

fn facts(found: &Found, command: impl Fn(&str) -> String) -> String {
    let finding = &found.finding;
    let mut facts = format!("Finding ({}): {}", severity(finding.severity), finding.summary);
    let consequence = found.texts.consequences.first().map(|text| first_choices(text));
    facts.extend(consequence.map(|text| format!("\nWhy it matters: {text}")));
    for remedy in &finding.remedies {
        facts.push_str(&format!("\nRemedy: {}", remedy.text));
        facts.extend(remedy.command.as_ref().map(|own| format!(" Command: {}", command(own))));
    }
    facts
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "worth knowing",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}
