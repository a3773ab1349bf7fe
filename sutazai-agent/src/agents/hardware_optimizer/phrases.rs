//! Noun phrases and embedded questions: what advice may say that a command shows.
//!
//! None of them asserts anything by itself. They are built from the parts of speech of a [`Vocabulary`], from the names
//! in the finding, and from the phrases of its authored sentences, each used as a whole.

use super::language::{
    Expression, choice, literal, nothing, one_of, optional, repeat, rule, sequence, spaced,
};
use super::lexicon;
use super::vocabulary::{VerbSet, Verbs, Vocabulary};

/// Phrases that a sentence of advice may be about.
#[derive(Debug)]
pub(super) struct Phrases {
    /// Noun phrase, such as `the largest processes on disk /var and their memory`.
    pub(super) noun: Expression,
    /// Embedded question, such as `which processes hold the most memory`.
    pub(super) question: Expression,
    /// Clause to be verified, such as `a time service is active`.
    pub(super) clause: Expression,
}

/// Size of the language that is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breadth {
    /// Every wording that is accepted from a model.
    Accepted,
    /// The plain wordings, a subset of [`Breadth::Accepted`] that a model samples by. The fewer ways there are to go
    /// wrong, the better a small model writes, and the less each token costs.
    Sampled,
}

impl Breadth {
    /// Returns the maximum number of repetitions: `accepted`, or at most one where a model samples.
    fn most(self, accepted: usize) -> usize {
        if self == Self::Accepted { accepted } else { accepted.min(1) }
    }

    /// Returns all words of a list, or the first `sampled` of them where a model samples.
    pub(super) fn first(self, list: &str, sampled: usize) -> Vec<String> {
        let most = if self == Self::Accepted { usize::MAX } else { sampled };
        lexicon::words(list).into_iter().take(most).collect()
    }

    /// Returns `part` if everything is accepted, or nothing where a model samples.
    pub(super) fn only_accepted(self, part: Expression) -> Expression {
        if self == Self::Accepted { part } else { nothing() }
    }
}

/// Phrases taken from the finding's sentences, each used as a whole.
#[derive(Debug, Default)]
pub(super) struct AuthoredPhrases {
    /// Embedded questions, such as `how memory is divided`.
    pub(super) questions: Vec<String>,
    /// Noun phrases, such as `the parents of the ended processes`.
    pub(super) nouns: Vec<String>,
    /// Predicates, such as `does not wait for its children` from `the parent that does not wait for its children`.
    pub(super) actions: Vec<String>,
}

/// Optional part with a space after it.
fn with_space_after(part: Expression) -> Expression {
    optional(sequence([part, literal(" ")]))
}

/// Optional part with a space before it.
pub(super) fn behind(part: Expression) -> Expression {
    optional(sequence([literal(" "), part]))
}

pub(super) fn words(list: &[&str]) -> Expression {
    one_of(list.iter().copied())
}

impl Phrases {
    /// Builds the phrases of these words, the finding's names and its authored phrases.
    pub(super) fn new(
        words: &Vocabulary,
        names: &[String],
        authored: AuthoredPhrases,
        breadth: Breadth,
    ) -> Self {
        let AuthoredPhrases { questions, nouns, actions } = authored;
        let parts = Parts::new(words, names, breadth);
        let placed =
            choice([parts.placed(), spaced([literal("by"), parts.noun.bare(words.singular.clone())])]);
        let with = |verbs: &VerbSet| {
            let relative = rule("relative", parts.relative(verbs));
            repeat(sequence([literal(" "), choice([placed.clone(), relative])]), 0, breadth.most(3))
        };
        let authored = sequence([self::words(&[" that ", " which "]), one_of(actions.clone())]);
        let anything = sequence([
            choice([parts.thing.clone(), one_of(nouns)]),
            choice([with(&words.neutral), authored]),
        ]);
        let of_classes = parts.subjects.iter().map(|subject| {
            sequence([choice([subject.one.clone(), subject.things.clone()]), with(subject.verbs)])
        });
        let unnamed = self::words(&["those", "the ones", "everything", "anything", "the others", "others"]);
        let unnamed = sequence([unnamed, with(&words.any)]);
        let full = choice(of_classes.chain([anything, unnamed]));
        let full = rule("full_noun", full);
        let asked = choice([one_of(questions), parts.question(&full, &one_of(actions))]);
        let asked = rule("question", asked);
        let and = choice([
            sequence([self::words(&[" and ", " or ", ", ", ", and "]), full.clone()]),
            sequence([self::words(&[" and ", ", and "]), asked.clone()]),
        ]);
        let and = breadth.only_accepted(and);
        let adverb = breadth.only_accepted(one_of(lexicon::words(lexicon::ADVERBS)));
        let noun = sequence([full, repeat(and.clone(), 0, 2), behind(adverb)]);
        let more = self::words(&[" and when", " and where", " and how", " and how much", " and how many"]);
        let question = sequence([asked, optional(choice([breadth.only_accepted(more), and]))]);
        let clause = rule("clause", parts.clause(&parts.thing));
        Self { noun: rule("noun", noun), question: rule("questions", question), clause }
    }
}

