//! Vocabulary of advice about one finding, gathered from the finding's own sentences.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use super::language::{Expression, choice, one_of, rule};
use super::lexicon::{self, table, words};

/// Maximum distance in words between a verb and its subject for the sentence to assert it of the subject.
const SUBJECT_DISTANCE: usize = 6;

/// Classes that each thing belongs to, by its forms.
static CLASSES_OF: LazyLock<HashMap<String, Vec<usize>>> = LazyLock::new(|| {
    let mut classes: HashMap<String, Vec<usize>> = HashMap::new();
    for (i, class) in lexicon::CLASSES.iter().enumerate() {
        for form in table(class).into_iter().flatten() {
            classes.entry(form).or_default().push(i);
        }
    }
    classes
});

/// Allowed words by part of speech.
#[derive(Debug, Clone)]
pub(super) struct Vocabulary {
    /// Nouns in the singular, including those without a plural.
    pub(super) singular: Expression,
    /// Nouns in the plural.
    pub(super) plural: Expression,
    /// Nouns that need no article.
    pub(super) mass: Expression,
    /// Classes of things of which the sentences assert more than neutral verbs.
    pub(super) classes: Vec<Class>,
    /// Adjectives and participles before a noun.
    pub(super) adjective: Expression,
    /// Words that may follow `is`.
    pub(super) predicate: Expression,
    /// Verbs whose subject may be anything.
    pub(super) neutral: VerbSet,
    /// Verbs whose subject may be something unnamed, including neutral ones.
    pub(super) any: VerbSet,
}

/// Things of one class with their verbs, including neutral ones.
#[derive(Debug, Clone)]
pub(super) struct Class {
    /// Things of the class in the singular.
    pub(super) one: Expression,
    /// Things of the class in the plural.
    pub(super) several: Expression,
    pub(super) verbs: VerbSet,
}

/// Verbs, and the subset that may have an object.
#[derive(Debug, Clone)]
pub(super) struct VerbSet {
    /// All verbs of the set.
    pub(super) all: Verbs,
    /// Verbs that may have an object.
    pub(super) transitive: Verbs,
}

impl VerbSet {
    /// Combines the neutral verbs, which may have an object, with these topic verbs.
    fn of(neutral: &[Vec<String>], topic: &[Vec<String>]) -> Self {
        let transitive = words(lexicon::TRANSITIVE);
        let transitive = topic.iter().filter(|forms| transitive.contains(&forms[0]));
        let with_neutral =
            |topic: Vec<&Vec<String>>| -> Vec<Vec<String>> { neutral.iter().chain(topic).cloned().collect() };
        let transitive = Verbs::of(&with_neutral(transitive.collect()));
        Self { all: Verbs::of(&with_neutral(topic.iter().collect())), transitive }
    }
}

/// Verbs by grammatical form.
#[derive(Debug, Clone)]
pub(super) struct Verbs {
    /// Infinitive, which is also the form for several things.
    pub(super) base: Expression,
    /// Third person, for one thing.
    pub(super) third: Expression,
    /// Present participle of each verb.
    pub(super) present: Expression,
    /// Past tense of each verb.
    pub(super) past: Expression,
    /// Past participle of each verb.
    pub(super) participle: Expression,
}

impl Verbs {
    fn of(table: &[Vec<String>]) -> Self {
        let [base, third, present, past, participle] =
            [0, 1, 2, 3, 4].map(|i| rule("verb", one_of(column(table, i))));
        Self { base, third, present, past, participle }
    }
}

impl Vocabulary {
    /// Gathers the neutral words, and the topic words that these sentences have in some form or that the command shows.
    pub(super) fn of(sentences: &[&str], command: Option<&str>) -> Self {
        let known = Known::of(sentences, command);
        let mut nouns = table(lexicon::NEUTRAL_NOUNS);
        nouns.extend(table(lexicon::TOPIC_NOUNS).into_iter().filter(|forms| known.has_any(forms)));
        let neutral = table(lexicon::NEUTRAL_VERBS);
        let mut classes = Vec::new();
        let mut topic = Vec::new();
        for (i, class) in lexicon::CLASSES.iter().enumerate() {
            let things: Vec<_> = table(class).into_iter().filter(|forms| nouns.contains(forms)).collect();
            let verbs = table(lexicon::TOPIC_VERBS).into_iter();
            let said: Vec<_> = verbs.filter(|forms| known.supports(i, forms)).collect();
            if !things.is_empty() && !said.is_empty() {
                let [one, several] = [0, 1].map(|form| one_of(column(&things, form)));
                classes.push(Class { one, several, verbs: VerbSet::of(&neutral, &said) });
                topic.extend(said);
            }
        }
        let singular = column(&nouns, 0);
        let mass = words(lexicon::MASS_NOUNS);
        let is_mass = |noun: &&String| mass.contains(noun);
        let mass = one_of(singular.iter().filter(is_mass).cloned());
        let predicates = table(lexicon::PREDICATES).into_iter().filter(|forms| known.has(&forms[0]));
        let predicates = predicates.filter_map(|mut forms| forms.pop()).chain(["open".to_owned()]);
        let adjectives = one_of(words(lexicon::TOPIC_ADJECTIVES).into_iter().filter(|word| known.has(word)));
        let participles = one_of(column(&topic, 2).into_iter().chain(column(&topic, 4)));
        Self {
            plural: one_of(column(&nouns, 1)),
            mass,
            singular: one_of(singular),
            classes,
            adjective: choice([one_of(words(lexicon::NEUTRAL_ADJECTIVES)), adjectives, participles]),
            predicate: one_of(predicates),
            neutral: VerbSet::of(&neutral, &[]),
            any: VerbSet::of(&neutral, &topic),
        }
    }
}

