//! Embedded questions and clauses, which may follow `see`, `find out` or `check that`.

use super::language::one_of;
use super::language::{Expression, choice, literal, optional, sequence, spaced};
use super::phrases::{Breadth, Parts, behind, words};

impl Parts<'_> {
    /// Builds a whole clause in the present tense.
    pub(super) fn clause(&self, object: &Expression) -> Expression {
        let (does, do_) = self.actions(&self.words.neutral, object);
        let mut clauses = vec![spaced([self.thing.clone(), choice([does, do_])])];
        for subject in &self.subjects {
            let (acts, act) = self.actions(subject.verbs, object);
            clauses.extend([spaced([subject.one.clone(), acts]), spaced([subject.several.clone(), act])]);
        }
        choice(clauses)
    }

    /// Builds questions such as `which processes hold the most memory`, from a noun phrase and the authored predicates.
    pub(super) fn question(&self, full: &Expression, authored: &Expression) -> Expression {
        let vocabulary = self.words;
        let noun = &self.noun;
        let which = one_of(self.breadth.first("which what what_kind_of what_sort_of which_kind_of", 1));
        let is = words(&["is", "are"]);
        let placed = |part: Expression| sequence([part, behind(self.placed())]);
        let (anything, several_things) = self.actions(&vocabulary.any, full);
        let any = choice([anything, several_things]);
        let (does, do_) = self.actions(&vocabulary.neutral, full);
        let neutral = choice([does.clone(), do_.clone()]);
        let held = self.held(true);
        let how = self.held(false);
        let one = placed(noun.bare(vocabulary.singular.clone()));
        let several = placed(noun.bare(self.joined(&vocabulary.plural)));
        let either = choice([one.clone(), several.clone()]);
        let many = words(&["how much", "how many"]);
        let amount = noun.bare(choice([vocabulary.mass.clone(), vocabulary.plural.clone()]));
        let amount = spaced([many, placed(amount)]);
        let there = words(&["there is", "there are", "is left", "are left", "is in use", "are in use"]);
        let there = placed(there);
        let state = choice([
            vocabulary.neutral.all.participle.clone(),
            vocabulary.any.all.participle.clone(),
            vocabulary.predicate.clone(),
        ]);
        let degree = choice([
            vocabulary.predicate.clone(),
            words(&[
                "large", "big", "much", "heavy", "high", "often", "far", "close", "fast", "exactly", "long",
            ]),
        ]);
        let mut questions =
            vec![spaced([which.clone(), several, do_.clone()]), spaced([amount.clone(), held.clone()])];
        if self.breadth == Breadth::Sampled {
            let classes = self.subjects.iter().map(|subject| {
                let (_, act) = self.actions(subject.verbs, full);
                spaced([literal("which"), subject.which.clone(), act])
            });
            return choice(classes.chain(questions));
        }
        questions.extend([
            spaced([which.clone(), either.clone(), choice([authored.clone(), there.clone()])]),
            spaced([which.clone(), one, does.clone()]),
            spaced([words(&["which of", "how much of", "how many of"]), self.thing.clone(), neutral.clone()]),
            spaced([
                placed(words(&[
                    "what",
                    "who",
                    "what else",
                    "what exactly",
                    "which",
                    "which one",
                    "which ones",
                ])),
                any.clone(),
            ]),
            sequence([literal("what's "), vocabulary.any.transitive.present.clone(), behind(full.clone())]),
            spaced([choice([literal("what"), spaced([which.clone(), either.clone()])]), held.clone()]),
            spaced([
                self.preposition.clone(),
                choice([literal("what"), spaced([which.clone(), either])]),
                held.clone(),
            ]),
            spaced([
                choice([amount.clone(), literal("how much"), literal("how many")]),
                choice([neutral.clone(), held.clone(), there]),
            ]),
            spaced([amount, is.clone(), state.clone()]),
            spaced([
                words(&["how", "where"]),
                self.thing.clone(),
                is.clone(),
                sequence([optional(literal("being ")), placed(state)]),
            ]),
            spaced([
                words(&["how", "where"]),
                choice([how.clone(), spaced([self.thing.clone(), is.clone()])]),
            ]),
            spaced([literal("how"), degree.clone(), placed(spaced([self.thing.clone(), is.clone()]))]),
            spaced([literal("how"), degree, how]),
            spaced([words(&["whether", "if"]), self.thing.clone(), neutral]),
            spaced([
                words(&["whether there", "if there"]),
                words(&["is", "was", "are", "were"]),
                full.clone(),
            ]),
            words(&["when this happened", "when it happened", "what there is", "what is there"]),
        ]);
        for subject in &self.subjects {
            let (acts, act) = self.actions(subject.verbs, full);
            let how_many = words(&["how many", "which", "what"]);
            let about = words(&["whether", "if", "why", "when", "where"]);
            let keeps = |keeps: &str| spaced([literal(keeps), subject.verbs.all.present.clone()]);
            questions.extend([
                spaced([how_many, placed(subject.which.clone()), act.clone()]),
                spaced([which.clone(), placed(subject.which_one.clone()), acts.clone()]),
                spaced([words(&["which of", "how many of"]), subject.several.clone(), act.clone()]),
                spaced([about.clone(), placed(subject.one.clone()), choice([acts, keeps("keeps")])]),
                spaced([about, placed(subject.several.clone()), choice([act, keeps("keep")])]),
                spaced([literal("what makes"), subject.one.clone(), subject.verbs.all.base.clone()]),
            ]);
        }
        choice(questions)
    }
}
