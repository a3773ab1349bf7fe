//! Regular languages: one expression gives both the check of a finished text and the grammar that a backend samples by.
//!
//! An [`Expression`] is built of literals, sequences, choices and bounded repetitions; there is no recursion. A part
//! that is used in several places is a named [`Rule`]. [`Expression::ends`] decides membership with sets of positions:
//! each rule is evaluated at most once for each position of the text, so the time grows with the length of the text and
//! the size of the expression, never exponentially. [`lark`](super::lark) prints the same expression as a grammar.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

/// Longest text that is matched, in bytes; the longest authored text has less than half of it.
pub(super) const MAX_TEXT_BYTES: usize = 1_500;

/// A regular language.
#[derive(Debug, Clone)]
pub(super) enum Expression {
    /// Exactly this text.
    Literal(Arc<str>),
    /// These one after another; without parts the empty text.
    Sequence(Arc<[Expression]>),
    /// One of these; without parts no text at all.
    Choice(Arc<[Expression]>),
    /// Between `min` and `max` times.
    Repeat {
        /// What is repeated.
        of: Arc<Expression>,
        /// Fewest times.
        min: usize,
        /// Most times.
        max: usize,
    },
    /// A named part, which may be used in several places.
    Rule(Arc<Rule>),
}

/// A named part of an expression.
#[derive(Debug)]
pub(super) struct Rule {
    /// Lower-case letters and `_`; several rules may have the same name.
    pub(super) name: &'static str,
    /// What it stands for.
    pub(super) body: Expression,
}

/// Exactly this text.
pub(super) fn literal(text: impl Into<Arc<str>>) -> Expression {
    Expression::Literal(text.into())
}

/// These one after another. Without texts where a part is without texts.
pub(super) fn sequence(parts: impl IntoIterator<Item = Expression>) -> Expression {
    let parts: Vec<_> = parts.into_iter().collect();
    if parts.iter().any(Expression::is_nothing) { nothing() } else { Expression::Sequence(parts.into()) }
}

/// The parts with a space between them.
pub(super) fn spaced(parts: impl IntoIterator<Item = Expression>) -> Expression {
    let mut spaced = Vec::new();
    for part in parts {
        if !spaced.is_empty() {
            spaced.push(literal(" "));
        }
        spaced.push(part);
    }
    sequence(spaced)
}

/// One of these.
pub(super) fn choice(parts: impl IntoIterator<Item = Expression>) -> Expression {
    Expression::Choice(parts.into_iter().filter(|part| !part.is_nothing()).collect())
}

/// One of these texts.
pub(super) fn one_of<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Expression {
    let texts: BTreeSet<String> = texts.into_iter().map(Into::into).collect();
    Expression::Choice(texts.into_iter().map(|text| Expression::Literal(text.into())).collect())
}

/// This or the empty text.
pub(super) fn optional(part: Expression) -> Expression {
    repeat(part, 0, 1)
}

/// Between `min` and `max` times.
pub(super) fn repeat(part: Expression, min: usize, max: usize) -> Expression {
    match part.is_nothing() {
        true if min == 0 => Expression::Sequence([].into()),
        true => nothing(),
        false => Expression::Repeat { of: Arc::new(part), min, max },
    }
}

/// This under a name. What has no texts gets none, so that it can be recognized.
pub(super) fn rule(name: &'static str, body: Expression) -> Expression {
    if body.is_nothing() { nothing() } else { Expression::Rule(Arc::new(Rule { name, body })) }
}

/// The language without any text.
pub(super) fn nothing() -> Expression {
    Expression::Choice([].into())
}

impl Expression {
    /// Whether no text belongs to it.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Choice(parts) if parts.is_empty())
    }

    /// Whether the whole text belongs to it.
    pub(super) fn matches(&self, text: &str) -> bool {
        Matcher::new(text).is_some_and(|mut matcher| matcher.ends(self, 0).contains(&text.len()))
    }
}

/// A part of an expression whose ends are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Rule(*const Rule),
    Repeat(*const Expression, usize, usize),
}

/// Matches one text.
pub(super) struct Matcher<'t> {
    text: &'t str,
    /// Where each rule or repetition ends that begins at this position.
    known: HashMap<(Part, usize), Rc<BTreeSet<usize>>>,
    furthest: usize,
}

impl<'t> Matcher<'t> {
    /// For this text; none where it is longer than [`MAX_TEXT_BYTES`].
    pub(super) fn new(text: &'t str) -> Option<Self> {
        (text.len() <= MAX_TEXT_BYTES).then(|| Self { text, known: HashMap::new(), furthest: 0 })
    }

    /// Where texts of this expression that begin at this position can end.
    pub(super) fn ends(&mut self, expression: &Expression, start: usize) -> BTreeSet<usize> {
        match expression {
            Expression::Literal(text) => {
                let rest = self.text.get(start..).unwrap_or_default();
                if rest.starts_with(text.as_ref()) {
                    self.furthest = self.furthest.max(start + text.len());
                    BTreeSet::from([start + text.len()])
                } else {
                    BTreeSet::new()
                }
            }
            Expression::Sequence(parts) => {
                let mut starts = BTreeSet::from([start]);
                for part in parts.iter() {
                    starts = self.ends_of_all(part, &starts);
                }
                starts
            }
            Expression::Choice(parts) => parts.iter().flat_map(|part| self.ends(part, start)).collect(),
            Expression::Repeat { of, min, max } => {
                let key = (Part::Repeat(Arc::as_ptr(of), *min, *max), start);
                if let Some(known) = self.known.get(&key) {
                    return known.as_ref().clone();
                }
                let mut starts = BTreeSet::from([start]);
                let mut ends = if *min == 0 { starts.clone() } else { BTreeSet::new() };
                for times in 1..=*max {
                    starts = self.ends_of_all(of, &starts);
                    if starts.is_empty() {
                        break;
                    }
                    if times >= *min {
                        ends.extend(&starts);
                    }
                }
                self.known.insert(key, Rc::new(ends.clone()));
                ends
            }
            Expression::Rule(rule) => {
                let key = (Part::Rule(Arc::as_ptr(rule)), start);
                if let Some(known) = self.known.get(&key) {
                    return known.as_ref().clone();
                }
                let ends = self.ends(&rule.body, start);
                self.known.insert(key, Rc::new(ends.clone()));
                ends
            }
        }
    }

    fn ends_of_all(&mut self, expression: &Expression, starts: &BTreeSet<usize>) -> BTreeSet<usize> {
        starts.iter().flat_map(|start| self.ends(expression, *start)).collect()
    }

    /// The furthest position that a literal has matched up to: what follows is the first that does not fit.
    pub(super) fn furthest(&self) -> usize {
        self.furthest
    }
}
