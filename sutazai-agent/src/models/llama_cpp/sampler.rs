//! Chooses the next token.
//!
//! A grammar is asked about the most probable tokens first, and about more of them only while none fits: to ask about
//! the whole vocabulary costs many times what the model itself does.

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;
use sutazai_core::domain::GenerateRequest;
use sutazai_core::{Error, Result};

/// How many of the latest tokens are avoided.
const PENALTY_WINDOW: i32 = 64;

/// Of so many most probable tokens one is drawn.
const TOP_K: i32 = 40;

/// Of how many most probable tokens a grammar is asked when none of the first fits; then of all.
const WIDER: [i32; 3] = [400, 4_000, i32::MAX];

/// Of those, the most probable that make up this share.
const TOP_P: f32 = 0.95;

/// Of those, none that is less probable than this share of the most probable.
const MIN_P: f32 = 0.05;

/// The sampler of one answer.
#[derive(Debug)]
pub(super) struct Sampler {
    penalties: LlamaSampler,
    draw: LlamaSampler,
    grammar: Option<LlamaSampler>,
}

impl Sampler {
    /// As the request says, with this grammar.
    ///
    /// # Errors
    /// `InvalidInput` naming `constraint` when the grammar cannot be read.
    pub(super) fn new(model: &LlamaModel, request: &GenerateRequest, grammar: Option<&str>) -> Result<Self> {
        let unreadable = |e| {
            Error::invalid(
                "constraint",
                "expected a grammar in GBNF with a rule `root` and no left recursion",
            )
            .with_source(e)
        };
        let grammar =
            grammar.map(|text| LlamaSampler::grammar(model, text, "root").map_err(unreadable)).transpose()?;
        let draw = if request.temperature > 0.0 {
            LlamaSampler::chain_simple([
                LlamaSampler::top_p(TOP_P, 1),
                LlamaSampler::min_p(MIN_P, 1),
                LlamaSampler::temp(request.temperature),
                LlamaSampler::dist(request.seed.unwrap_or_else(rand::random)),
            ])
        } else {
            LlamaSampler::greedy()
        };
        let penalty = if request.repeat_penalty > 0.0 { request.repeat_penalty } else { 1.0 };
        let penalties = LlamaSampler::penalties(model.n_vocab(), PENALTY_WINDOW, penalty, 0.0, 0.0);
        Ok(Self { penalties, draw, grammar })
    }

    /// The next token after the batch's token at `index`.
    ///
    /// # Errors
    /// `Unavailable` when the grammar leaves no token: it demands what this model's vocabulary cannot write.
    pub(super) fn next(&mut self, context: &LlamaContext<'_>, index: i32) -> Result<LlamaToken> {
        let mut candidates = self.most_probable(context, index, TOP_K);
        if self.grammar.is_some() {
            let mut wider = WIDER.iter();
            while self.fitting(&mut candidates).is_empty() {
                let Some(k) = wider.next() else { break };
                candidates = self.most_probable(context, index, *k);
            }
        }
        let stuck = || Error::unavailable("the grammar leaves this model no token to go on with");
        if candidates.data.is_empty() {
            return Err(stuck());
        }
        candidates.apply_sampler(&mut self.draw);
        let token = candidates.selected_token().ok_or_else(stuck)?;
        self.penalties.accept(token);
        if let Some(grammar) = &mut self.grammar {
            grammar.try_accept(token).map_err(|e| stuck().with_source(e))?;
        }
        Ok(token)
    }

    fn most_probable(&mut self, context: &LlamaContext<'_>, index: i32, k: i32) -> LlamaTokenDataArray {
        let mut candidates = context.token_data_array_ith(index);
        candidates.apply_sampler(&mut self.penalties);
        candidates.apply_sampler(&mut LlamaSampler::top_k(k));
        candidates
    }

    /// Leaves those that fit the grammar. It gives the others no probability at all; the draw must not see them.
    fn fitting<'a>(&mut self, candidates: &'a mut LlamaTokenDataArray) -> &'a [LlamaTokenData] {
        if let Some(grammar) = &mut self.grammar {
            candidates.apply_sampler(grammar);
        }
        candidates.data.retain(|candidate| candidate.logit().is_finite());
        candidates.selected = None;
        &candidates.data
    }
}