/// Subjects of one class, with the verbs of that class.
pub(super) struct Subject<'a> {
    pub(super) one: Expression,
    pub(super) several: Expression,
    /// Several of the class, as the object of a sentence.
    things: Expression,
    /// One of the class without a determiner, as it follows `which`.
    pub(super) which_one: Expression,
    pub(super) which: Expression,
    pub(super) verbs: &'a VerbSet,
}

/// Building blocks of the phrases.
pub(super) struct Parts<'a> {
    pub(super) words: &'a Vocabulary,
    pub(super) preposition: Expression,
    /// Noun with its determiner and modifiers, or a name or a pronoun.
    pub(super) thing: Expression,
    pub(super) subjects: Vec<Subject<'a>>,
    pub(super) noun: Noun,
    pub(super) breadth: Breadth,
}

impl<'a> Parts<'a> {
    fn new(words: &'a Vocabulary, names: &[String], breadth: Breadth) -> Self {
        let noun = Noun::new(words, breadth);
        let with_article = |name: &String| [name.clone(), format!("the {name}")];
        let subjects = words.classes.iter().map(|class| {
            let is_of_it =
                |name: &&String| name.split_once(' ').is_some_and(|(kind, _)| class.one.matches(kind));
            let named = one_of(names.iter().filter(is_of_it).flat_map(with_article));
            Subject {
                one: rule("one", choice([named, self::words(&["it", "each"]), noun.one(class.one.clone())])),
                several: rule("several", choice([literal("they"), noun.several(class.several.clone())])),
                things: rule("several_things", noun.several(class.several.clone())),
                which_one: noun.bare(class.one.clone()),
                which: noun.bare(joined(breadth, &class.several)),
                verbs: &class.verbs,
            }
        });
        let subjects = subjects.collect();
        let names = rule("name", one_of(names.iter().flat_map(with_article)));
        let pronoun = one_of(breadth.first(lexicon::PRONOUNS, 2));
        let plain = choice([
            names.clone(),
            noun.one(words.singular.clone()),
            noun.several(words.plural.clone()),
            noun.amount(words.mass.clone()),
        ]);
        let plain = rule("plain_thing", plain);
        let owner = choice([names, noun.one(words.singular.clone())]);
        let owned = noun.bare(choice([words.singular.clone(), words.plural.clone()]));
        let thing = choice([
            sequence([owner, literal("'s "), owned]),
            breadth.only_accepted(spaced([self::words(&["that of", "those of"]), plain.clone()])),
            plain,
            pronoun,
        ]);
        Self {
            words,
            preposition: rule("preposition", one_of(breadth.first(lexicon::PREPOSITIONS, 8))),
            thing: rule("thing", thing),
            subjects,
            noun,
            breadth,
        }
    }

    pub(super) fn placed(&self) -> Expression {
        let and = self.breadth.only_accepted(sequence([literal(" and "), self.thing.clone()]));
        let and = optional(and);
        rule("placed", sequence([self.preposition.clone(), literal(" "), self.thing.clone(), and]))
    }

    /// Matches the part once, or twice with `and` or `or` between; only once where a model samples.
    pub(super) fn joined(&self, part: &Expression) -> Expression {
        joined(self.breadth, part)
    }

