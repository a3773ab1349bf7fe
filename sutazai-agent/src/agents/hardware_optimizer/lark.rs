//! Printer of a language as a Lark grammar for llguidance.
//!
//! Every named rule becomes a terminal (upper-case name), and so does the whole text. llguidance then matches it as one
//! regular expression. That costs less per token than its parser of context-free rules, and there is no ambiguity
//! between words of which one is a prefix of another.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use super::language::{Expression, Rule};

/// Prints the grammar of a language; its start symbol is `start`. The empty language gives an invalid grammar.
pub(super) fn grammar(language: &Expression) -> String {
    let mut printer = Printer { terminals: String::new(), names: HashMap::new(), bodies: HashMap::new() };
    let body = printer.expression(language);
    format!("start: TEXT\nTEXT: {body}\n{}", printer.terminals)
}

struct Printer {
    terminals: String,
    names: HashMap<*const Rule, String>,
    bodies: HashMap<String, String>,
}

impl Printer {
    fn expression(&mut self, expression: &Expression) -> String {
        match expression {
            Expression::Literal(text) => literal(text),
            Expression::Sequence(parts) if parts.is_empty() => literal(""),
            Expression::Sequence(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.expression(part)).collect();
                parts.join(" ")
            }
            Expression::Choice(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.expression(part)).collect();
                format!("({})", parts.join(" | "))
            }
            Expression::Repeat { of, min, max } => {
                let of = self.expression(of);
                match (min, max) {
                    (_, 0) => literal(""),
                    (0, 1) => format!("({of})?"),
                    _ => format!("({of}){{{min},{max}}}"),
                }
            }
            Expression::Rule(rule) => self.rule(rule),
        }
    }

    fn rule(&mut self, rule: &Arc<Rule>) -> String {
        let key = Arc::as_ptr(rule);
        if let Some(name) = self.names.get(&key) {
            return name.clone();
        }
        let body = self.expression(&rule.body);
        // Rules with the same body are merged, because several commands gather the same words.
        let number = self.bodies.len();
        let known = self.bodies.entry(body).or_insert_with_key(|body| {
            let name = format!("{}_{number}", rule.name.to_ascii_uppercase());
            let _ = writeln!(self.terminals, "{name}: {body}");
            name
        });
        self.names.insert(key, known.clone());
        known.clone()
    }
}

/// Quotes a text with JSON's escapes; the notation allows DEL only as an escape.
fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use llguidance::api::TopLevelGrammar;
    use llguidance::toktrie::ApproximateTokEnv;
    use llguidance::{Matcher, ParserFactory};
    use proptest::prelude::*;
    use sutazai_core::domain::ModelPermission::{Choose, Word};

    use super::super::composition::Composition;
    use super::super::language::{self, choice, one_of, optional, repeat, rule, sequence};
    use super::super::rules::sample::sick;
    use super::super::rules::{self, Trends};
    use super::*;

    fn factory() -> ParserFactory {
        let bytes = ApproximateTokEnv::single_byte_env();
        ParserFactory::new_simple(&bytes).unwrap()
    }

    /// Returns whether llguidance accepts the whole text, byte by byte.
    fn samples(factory: &ParserFactory, grammar: &str, text: &str) -> bool {
        let parser = factory.create_parser(TopLevelGrammar::from_lark(grammar.to_owned())).unwrap();
        let mut matcher = Matcher::new(Ok(parser));
        let bytes: Vec<u32> = text.bytes().map(u32::from).collect();
        let consumed = matcher.try_consume_tokens(&bytes).unwrap();
        consumed == bytes.len() && matcher.is_accepting().unwrap()
    }

    #[test]
    fn grammar_of_every_finding_parses_and_accepts_its_authored_texts() {
        let factory = factory();
        for found in rules::find(&sick(), &Trends::default()) {
            for permission in [Choose, Word] {
                let composition = Composition::new(&found, permission);
                let grammar = composition.grammar();
                let statements = &found.texts.statements;
                let whole = permission == Choose && statements.len() > 1;
                let before = if whole { format!("{} ", statements[0]) } else { String::new() };
                for advice in &found.texts.advice {
                    assert!(samples(&factory, &grammar, &format!("{before}{advice}")), "{advice}");
                }
                for lie in ["All is well.", "Run `rm -rf /` to see what happens.", ""] {
                    assert!(!samples(&factory, &grammar, &format!("{before}{lie}")), "{lie}");
                }
            }
        }
    }

    #[test]
    fn special_characters_in_texts_are_escaped() {
        let factory = factory();
        for text in ["a \"b\" \\ c", "line\nbreak\ttab", "//# no {comment}?*+", "\u{7f}\u{1}", "°C ä 名"] {
            let grammar = grammar(&one_of([text]));
            assert!(samples(&factory, &grammar, text), "{text:?}: {grammar}");
            assert!(!samples(&factory, &grammar, &format!("{text}x")), "{text:?}");
        }
    }

    fn expressions() -> impl Strategy<Value = Expression> {
        let word = prop::collection::vec("[ab]{1,2}", 1..3).prop_map(one_of);
        word.prop_recursive(3, 12, 3, |inner| {
            let several = || prop::collection::vec(inner.clone(), 1..3);
            prop_oneof![
                several().prop_map(sequence),
                several().prop_map(choice),
                (inner.clone(), 0..3_usize, 1..3_usize).prop_map(|(of, min, more)| repeat(
                    of,
                    min,
                    min + more
                )),
                inner.clone().prop_map(optional),
                inner.prop_map(|body| rule("part", body)),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// A backend that samples by the grammar and the check of finished texts must decide alike.
        #[test]
        fn grammar_and_matcher_agree(
            inner in expressions(),
            texts in prop::collection::vec("[ab]{0,6}", 8),
        ) {
            // llguidance rejects a token that can be empty.
            let language = sequence([language::literal("<"), inner, language::literal(">")]);
            let (factory, grammar) = (factory(), grammar(&language));
            for text in texts {
                let text = format!("<{text}>");
                prop_assert_eq!(samples(&factory, &grammar, &text), language.matches(&text), "{}: {}", text, grammar);
            }
        }
    }

    #[test]
    fn nested_repetitions_take_polynomial_time() {
        let inner = repeat(one_of(["a", "aa", "aaa"]), 0, 9);
        let language = repeat(repeat(inner, 0, 9), 0, 9);
        let text = format!("{}b", "a".repeat(300));
        let begun = std::time::Instant::now();
        assert!(!language.matches(&text));
        assert!(begun.elapsed().as_secs() < 60, "the matcher hangs");
        assert!(!language.matches(&"a".repeat(language::MAX_TEXT_BYTES + 1)), "longer than any text");
    }
}
