//! Analysis of a finding's authored sentences: names, commands, directives, and the phrases after verbs of looking.

use sutazai_core::domain::Finding;

use super::advice::uncapitalized;
use super::assertions::occurrences;
use super::phrases::AuthoredPhrases;
use super::rules::Found;

/// Authored sentences of one finding.
#[derive(Debug)]
pub(super) struct Authored<'a> {
    found: &'a Found,
    names: Vec<String>,
    commands: Vec<String>,
    /// Statements without names, so that names add no words to the vocabulary.
    stated: Vec<String>,
}

/// Words that begin an embedded question.
const QUESTION_WORDS: &[&str] = &["which", "what", "how", "where", "when", "who", "whether", "why"];

/// Verbs that begin an authored sentence about a thing to look at.
const LOOKING_VERBS: &[&str] = &[
    "See ",
    "Find ",
    "Read ",
    "Watch ",
    "Check ",
    "List ",
    "Look for ",
    "Look at ",
    "Show ",
    "Look through ",
];

/// Marks at which a directive may be cut: what follows is an alternative, an example or a detail.
const BREAK_MARKS: &[&str] = &[
    ", or ",
    " or ",
    ", such as ",
    " before ",
    ", and ",
    ", so that ",
    ", which ",
    ", because ",
    ", for example ",
    " for ",
    " and ",
    " instead",
];

/// Minimum number of words of a part of a directive that is used by itself.
const MIN_DIRECTIVE_WORDS: usize = 3;

/// Verbs that may begin the second half of a directive when it stands alone.
const DIRECTIVE_VERBS: &[&str] = &[
    "add", "ask", "check", "consider", "cut", "end", "find", "fix", "give", "install", "limit", "look",
    "lower", "make", "move", "plan", "put", "raise", "reduce", "remove", "repair", "replace", "restart",
    "run", "set", "spread", "start", "stop", "update", "use",
];

impl<'a> Authored<'a> {
    /// Analyzes the sentences of this finding.
    pub(super) fn of(found: &'a Found) -> Self {
        let (finding, texts) = (&found.finding, &found.texts);
        let names = names(finding);
        let stated = texts.statements.iter().map(|statement| without(statement, &names)).collect();
        let mut commands: Vec<String> = Vec::new();
        let remedies = finding.remedies.iter().filter_map(|remedy| remedy.command.clone());
        for command in remedies {
            if !commands.contains(&command) {
                commands.push(command);
            }
        }
        Self { found, names: usable(&names), commands, stated }
    }

    /// Returns the names that advice may contain: the resource as a whole, and its own name if it cannot be taken for a
    /// word.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the distinct commands of the remedies.
    pub(super) fn commands(&self) -> &[String] {
        &self.commands
    }

    /// Returns the authored sentences of advice.
    pub(super) fn advice(&self) -> &[String] {
        &self.found.texts.advice
    }

    /// Returns the authored sentences about a command, or about all: its advice and remedy, the directives and the
    /// statements, without the commands themselves.
    pub(super) fn sentences(&self, command: Option<&str>) -> Vec<&str> {
        let finding = &self.found.finding;
        let kind = named(finding).map_or(finding.resource.as_str(), |(kind, _)| kind);
        self.advised(command)
            .into_iter()
            .chain(self.stated.iter().map(String::as_str))
            .chain([kind])
            .collect()
    }

    /// Returns the advice and the remedy about a command, or about all, and the directives, without the commands
    /// themselves.
    fn advised(&self, command: Option<&str>) -> Vec<&str> {
        let quoted = command.map(|command| format!("`{command}`"));
        // A directive is about the finding, whatever command accompanies it.
        let about =
            |text: &str| !text.contains('`') || quoted.as_ref().is_none_or(|quoted| text.contains(quoted));
        let advice = self.found.texts.advice.iter().filter(|text| about(text));
        let of_it = |own: Option<&str>| command.is_none() || own.is_none() || own == command;
        let remedies = self.found.finding.remedies.iter();
        let remedies = remedies.filter(|remedy| of_it(remedy.command.as_deref()));
        let advice = advice.flat_map(|text| text.split('`').step_by(2));
        advice.chain(remedies.map(|remedy| remedy.text.as_str())).collect()
    }

