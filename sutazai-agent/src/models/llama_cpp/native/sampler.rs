//! Sampler that selects the next token of an answer.
//!
//! It draws among the [`TOP_K`] most probable tokens that the constraint allows. Sorting or penalizing the whole
//! vocabulary would cost as much as a small model does.

use std::cmp::Ordering;
use std::collections::VecDeque;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;
use llguidance::Matcher;
use sutazai_core::domain::GenerateRequest;
use sutazai_core::{Error, Result};

/// Number of latest tokens that the repeat penalty applies to.
const PENALTY_WINDOW: usize = 64;

/// Number of most probable tokens that are candidates.
const TOP_K: usize = 40;

/// Default of top-p sampling: the candidates are the most probable tokens that together reach this probability.
const TOP_P: f32 = 0.95;

/// Least probability of a candidate, as a share of the most probable one's.
const MIN_P: f32 = 0.05;

/// Default temperature, which leaves the probabilities as the model was trained.
const TEMPERATURE: f32 = 1.0;

/// Sampler of one answer.
pub(super) struct Sampler {
    /// Latest tokens, to which `penalty` applies.
    latest: VecDeque<LlamaToken>,
    penalty: f32,
    draw: LlamaSampler,
    constraint: Option<Constrained>,
}

/// Constraint of an answer, and how much it restricted the model's own choice.
struct Constrained {
    matcher: Matcher,
    /// Sum over the sampled tokens of the logarithm of the total probability of the allowed tokens.
    log_allowed: f64,
    sampled: u32,
}

impl Sampler {
    /// Creates a sampler with the settings of the request and an optional constraint.
    pub(super) fn new(request: &GenerateRequest, matcher: Option<Matcher>) -> Self {
        let temperature = request.temperature.unwrap_or(TEMPERATURE);
        let draw = if temperature > 0.0 {
            LlamaSampler::chain_simple([
                LlamaSampler::top_p(request.top_p.unwrap_or(TOP_P), 1),
                LlamaSampler::min_p(MIN_P, 1),
                LlamaSampler::temp(temperature),
                LlamaSampler::dist(short_seed(request.seed.unwrap_or_else(rand::random))),
            ])
        } else {
            LlamaSampler::greedy()
        };
        let penalty = request.repeat_penalty.filter(|penalty| *penalty > 0.0).unwrap_or(1.0);
        let constraint = matcher.map(|matcher| Constrained { matcher, log_allowed: 0.0, sampled: 0 });
        Self { latest: VecDeque::new(), penalty, draw, constraint }
    }

    /// Selects the token that follows the batch's token at `index`.
    ///
    /// # Errors
    /// `Unavailable` when the constraint allows no token, because it demands what this model's vocabulary cannot
    /// express.
    pub(super) fn next(&mut self, context: &LlamaContext<'_>, index: i32) -> Result<LlamaToken> {
        let logits = context.get_logits_ith(index);
        let stuck = || Error::unavailable("the constraint allows no token of this model's vocabulary");
        let stopped = |e: &dyn std::fmt::Display| {
            let reason: String = e.to_string().lines().next().unwrap_or_default().chars().take(200).collect();
            Error::unavailable(format!("the constraint cannot be enforced: {reason}"))
        };
        let mut candidates = match &mut self.constraint {
            None => self.most_probable((0..).zip(logits.iter().copied()), logits.len()),
            Some(constraint) => {
                let mask = constraint.matcher.compute_mask_or_eos().map_err(|e| stopped(&e))?;
                let allowed =
                    mask.iter().filter_map(|id| Some((i32::try_from(id).ok()?, *logits.get(id as usize)?)));
                let allowed: Vec<_> = allowed.collect();
                constraint.log_allowed += allowed_share(&allowed, logits).max(f64::MIN_POSITIVE).ln();
                constraint.sampled += 1;
                let all = allowed.len();
                self.most_probable(allowed.into_iter(), all)
            }
        };
        if candidates.data.is_empty() {
            return Err(stuck());
        }
        candidates.apply_sampler(&mut self.draw);
        let token = candidates.selected_token().ok_or_else(stuck)?;
        if self.latest.len() == PENALTY_WINDOW {
            self.latest.pop_front();
        }
        self.latest.push_back(token);
        if let Some(constraint) = &mut self.constraint
            && !constraint.matcher.is_stopped()
        {
            constraint.matcher.consume_token(token.0.unsigned_abs()).map_err(|e| stopped(&e))?;
        }
        Ok(token)
    }

    /// Returns whether the constraint allows no further token, so that the answer has ended.
    pub(super) fn is_complete(&self) -> bool {
        self.constraint.as_ref().is_some_and(|constraint| constraint.matcher.is_stopped())
    }

    /// Returns the geometric mean of the probability of the allowed tokens; `None` without a constraint.
    pub(super) fn fluency(&self) -> Option<f32> {
        let constraint = self.constraint.as_ref().filter(|constraint| constraint.sampled > 0)?;
        Some((constraint.log_allowed / f64::from(constraint.sampled)).exp() as f32)
    }