    /// Builds what a subject does, for one and for several subjects.
    pub(super) fn actions(&self, verbs: &VerbSet, object: &Expression) -> (Expression, Expression) {
        let adverbs = one_of(self.breadth.first(lexicon::ADVERBS, 1));
        let end = sequence([behind(self.placed()), behind(adverbs)]);
        let end = rule("clause_end", end);
        let state = behind(self.words.predicate.clone());
        let stranded = behind(self.breadth.only_accepted(self.preposition.clone()));
        let tail = sequence([behind(object.clone()), state, end.clone(), stranded.clone()]);
        let tail = rule("clause_tail", tail);
        let alone = sequence([behind(self.words.predicate.clone()), end.clone(), stranded]);
        let alone = rule("clause_tail", alone);
        // Only a transitive verb takes an object.
        let doing = |form: fn(&Verbs) -> &Expression| {
            choice([
                sequence([form(&verbs.transitive).clone(), tail.clone()]),
                sequence([self.joined(form(&verbs.all)), alone.clone()]),
            ])
        };
        let progress = doing(|verbs| &verbs.present);
        let waiting = behind(sequence([verbs.all.present.clone(), behind(self.placed())]));
        let state_after = behind(self.words.predicate.clone());
        let both = self.breadth.only_accepted(spaced([
            verbs.all.participle.clone(),
            self.preposition.clone(),
            literal("and"),
            verbs.all.participle.clone(),
        ]));
        let passive = sequence([
            optional(literal("being ")),
            choice([self.joined(&verbs.all.participle), both]),
            choice([waiting, state_after]),
            end.clone(),
        ]);
        let largest = spaced([literal("the"), self.words.adjective.clone()]);
        let largest = sequence([largest, optional(self::words(&[" ones", " one"]))]);
        let other = self.breadth.only_accepted(choice([largest, self.thing.clone()]));
        let state = choice([self.words.predicate.clone(), other]);
        let state = sequence([state, end.clone()]);
        let been = spaced([literal("been"), passive.clone()]);
        let is = |now: &str, then: &str, has: &str| {
            let dynamic = choice([progress.clone(), passive.clone()]);
            choice([
                spaced([literal(now), choice([dynamic.clone(), state.clone(), self.placed()])]),
                spaced([literal(then), dynamic]),
                spaced([literal(has), choice([been.clone(), doing(|verbs| &verbs.participle)])]),
            ])
        };
        let to_and_from = |form: &Expression| {
            let both =
                spaced([form.clone(), self.preposition.clone(), literal("and"), form.clone(), self.placed()]);
            self.breadth.only_accepted(both)
        };
        let one = choice([
            doing(|verbs| &verbs.third),
            to_and_from(&verbs.all.third),
            is("is", "was", "has"),
            doing(|verbs| &verbs.past),
        ]);
        let several = choice([
            doing(|verbs| &verbs.base),
            to_and_from(&verbs.all.base),
            is("are", "were", "have"),
            doing(|verbs| &verbs.past),
        ]);
        (rule("action", self.joined(&one)), rule("actions", self.joined(&several)))
    }