    /// Collects the phrases that the authors use with a command, or with all commands, and in directives.
    pub(super) fn phrases(&self, command: Option<&str>) -> AuthoredPhrases {
        let mut phrases = AuthoredPhrases::default();
        // Statements are left out: a part of one would be a statement of its own.
        for sentence in self.advised(command) {
            let sentence = sentence.trim_matches(['.', ' ']);
            let starts = sentence.match_indices(' ').map(|(at, _)| at + 1);
            for start in std::iter::once(0).chain(starts) {
                let rest = &sentence[start..];
                let (first, behind) = rest.split_once(' ').unwrap_or((rest, ""));
                let clause = rest.split(',').next().unwrap_or_default();
                // A question extends to the end of its sentence or clause.
                if QUESTION_WORDS.contains(&first.to_lowercase().as_str()) && clause.contains(' ') {
                    phrases.questions.push(uncapitalized(clause));
                }
                if first == "that" && !behind.starts_with("this") {
                    phrases.actions.extend(behind.split([',', ';']).next().map(str::to_owned));
                }
            }
            for verb in LOOKING_VERBS {
                let noun = sentence.strip_prefix(verb).and_then(|rest| rest.split(',').next());
                let noun = noun.filter(|noun| {
                    let first = noun.split(' ').next().unwrap_or_default();
                    !QUESTION_WORDS.contains(&first) && first != "that" && first != "out"
                });
                phrases.nouns.extend(noun.map(str::to_owned));
            }
        }
        phrases
    }

    /// Collects what the authors tell the reader to do apart from looking: whole sentences without full stop, and their
    /// parts.
    pub(super) fn directives(&self) -> Vec<String> {
        let advice = self.found.texts.advice.iter().map(String::as_str);
        let remedies = self.found.finding.remedies.iter().map(|remedy| remedy.text.as_str());
        let mut directives = Vec::new();
        for sentence in advice.chain(remedies).filter(|sentence| !sentence.contains('`')) {
            let whole = sentence.trim_end_matches('.');
            directives.push(whole.to_owned());
            directives.extend(second_part(whole));
            directives.extend(parts_of_list(whole));
            directives.extend(considered(whole));
            for mark in BREAK_MARKS {
                for (at, _) in whole.match_indices(mark) {
                    directives.push(whole[..at].to_owned());
                    let rest = &whole[at + mark.len()..];
                    let verb = rest.split(' ').next().unwrap_or_default();
                    if DIRECTIVE_VERBS.contains(&verb) {
                        directives.push(rest.to_owned());
                    }
                }
            }
        }
        directives.extend(pronominal(&directives));
        let general: Vec<_> =
            directives.iter().map(|directive| directive.replace(" its ", " the ")).collect();
        directives.extend(general);
        directives.retain(|directive| {
            directive.split(' ').count() >= MIN_DIRECTIVE_WORDS || directive.ends_with(" it")
        });
        directives.sort();
        directives.dedup();
        directives
    }
}

/// Shortens `Restart the parent that ...` to `Restart it`, also with two verbs, if the object is a single thing.
fn pronominal(directives: &[String]) -> Vec<String> {
    let short = |directive: &String| {
        let words: Vec<_> = directive.split(' ').collect();
        let one_thing =
            |at: usize| words.get(at).is_some_and(|word| matches!(*word, "the" | "its" | "a" | "an"));
        if one_thing(1) {
            Some(format!("{} it", words[0]))
        } else if words.get(1) == Some(&"or") && one_thing(3) {
            Some(format!("{} or {} it", words[0], words[2]))
        } else {
            None
        }
    };
    directives.iter().filter_map(short).collect()
}

