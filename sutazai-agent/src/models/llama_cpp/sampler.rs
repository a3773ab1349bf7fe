//! Chooses the next token.
//!
//! Everything looks at the most probable tokens only: to sort or to penalize a whole vocabulary costs as much as a small
//! model does, and to ask a grammar about all of it many times that. A grammar is asked about more of them only while
//! none fits.

use std::cmp::Ordering;
use std::collections::VecDeque;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;
use sutazai_core::domain::GenerateRequest;
use sutazai_core::{Error, Result};

/// How many of the latest tokens are avoided.
const PENALTY_WINDOW: usize = 64;

/// Of so many most probable tokens one is drawn.
const TOP_K: usize = 40;

/// Of how many most probable tokens a grammar is asked when none of the first fits; then of all.
const WIDER: [usize; 3] = [400, 4_000, usize::MAX];

/// Of those, the most probable that make up this share, unless the request names another.
const TOP_P: f32 = 0.95;

/// Of those, none that is less probable than this share of the most probable.
const MIN_P: f32 = 0.05;

/// The sampler of one answer.
#[derive(Debug)]
pub(super) struct Sampler {
    /// The latest tokens, which are less probable by `penalty`.
    latest: VecDeque<LlamaToken>,
    penalty: f32,
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
                LlamaSampler::top_p(request.top_p.unwrap_or(TOP_P), 1),
                LlamaSampler::min_p(MIN_P, 1),
                LlamaSampler::temp(request.temperature),
                LlamaSampler::dist(request.seed.unwrap_or_else(rand::random)),
            ])
        } else {
            LlamaSampler::greedy()
        };
        let penalty = if request.repeat_penalty > 0.0 { request.repeat_penalty } else { 1.0 };
        Ok(Self { latest: VecDeque::new(), penalty, draw, grammar })
    }

    /// The next token after the batch's token at `index`.
    ///
    /// # Errors
    /// `Unavailable` when the grammar leaves no token: it demands what this model's vocabulary cannot write.
    pub(super) fn next(&mut self, context: &LlamaContext<'_>, index: i32) -> Result<LlamaToken> {
        let logits = context.get_logits_ith(index);
        let mut candidates = self.most_probable(logits, TOP_K);
        if self.grammar.is_some() {
            let mut wider = WIDER.iter();
            while self.fitting(&mut candidates).is_empty() {
                let Some(k) = wider.next() else { break };
                candidates = self.most_probable(logits, *k);
            }
        }
        let stuck = || Error::unavailable("the grammar leaves this model no token to go on with");
        if candidates.data.is_empty() {
            return Err(stuck());
        }
        candidates.apply_sampler(&mut self.draw);
        let token = candidates.selected_token().ok_or_else(stuck)?;
        if self.latest.len() == PENALTY_WINDOW {
            self.latest.pop_front();
        }
        self.latest.push_back(token);
        if let Some(grammar) = &mut self.grammar {
            grammar.try_accept(token).map_err(|e| stuck().with_source(e))?;
        }
        Ok(token)
    }

    /// The `k` most probable tokens after the penalty, the most probable first.
    fn most_probable(&self, logits: &[f32], k: usize) -> LlamaTokenDataArray {
        // The penalty takes down the latest tokens only: what it lets rise was among so many more before.
        let mut best = highest(logits, k.saturating_add(self.latest.len()));
        let penalized = |(token, logit): (i32, f32)| {
            let token = LlamaToken::new(token);
            let logit = match self.latest.contains(&token) {
                false => logit,
                // As in Keskar et al. 2019 (CTRL), with the sign minded.
                true if logit > 0.0 => logit / self.penalty,
                true => logit * self.penalty,
            };
            LlamaTokenData::new(token, logit, 0.0)
        };
        let mut data: Vec<_> = best.drain(..).map(penalized).collect();
        data.sort_unstable_by(|a, b| b.logit().total_cmp(&a.logit()).then(a.id().0.cmp(&b.id().0)));
        data.truncate(k);
        LlamaTokenDataArray::new(data, true)
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

/// The `k` highest logits with their tokens, in no order.
fn highest(logits: &[f32], k: usize) -> Vec<(i32, f32)> {
    let by_logit = |a: &(i32, f32), b: &(i32, f32)| b.1.total_cmp(&a.1);
    let all = (0_i32..).zip(logits.iter().copied());
    if k >= logits.len() {
        return all.collect();
    }
    // What is below the k-th highest so far is passed over; the rest is thinned out whenever it has grown.
    let mut best: Vec<(i32, f32)> = Vec::with_capacity(4 * k);
    let mut least = f32::NEG_INFINITY;
    for (token, logit) in all {
        if logit.partial_cmp(&least) != Some(Ordering::Greater) {
            continue;
        }
        best.push((token, logit));
        if best.len() == 4 * k {
            best.select_nth_unstable_by(k - 1, by_logit);
            best.truncate(k);
            least = best[k - 1].1;
        }
    }
    if best.len() > k {
        best.select_nth_unstable_by(k - 1, by_logit);
        best.truncate(k);
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sampler(latest: &[i32], penalty: f32) -> Sampler {
        let latest = latest.iter().map(|token| LlamaToken::new(*token)).collect();
        Sampler { latest, penalty, draw: LlamaSampler::greedy(), grammar: None }
    }

    fn ids(candidates: &LlamaTokenDataArray) -> Vec<i32> {
        candidates.data.iter().map(|candidate| candidate.id().0).collect()
    }

    #[test]
    fn the_latest_are_less_probable() {
        let logits = [2.0, 1.9, -1.0, 0.5, -1.1];
        assert_eq!(ids(&sampler(&[], 1.1).most_probable(&logits, 3)), [0, 1, 3]);
        assert_eq!(ids(&sampler(&[0], 1.1).most_probable(&logits, 3)), [1, 0, 3]);
        assert_eq!(ids(&sampler(&[0, 1, 3], 100.0).most_probable(&logits, 5)), [0, 1, 3, 2, 4]);
        assert_eq!(ids(&sampler(&[2], 1.2).most_probable(&logits, 5)), [0, 1, 3, 4, 2]);
    }

    proptest! {
        #[test]
        fn none_of_the_highest_is_passed_over(logits in prop::collection::vec(-50.0_f32..50.0, 1..400), k in 1_usize..60) {
            let mut sorted = logits.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            sorted.truncate(k);
            let mut found: Vec<_> = highest(&logits, k).into_iter().map(|(_, logit)| logit).collect();
            found.sort_by(|a, b| b.total_cmp(a));
            prop_assert_eq!(found, sorted);
        }
    }
}