    /// Builds what a subject does, such as `they hold` or `the container has written`. With `fronted`, its object was
    /// named before.
    pub(super) fn held(&self, fronted: bool) -> Expression {
        let adverb = self::words(&[
            "open",
            "last",
            "first",
            "now",
            "together",
            "in use",
            "most",
            "at the moment",
            "exactly",
        ]);
        let end = sequence([behind(choice([self.preposition.clone(), self.placed()])), behind(adverb)]);
        let done = |is: &[&str], form: &Expression| spaced([self::words(is), form.clone()]);
        // The noun before is the object, or that of a preposition at the end: `what they wait for`.
        let form = |verbs: &VerbSet, form: fn(&Verbs) -> &Expression| {
            if fronted {
                choice([
                    form(&verbs.transitive).clone(),
                    spaced([form(&verbs.all).clone(), self.preposition.clone()]),
                ])
            } else {
                form(&verbs.all).clone()
            }
        };
        let forms =
            |verbs: &VerbSet, now: fn(&Verbs) -> &Expression, [is, was, has, been, keeps]: [&str; 5]| {
                choice([
                    form(verbs, now),
                    form(verbs, |verbs| &verbs.past),
                    spaced([self::words(&[is, was]), form(verbs, |verbs| &verbs.present)]),
                    spaced([literal(keeps), form(verbs, |verbs| &verbs.present)]),
                    spaced([literal(has), form(verbs, |verbs| &verbs.participle)]),
                    done(&[is, was, been], &verbs.all.participle),
                    done(&[is], &self.words.predicate),
                    done(&[is], &self.preposition),
                ])
            };
        let one =
            |verbs: &VerbSet| forms(verbs, |verbs| &verbs.third, ["is", "was", "has", "has been", "keeps"]);
        let several =
            |verbs: &VerbSet| forms(verbs, |verbs| &verbs.base, ["are", "were", "have", "have been", "keep"]);
        let placed = |subject: &Expression| sequence([subject.clone(), behind(self.placed())]);
        let of_classes = self.subjects.iter().flat_map(|subject| {
            let ended = choice([
                subject.verbs.all.past.clone(),
                done(&["was", "were"], &subject.verbs.all.participle),
            ]);
            let before = behind(spaced([self::words(&["before it", "before they"]), ended]));
            [
                sequence([placed(&subject.one), literal(" "), one(subject.verbs), before.clone()]),
                sequence([placed(&subject.several), literal(" "), several(subject.verbs), before]),
            ]
        });
        let neutral = choice([one(&self.words.neutral), several(&self.words.neutral)]);
        let both = self.breadth.only_accepted(spaced([
            neutral.clone(),
            self.preposition.clone(),
            literal("and"),
            neutral.clone(),
            self.placed(),
        ]));
        let neutral = choice([neutral, both]);
        let neutral = spaced([placed(&self.thing), neutral]);
        rule("held", sequence([choice(of_classes.chain([neutral])), end]))
    }

    /// Builds the modifiers that may follow a noun, except prepositional phrases.
    fn relative(&self, verbs: &VerbSet) -> Expression {
        let that = self::words(&["that", "which", "who"]);
        let sorted = self::words(&["sorted", "ordered", "grouped", "ranked"]);
        let (one, several) = self.actions(verbs, &self.thing);
        let bare = self.noun.bare(self.words.singular.clone());
        choice([
            spaced([sorted, literal("by"), choice([self.thing.clone(), bare])]),
            spaced([that, choice([one, several])]),
            sequence([with_space_after(self::words(&["that", "which"])), self.held(true)]),
            sequence([verbs.transitive.present.clone(), behind(self.thing.clone()), behind(self.placed())]),
            sequence([verbs.all.present.clone(), behind(self.placed())]),
            sequence([verbs.all.participle.clone(), behind(self.placed())]),
            spaced([
                self::words(&["before it", "before they"]),
                choice([verbs.all.third.clone(), verbs.all.past.clone()]),
            ]),
            self::words(&["in use", "open"]),
        ])
    }
}

/// Matches the part once, or twice with `and` or `or` between; only once where a model samples.
fn joined(breadth: Breadth, part: &Expression) -> Expression {
    let second = breadth.only_accepted(sequence([words(&[" and ", " or "]), part.clone()]));
    sequence([part.clone(), optional(second)])
}

/// Noun with its attributes and adjectives.
#[derive(Debug, Clone)]
pub(super) struct Noun {
    adjectives: Expression,
    attributes: Expression,
}

impl Noun {
    fn new(words: &Vocabulary, breadth: Breadth) -> Self {
        let adjective = rule("adjective", words.adjective.clone());
        let attribute = rule("attribute", words.singular.clone());
        let and = breadth.only_accepted(literal(" and "));
        let between = choice([literal(" "), and]);
        Self {
            adjectives: repeat(sequence([adjective, between.clone()]), 0, breadth.most(2)),
            attributes: repeat(sequence([attribute, between.clone()]), 0, breadth.most(2)),
        }
    }

    /// Builds the noun without a determiner.
    pub(super) fn bare(&self, noun: Expression) -> Expression {
        sequence([self.adjectives.clone(), self.attributes.clone(), noun])
    }

    fn one(&self, noun: Expression) -> Expression {
        spaced([one_of(lexicon::words(lexicon::DETERMINERS_SINGULAR)), self.bare(noun)])
    }

    fn several(&self, noun: Expression) -> Expression {
        sequence([with_space_after(one_of(lexicon::words(lexicon::DETERMINERS_PLURAL))), self.bare(noun)])
    }

    fn amount(&self, noun: Expression) -> Expression {
        sequence([with_space_after(one_of(lexicon::words(lexicon::DETERMINERS_MASS))), self.bare(noun)])
    }
}