/// Shortens `Check the cable, the port and the driver` to one or two of the things.
fn parts_of_list(directive: &str) -> Vec<String> {
    let head = ["Look for ", "Look at ", "Check "].into_iter().find(|head| directive.starts_with(head));
    let Some((head, list)) = head.and_then(|head| Some((head, directive.strip_prefix(head)?))) else {
        return Vec::new();
    };
    let things: Vec<_> =
        list.split(", ").flat_map(|part| part.split(" or ")).flat_map(|part| part.split(" and ")).collect();
    let clause = |thing: &&str| thing.starts_with("that ") || thing.starts_with("whether ");
    if things.len() < 2 || things.iter().any(clause) {
        return Vec::new();
    }
    let pairs = things.iter().enumerate().flat_map(|(i, one)| {
        things[i + 1..]
            .iter()
            .flat_map(move |other| [format!("{one} or {other}"), format!("{one} and {other}")])
    });
    things
        .iter()
        .map(|thing| (*thing).to_owned())
        .chain(pairs)
        .map(|things| format!("{head}{things}"))
        .collect()
}

/// Rewords `Set a memory limit` as `Consider a memory limit`.
fn considered(directive: &str) -> Vec<String> {
    let thing = ["Set a ", "Add a ", "Use a ", "Install a "]
        .into_iter()
        .find_map(|head| directive.strip_prefix(head));
    let Some(thing) = thing else { return Vec::new() };
    let cuts = BREAK_MARKS.iter().filter_map(|mark| thing.split_once(mark)).map(|(cut, _)| cut);
    std::iter::once(thing).chain(cuts).map(|thing| format!("Consider a {thing}")).collect()
}

/// Shortens `Ask for this or for that` to `Ask for that`, for parts with the same preposition.
fn second_part(directive: &str) -> Option<String> {
    let (first, second) = directive.split_once(" or ")?;
    let preposition = second.split(' ').next()?;
    let (head, _) = first.split_once(&format!(" {preposition} "))?;
    Some(format!("{head} {second}"))
}

/// Kinds of things that have names, as they begin a resource: `container web`.
const NAMED_KINDS: &[&str] =
    &["container", "device", "disk", "gpu", "group", "interface", "mount", "process", "sensor"];

/// Lists every name in a finding, longest first: the resource as a whole, its own name, and those of its evidence, as
/// in `containers[web].memory_used_bytes`. The list is empty when the resource is a kind of thing, such as `memory`.
pub(super) fn names(finding: &Finding) -> Vec<String> {
    let Some((_, name)) = named(finding) else { return Vec::new() };
    let mut names = vec![finding.resource.clone(), name.to_owned()];
    names.extend(name.rsplit_once(" (").map(|(own, _)| own.to_owned()));
    let bracketed = |metric: &str| Some(metric.split_once('[')?.1.rsplit_once(']')?.0.to_owned());
    let evidence = finding.evidence.iter().filter_map(|evidence| bracketed(&evidence.metric));
    // An index in a list is no name.
    names.extend(evidence.filter(|name| !name.bytes().all(|b| b.is_ascii_digit())));
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names.dedup();
    names
}

/// Splits a resource that has a name into its kind and the name.
fn named(finding: &Finding) -> Option<(&str, &str)> {
    let (kind, name) = finding.resource.split_once(' ')?;
    NAMED_KINDS.contains(&kind.to_ascii_lowercase().as_str()).then_some((kind, name))
}

/// Selects the names that advice may contain. A container may be called `healthy`, so a name of letters only is used
/// only together with its kind, as `container healthy`.
fn usable(names: &[String]) -> Vec<String> {
    let whole = names.iter().max_by_key(|name| name.len());
    let marked = |name: &&String| !name.contains(' ') && name.contains(|c: char| !c.is_ascii_alphabetic());
    let mut usable: Vec<_> = names.iter().filter(marked).cloned().collect();
    // A full stop would end the sentence, and the rest of the name would begin another.
    usable.extend(whole.filter(|name| !name.contains(". ") && !name.ends_with('.')).cloned());
    usable.sort();
    usable.dedup();
    usable
}

/// Removes these names from the text where they are whole words.
fn without(text: &str, names: &[String]) -> String {
    let mut text = text.to_owned();
    for name in names {
        for at in occurrences(&text.clone(), name) {
            text.replace_range(at..at + name.len(), &" ".repeat(name.len()));
        }
    }
    text
}
