//! Compiler of constraints into token matchers, by llguidance (github.com/guidance-ai/llguidance).
//!
//! llguidance is written in Rust and limits the size of a grammar and the work per token. So a caller's constraint that
//! is too expensive is rejected, where llama.cpp's own converter in C++ would abort the process.

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};
use sutazai_core::domain::Constraint;
use sutazai_core::{Error, Result};

/// Longest constraint in bytes.
const MAX_CONSTRAINT_BYTES: usize = 256 * 1024;

/// Lexer budget per token, in llguidance's units of fuel.
const STEP_LEXER_FUEL: u64 = 2_000_000;

/// Maximum number of parser items per token.
const STEP_MAX_ITEMS: usize = 500_000;

/// Maximum number of parser items at one position of the text.
const MAX_ITEMS_IN_ROW: usize = 20_000;

/// Factory of matchers for the vocabulary of one model.
pub(super) struct Grammars(ParserFactory);

impl Grammars {
    /// Reads the model's vocabulary, which takes some hundred milliseconds.
    pub(super) fn of(model: &LlamaModel) -> Result<Self> {
        let tokens = LlamaSampler::llguidance_tok_env(model);
        let mut factory = ParserFactory::new_simple(&tokens)
            .map_err(|e| Error::unavailable(format!("the model's vocabulary cannot be constrained: {e}")))?;
        factory.quiet();
        let limits = factory.limits_mut();
        limits.verbose_errors = false;
        // The grammar of a finding has some thousand words and exceeds the defaults. At 14,000 units of fuel a
        // millisecond the worst token takes 150 ms, in a process that does nothing else.
        limits.step_lexer_fuel = STEP_LEXER_FUEL;
        limits.step_max_items = STEP_MAX_ITEMS;
        limits.max_items_in_row = MAX_ITEMS_IN_ROW;
        Ok(Self(factory))
    }

    /// Compiles the matcher of a constraint; `None` for a text to be measured, which is not sampled.
    ///
    /// # Errors
    /// `InvalidInput` naming `constraint` when it is too long, cannot be parsed, or has a keyword that cannot be
    /// enforced.
    pub(super) fn matcher(&self, constraint: &Constraint) -> Result<Option<Matcher>> {
        let (grammar, expected) = match constraint {
            Constraint::Grammar(grammar) => {
                check_length(grammar.len())?;
                (
                    TopLevelGrammar::from_lark(grammar.clone()),
                    "a grammar in Lark notation with a rule `start`",
                )
            }
            // A text is measured, not sampled.
            Constraint::Text(_) => return Ok(None),
            Constraint::JsonSchema(schema) => {
                check_length(schema.to_string().len())?;
                (
                    TopLevelGrammar::from_json_schema(compact(schema.clone())),
                    "a JSON Schema that can be enforced",
                )
            }
        };
        let refused = |e: String| {
            let reason: String = e.lines().next().unwrap_or_default().chars().take(200).collect();
            Error::invalid("constraint", format!("expected {expected}: {reason}"))
        };
        let mut matcher = Matcher::new(self.0.create_parser(grammar));
        if let Some(e) = matcher.get_error() {
            return Err(refused(e));
        }
        // Some mistakes show only when the first token mask is computed.
        matcher.compute_mask().map_err(|e| refused(e.to_string()))?;
        Ok(Some(matcher))
    }
}

fn check_length(length: usize) -> Result<()> {
    if length > MAX_CONSTRAINT_BYTES {
        let message = format!("expected at most {MAX_CONSTRAINT_BYTES} bytes, got {length}");
        return Err(Error::invalid("constraint", message));
    }
    Ok(())
}

/// Sets llguidance's options in the schema: one space after separators and no other white space, because a small model
/// that may emit white space tends to emit nothing else. It overwrites a caller's own options, which could loosen the
/// schema.
fn compact(mut schema: Value) -> Value {
    if let Value::Object(object) = &mut schema {
        let options = json!({ "whitespace_flexible": false, "item_separator": ", ", "key_separator": ": " });
        object.insert("x-guidance".to_owned(), options);
    }
    schema
}