    /// Returns the [`TOP_K`] most probable of `all` tokens after the penalty, in descending order.
    fn most_probable(&self, logits: impl Iterator<Item = (i32, f32)>, all: usize) -> LlamaTokenDataArray {
        // The penalty only lowers the latest tokens, so as many additional candidates suffice to replace those that
        // drop.
        let mut best = highest(logits, all, TOP_K + self.latest.len());
        let penalized = |(token, logit): (i32, f32)| {
            let token = LlamaToken::new(token);
            let logit = match self.latest.contains(&token) {
                false => logit,
                // As in Keskar et al. 2019 (CTRL), but with the sign taken into account: a negative logit must be
                // multiplied.
                true if logit > 0.0 => logit / self.penalty,
                true => logit * self.penalty,
            };
            LlamaTokenData::new(token, logit, 0.0)
        };
        let mut data: Vec<_> = best.drain(..).map(penalized).collect();
        data.sort_unstable_by(|a, b| b.logit().total_cmp(&a.logit()).then(a.id().0.cmp(&b.id().0)));
        data.truncate(TOP_K);
        LlamaTokenDataArray::new(data, true)
    }
}

/// Returns the logarithm of a token's probability.
pub(super) fn log_probability(token: LlamaToken, logits: &[f32]) -> f64 {
    let logit = usize::try_from(token.0).ok().and_then(|at| logits.get(at)).copied();
    let share = allowed_share(&[(token.0, logit.unwrap_or(f32::NEG_INFINITY))], logits);
    share.max(f64::MIN_POSITIVE).ln()
}

/// Returns the total probability of the allowed tokens.
fn allowed_share(allowed: &[(i32, f32)], logits: &[f32]) -> f64 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| f64::from((logit - highest).exp());
    let all: f64 = logits.iter().map(|logit| weight(*logit)).sum();
    allowed.iter().map(|(_, logit)| weight(*logit)).sum::<f64>() / all
}

/// Returns the `k` highest of `all` logits with their tokens, in no particular order.
fn highest(logits: impl Iterator<Item = (i32, f32)>, all: usize, k: usize) -> Vec<(i32, f32)> {
    let by_logit = |a: &(i32, f32), b: &(i32, f32)| b.1.total_cmp(&a.1);
    if k >= all {
        return logits.collect();
    }
    // Logits below the k-th highest so far are skipped. The buffer is reduced to `k` whenever it reaches `4 * k`, which
    // takes linear time overall; sorting the vocabulary would not.
    let mut best: Vec<(i32, f32)> = Vec::with_capacity(4 * k);
    let mut least = f32::NEG_INFINITY;
    for (token, logit) in logits {
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

/// Reduces a seed to the 32 bits that llama.cpp takes. A seed that fits stays unchanged; of others every bit counts.
/// The result is never `u32::MAX`, which requests a random seed from llama.cpp.
fn short_seed(seed: i64) -> u32 {
    if let Some(short) = u32::try_from(seed).ok().filter(|short| *short != u32::MAX) {
        return short;
    }
    // Finalizer of SplitMix64 (Steele, Lea, Flood, 2014).
    let mut mixed = seed as u64;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 32).min(u64::from(u32::MAX - 1)) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sampler(latest: &[i32], penalty: f32) -> Sampler {
        let latest = latest.iter().map(|token| LlamaToken::new(*token)).collect();
        Sampler { latest, penalty, draw: LlamaSampler::greedy(), constraint: None }
    }

    fn ids(candidates: &LlamaTokenDataArray) -> Vec<i32> {
        candidates.data.iter().map(|candidate| candidate.id().0).collect()
    }

    fn best(sampler: &Sampler, logits: &[f32]) -> Vec<i32> {
        ids(&sampler.most_probable((0..).zip(logits.iter().copied()), logits.len()))
    }

    #[test]
    fn every_bit_of_a_seed_counts_and_no_seed_is_random() {
        assert_eq!((short_seed(0), short_seed(5)), (0, 5));
        let seeds = [5, 4_294_967_301, -1, i64::from(u32::MAX), i64::MAX, i64::MIN, 5 << 32];
        let short: std::collections::BTreeSet<_> = seeds.map(short_seed).into_iter().collect();
        assert!(short.len() == seeds.len() && !short.contains(&u32::MAX), "{short:?}");
    }

    #[test]
    fn recent_tokens_are_less_probable() {
        let logits = [2.0, 1.9, -1.0, 0.5, -1.1];
        assert_eq!(best(&sampler(&[], 1.1), &logits), [0, 1, 3, 2, 4]);
        assert_eq!(best(&sampler(&[0], 1.1), &logits), [1, 0, 3, 2, 4]);
        assert_eq!(best(&sampler(&[0, 1, 3], 100.0), &logits), [0, 1, 3, 2, 4]);
        assert_eq!(best(&sampler(&[2], 1.2), &logits), [0, 1, 3, 4, 2]);
    }

    #[test]
    fn share_of_allowed_tokens_is_their_probability() {
        let logits = [0.0, 0.0, f32::NEG_INFINITY, 3.0_f32.ln()];
        assert!((allowed_share(&[(0, 0.0), (3, 3.0_f32.ln())], &logits) - 0.8).abs() < 1e-6);
        assert_eq!(allowed_share(&[], &logits), 0.0);
        assert!((log_probability(LlamaToken::new(3), &logits) - 0.6_f64.ln()).abs() < 1e-6);
        assert!(log_probability(LlamaToken::new(2), &logits).is_finite(), "impossible, but no NaN");
        assert!(log_probability(LlamaToken::new(9), &logits).is_finite(), "not of the vocabulary");
    }

    proptest! {
        #[test]
        fn highest_logits_are_found(logits in prop::collection::vec(-50.0_f32..50.0, 1..400), k in 1_usize..60) {
            let mut sorted = logits.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            sorted.truncate(k);
            let mut found: Vec<_> = highest((0..).zip(logits.iter().copied()), logits.len(), k).into_iter().map(|(_, logit)| logit).collect();
            found.sort_by(|a, b| b.total_cmp(a));
            prop_assert_eq!(found, sorted);
        }
    }
}
