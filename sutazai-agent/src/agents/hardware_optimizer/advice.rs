//! Language of advice in a model's own words: sentences that tell the reader where to look and assert nothing.
//!
//! ```text
//! Run `du -xh /var | sort -h` to | find out | which folders take up the most space | , then | stop what is not needed
//! | .
//!     command of the finding       LOOK       phrases                                       authored directive
//! ```
//!
//! A sentence is an imperative around a command of the finding, a verb of looking and a phrase ([`Phrases`]). Apart
//! from it, only directives of the finding's authors are allowed, whole or up to a conjunction. The phrase next to a
//! command is built from the words of that command's own sentences, so that a command is not said to show what it does
//! not show.

use super::authored::Authored;
use super::language::{Expression, choice, literal, one_of, optional, rule, sequence, spaced};
use super::lexicon::{self, words};
use super::phrases::{Breadth, Phrases};
use super::vocabulary::Vocabulary;

const CONNECTIVES: &[&str] =
    &[", then ", " and then ", ", and then ", ", and ", " and ", "; then ", ", or ", " or ", "; "];

/// Position of words in a sentence, which decides about the capital letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Start,
    Inside,
}

impl Position {
    fn one_of<T: AsRef<str>>(self, words: impl IntoIterator<Item = T>) -> Expression {
        one_of(words.into_iter().map(|word| match self {
            Self::Start => capitalized(word.as_ref()),
            Self::Inside => word.as_ref().to_owned(),
        }))
    }
}

/// Returns the text with an upper-case first letter.
pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Returns the text with a lower-case first letter.
pub(super) fn uncapitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// Builds every sentence of advice: the authored ones and those of the language.
pub(super) fn sentence(authored: &Authored<'_>, breadth: Breadth) -> Expression {
    let shown = authored.commands().iter().map(|command| Shown::by(authored, command, breadth)).collect();
    let look = Look::new(authored, None, breadth);
    let sentences = Sentences { shown, look, directives: authored.directives(), breadth };
    let whole = rule("authored", one_of(authored.advice().iter().cloned()));
    choice([whole, rule("sentence", sentences.sentence())])
}

/// Things and questions to look at, with their verbs.
struct Look {
    start: Expression,
    inside: Expression,
    noun: Expression,
    question: Expression,
}

impl Look {
    /// Builds the phrases from the words of the sentences about one command, or of all.
    fn new(authored: &Authored<'_>, command: Option<&str>, breadth: Breadth) -> Self {
        let vocabulary = Vocabulary::of(&authored.sentences(command), command);
        let phrases = Phrases::new(&vocabulary, authored.names(), authored.phrases(command), breadth);
        let look = |position: Position| {
            let plain = choice([
                spaced([position.one_of(breadth.first(lexicon::LOOK_AT_THING, 4)), phrases.noun.clone()]),
                spaced([
                    position.one_of(breadth.first(lexicon::LOOK_INTO_QUESTION, 4)),
                    phrases.question.clone(),
                ]),
            ]);
            let other = choice([
                spaced([
                    position.one_of(["check", "verify", "make sure", "confirm"]),
                    literal("that"),
                    phrases.clause.clone(),
                ]),
                spaced([
                    position.one_of(["start by", "begin by"]),
                    choice([
                        spaced([one_of(words(lexicon::LOOKING_AT_THING)), phrases.noun.clone()]),
                        spaced([one_of(words(lexicon::LOOKING_INTO_QUESTION)), phrases.question.clone()]),
                    ]),
                ]),
                spaced([
                    position.one_of(words(lexicon::LOOK_INTO_QUESTION)),
                    one_of(["from", "in"]),
                    phrases.noun.clone(),
                    phrases.question.clone(),
                ]),
                spaced([
                    position.one_of(["tell", "compare", "distinguish"]),
                    phrases.noun.clone(),
                    one_of(["from", "with", "and"]),
                    phrases.noun.clone(),
                ]),
            ]);
            choice([plain, breadth.only_accepted(other)])
        };
        Self {
            start: rule("look_start", look(Position::Start)),
            inside: rule("look", look(Position::Inside)),
            noun: phrases.noun,
            question: phrases.question,
        }
    }
}

/// Command together with the phrases for what it shows.
struct Shown {
    command: Expression,
    look: Look,
    breadth: Breadth,
}

impl Shown {
    fn by(authored: &Authored<'_>, command: &str, breadth: Breadth) -> Self {
        let look = Look::new(authored, Some(command), breadth);
        Self { command: literal(format!("`{command}`")), look, breadth }
    }