/// Returns one form of each word that has it.
fn column(table: &[Vec<String>], form: usize) -> Vec<String> {
    table.iter().filter_map(|forms| forms.get(form)).filter(|form| !form.is_empty()).cloned().collect()
}

/// Words of the finding in lower case, with their synonyms.
struct Known {
    /// All words of the sentences.
    words: BTreeSet<String>,
    /// For each class, the words shortly after one of its things, or right before it.
    said: Vec<BTreeSet<String>>,
}

impl Known {
    fn of(sentences: &[&str], command: Option<&str>) -> Self {
        let said = vec![BTreeSet::new(); lexicon::CLASSES.len()];
        let mut known = Self { words: BTreeSet::new(), said };
        for sentence in sentences {
            known.read(sentence);
        }
        for (tokens, shown) in lexicon::COMMANDS {
            if command.is_some_and(|command| runs(command, tokens)) {
                let shown: BTreeSet<_> = shown.split(' ').map(str::to_owned).collect();
                known.words.extend(shown.iter().cloned());
                known.said.iter_mut().for_each(|said| said.extend(shown.iter().cloned()));
            }
        }
        let entries: Vec<_> =
            table(lexicon::TOPIC_NOUNS).into_iter().chain(table(lexicon::TOPIC_VERBS)).collect();
        for group in lexicon::SYNONYMS {
            let names: Vec<_> = words(group).into_iter().map(|word| word.to_lowercase()).collect();
            let of_the_group = entries.iter().filter(|forms| names.contains(&forms[0].to_lowercase()));
            let forms = of_the_group.flatten().map(|form| form.to_lowercase());
            let members: Vec<_> = names.iter().cloned().chain(forms).collect();
            if members.iter().any(|word| known.has(word)) {
                known.words.extend(names.iter().cloned());
            }
            for said in &mut known.said {
                if members.iter().any(|word| said.contains(word)) {
                    said.extend(names.iter().cloned());
                }
            }
        }
        known
    }

    fn read(&mut self, sentence: &str) {
        let inner = |c: char| c.is_alphanumeric() || c == '/';
        let words: Vec<_> = sentence
            .split(move |c: char| !inner(c))
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        for (i, word) in words.iter().enumerate() {
            let before = &words[i.saturating_sub(SUBJECT_DISTANCE)..i];
            for near in before.iter().chain(words.get(i + 1)) {
                for class in CLASSES_OF.get(near).into_iter().flatten() {
                    self.said[*class].insert(word.clone());
                }
            }
        }
        self.words.extend(words);
        // Compounds are added as whole words too: `out-of-memory`.
        let marks = |c: char| !c.is_alphanumeric();
        let compounds =
            sentence.split(' ').map(|word| word.trim_matches(marks)).filter(|word| word.contains('-'));
        self.words.extend(compounds.map(str::to_lowercase));
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word.to_lowercase())
    }

    fn has_any(&self, forms: &[String]) -> bool {
        forms.iter().any(|form| !form.is_empty() && self.has(form))
    }

    /// Returns whether the sentences use this verb of the things of a class.
    fn supports(&self, class: usize, verb: &[String]) -> bool {
        let said = self.said.get(class);
        verb.iter()
            .any(|form| !form.is_empty() && said.is_some_and(|said| said.contains(&form.to_lowercase())))
    }
}

/// Returns whether a command line has all these tokens, as whole arguments or parts of a path.
fn runs(command: &str, tokens: &str) -> bool {
    let parts: Vec<_> = command.split([' ', '/', '|', ',', '=']).collect();
    tokens.split(' ').all(|token| parts.contains(&token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_words_come_from_the_finding() {
        let words = Vocabulary::of(&["See which processes hold the most memory."], None);
        assert!(words.mass.matches("memory") && words.mass.matches("RAM"));
        assert!(words.plural.matches("processes") && words.plural.matches("programs"));
        assert!(!words.plural.matches("disks") && !words.any.all.participle.matches("killed"));
    }

    #[test]
    fn command_adds_vocabulary_of_its_output() {
        let words = Vocabulary::of(&[], Some("du -xh --max-depth=2 /var | sort -h | tail"));
        assert!(words.plural.matches("folders") && words.plural.matches("directories"));
        assert!(!Vocabulary::of(&[], Some("ndu -h")).plural.matches("folders"));
    }

    #[test]
    fn class_gets_the_verbs_asserted_of_it() {
        let words = Vocabulary::of(&["Tasks waited for a disk since the machine was started."], None);
        let class = |thing: &str| words.classes.iter().find(|class| class.several.matches(thing));
        let tasks = class("programs").unwrap();
        assert!(tasks.verbs.all.base.matches("wait") && tasks.verbs.all.participle.matches("blocked"));
        assert!(!tasks.verbs.all.participle.matches("started"), "it was said of the machine");
        assert!(class("disks").is_none_or(|disks| !disks.verbs.all.base.matches("wait")));
        assert!(!words.neutral.all.base.matches("wait"));
    }
}