    /// Builds an imperative around the command.
    fn clause(&self, position: Position) -> Expression {
        let to = |verbs: Expression| {
            sequence([verbs, literal(" "), self.command.clone(), optional(literal(" first"))])
        };
        let purpose = sequence([literal(" to "), self.look.inside.clone()]);
        if self.breadth == Breadth::Sampled {
            let run = sequence([position.one_of(["run", "use"]), literal(" "), self.command.clone()]);
            return sequence([run, purpose]);
        }
        let look = match position {
            Position::Start => self.look.start.clone(),
            Position::Inside => self.look.inside.clone(),
        };
        let run = choice([
            position.one_of(words(lexicon::RUN)),
            position.one_of(words(lexicon::RUNNING)),
            position.one_of(words(lexicon::OUTPUT)),
        ]);
        let with = one_of(words(lexicon::WITH).iter().map(|with| format!(" {with} ")));
        let in_order_to = choice([position.one_of(["to"]), position.one_of(["in order to"])]);
        let command = || self.command.clone();
        let for_what = sequence([
            literal(" for "),
            choice([
                self.look.noun.clone(),
                spaced([
                    one_of(["an overview of", "a list of", "a look at", "details on", "details of"]),
                    self.look.noun.clone(),
                ]),
            ]),
        ]);
        let shown = choice([self.look.noun.clone(), self.look.question.clone()]);
        let shows = one_of([
            " shows ",
            " lists ",
            " displays ",
            " prints ",
            " tells ",
            " shows you ",
            " tells you ",
            " gives ",
        ]);
        let it = position.one_of(["the command", "the output of"]);
        choice([
            sequence([to(run), optional(choice([purpose.clone(), for_what]))]),
            sequence([
                look.clone(),
                optional(literal(" first")),
                with,
                command(),
                optional(choice([purpose, sequence([literal(" and "), self.look.noun.clone()])])),
            ]),
            sequence([
                choice([
                    sequence([in_order_to, literal(" "), self.look.inside.clone()]),
                    spaced([
                        position.one_of(["for an overview of", "for a list of", "for details on", "for"]),
                        self.look.noun.clone(),
                    ]),
                ]),
                one_of([
                    ", run ",
                    ", use ",
                    ", try ",
                    ", you can run ",
                    ", you can use ",
                    ", start with ",
                    ", look at ",
                    ", check ",
                    ", see ",
                    ", execute ",
                    ", run the command ",
                    ", the command ",
                    ", consult ",
                    ", turn to ",
                    ", read ",
                    ", please run ",
                    ", please use ",
                    ", first run ",
                    ", simply run ",
                    ", have a look at ",
                    ", begin with ",
                ]),
                command(),
            ]),
            spaced([
                position.one_of(words(lexicon::LOOK_INTO_QUESTION)),
                one_of(["with", "in the output of", "using"]),
                command(),
                self.look.question.clone(),
            ]),
            spaced([
                position.one_of(words(lexicon::LOOK_AT_THING)),
                one_of(["with", "using"]),
                command(),
                self.look.noun.clone(),
            ]),
            sequence([
                look,
                optional(literal(" first")),
                one_of(["; ", ": ", ", ", " - "]),
                command(),
                optional(one_of([
                    " lists them",
                    " shows them",
                    " shows it",
                    " helps with that",
                    " shows this",
                    " tells",
                ])),
            ]),
            sequence([choice([command(), spaced([it, command()])]), shows, shown.clone()]),
            spaced([
                one_of(match position {
                    Position::Start => ["It", "This", "The details", "They"],
                    Position::Inside => ["it", "this", "the details", "they"],
                }),
                one_of([
                    "can be read",
                    "can be seen",
                    "can be checked",
                    "can be listed",
                    "can be found",
                    "can be watched",
                ]),
                one_of(["with", "using", "in the output of", "by running"]),
                command(),
            ]),
            spaced([
                position.one_of(["with"]),
                sequence([command(), optional(literal(","))]),
                choice([
                    spaced([one_of(["you can", "you may"]), self.look.inside.clone()]),
                    spaced([literal("you see"), shown]),
                    self.look.inside.clone(),
                ]),
            ]),
            spaced([
                position.one_of(["let", "have"]),
                command(),
                one_of(["show", "show you", "list", "tell you"]),
                choice([self.look.noun.clone(), self.look.question.clone()]),
            ]),
        ])
    }
}

struct Sentences {
    shown: Vec<Shown>,
    look: Look,
    directives: Vec<String>,
    breadth: Breadth,
}

impl Sentences {
    fn sentence(&self) -> Expression {
        let clauses = |position| choice(self.shown.iter().map(|shown| shown.clause(position)));
        if self.breadth == Breadth::Sampled {
            return sequence([clauses(Position::Start), literal(".")]);
        }
        let inside = rule("clause", clauses(Position::Inside));
        let directive = rule("directive", one_of(self.directives.iter().map(|text| uncapitalized(text))));
        let directive_start = one_of(self.directives.iter().map(|text| capitalized(text)));
        let follow = sequence([
            one_of(CONNECTIVES.iter().copied()),
            choice([self.look.inside.clone(), directive.clone(), inside.clone()]),
        ]);
        let lead = sequence([Position::Start.one_of(words(lexicon::LEAD)), one_of([" ", ", "])]);
        let start = choice([
            rule("clause_start", clauses(Position::Start)),
            self.look.start.clone(),
            directive_start,
            sequence([lead, choice([inside, self.look.inside.clone(), directive])]),
        ]);
        sequence([start, optional(rule("follow", follow)), literal(".")])
    }
}
