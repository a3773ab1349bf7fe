//! Has the model write a text for each finding, and puts the rules' sentence where none is accepted.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use sutazai_core::domain::{
    Constraint, FinishReason, GenerateRequest, GeneratedBy, Grounding, ModelUsage, ModelUse,
};
use sutazai_core::ports::{AgentContext, ModelBackend, ModelBackendExt};
use sutazai_core::{Error, Result};

use super::claims::Fault;
use super::slots::Slots;
use super::support::Support;
use super::{grammar, grounding, prompt, usefulness};

/// Texts written side by side: a backend that batches reads its weights once for all of them.
const AT_ONCE: usize = 4;

/// All texts together take no longer; the worst findings come first.
const BUDGET: Duration = Duration::from_secs(25);

/// How often a text is written before the rules' sentence stands.
const ATTEMPTS: u32 = 2;

/// Two sentences, with room for a long command.
const MAX_TOKENS: u32 = 220;

/// Near to greedy: plain sentences are wanted, not surprising ones.
const TEMPERATURE: f32 = 0.2;

/// The texts of all findings and how they came about.
#[derive(Debug)]
pub(super) struct Written {
    /// One for each finding, in the same order.
    pub(super) texts: Vec<Text>,
    pub(super) grounding: Grounding,
    pub(super) model: Option<ModelUse>,
    /// Why no model took part, or not in all texts.
    pub(super) degraded: Option<String>,
}

/// One text.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) by: GeneratedBy,
}

/// A text on its way: the model's, if one was accepted.
#[derive(Debug, Default)]
struct Draft {
    accepted: Option<String>,
    attempts: u32,
    refused: bool,
}

/// Writes for each finding.
///
/// # Errors
/// `Cancelled` once the context is cancelled.
pub(super) async fn write(context: &AgentContext, supports: &[Support]) -> Result<Written> {
    let wanted = context.task.payload.get("use_model").and_then(serde_json::Value::as_bool).unwrap_or(true);
    let (drafts, model, degraded) = match &context.model {
        Some(model) if wanted && !supports.is_empty() => {
            let author =
                Author { context, model: model.as_ref(), begun: Instant::now(), log: Mutex::default() };
            let drafts = author.write_all(supports).await?;
            let log = author.log.into_inner().unwrap_or_else(PoisonError::into_inner);
            (drafts, log.model_use(author.begun.elapsed()), log.degraded())
        }
        None if wanted => (Vec::new(), None, Some("no model backend is configured".to_owned())),
        _ => (Vec::new(), None, None),
    };
    let mut grounding = Grounding::default();
    let mut drafts = drafts.into_iter();
    let mut texts = Vec::new();
    for support in supports {
        let draft = drafts.next().unwrap_or_default();
        grounding.rewritten += u32::from(draft.attempts > 1);
        grounding.replaced += u32::from(draft.accepted.is_none() && draft.refused);
        let (text, by) = match draft.accepted {
            Some(text) => (text, GeneratedBy::Model),
            None => (support.rules_text(), GeneratedBy::Rules),
        };
        count(&text, by, support, &mut grounding);
        texts.push(Text { text, by });
    }
    Ok(Written { texts, grounding, model, degraded })
}

/// Checks once more what stands in the result, whoever wrote it.
fn count(text: &str, by: GeneratedBy, support: &Support, grounding: &mut Grounding) {
    match grounding::check(text, by, support) {
        Ok(claims) => {
            grounding.claims += claims;
            grounding.supported += claims;
        }
        Err(fault) => {
            tracing::warn!(resource = support.resource, %fault, "a sentence of the rules claims what they do not support");
            grounding.claims += 1;
        }
    }
}

/// What the model did, over all texts.
#[derive(Debug, Default)]
struct Log {
    usage: Option<ModelUsage>,
    failure: Option<Error>,
    done: usize,
}

impl Log {
    fn add(&mut self, usage: ModelUsage) {
        match &mut self.usage {
            None => self.usage = Some(usage),
            Some(sum) => {
                sum.prompt_tokens += usage.prompt_tokens;
                sum.completion_tokens += usage.completion_tokens;
                sum.degraded = sum.degraded.take().or(usage.degraded);
            }
        }
    }

    fn model_use(&self, took: Duration) -> Option<ModelUse> {
        let usage = self.usage.clone()?;
        Some(ModelUse {
            backend: usage.backend,
            name: usage.model,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            degraded: usage.degraded,
        })
    }

    fn degraded(&self) -> Option<String> {
        self.failure.as_ref().map(ToString::to_string)
    }
}

struct Author<'a> {
    context: &'a AgentContext,
    model: &'a dyn ModelBackend,
    begun: Instant,
    log: Mutex<Log>,
}

impl Author<'_> {
    async fn write_all(&self, supports: &[Support]) -> Result<Vec<Draft>> {
        let mut drafts = Vec::new();
        let total = supports.len();
        let writing: Vec<_> = supports.iter().map(|support| self.write(support, total).boxed()).collect();
        let mut writing = stream::iter(writing).buffered(AT_ONCE);
        loop {
            let next = tokio::select! {
                biased;
                () = self.context.cancellation.cancelled() => return Err(Error::cancelled("the task was asked to stop")),
                next = writing.next() => next,
            };
            match next {
                Some(draft) => drafts.push(draft),
                None => return Ok(drafts),
            }
        }
    }

    /// One finding: written, checked, written again.
    async fn write(&self, support: &Support, total: usize) -> Draft {
        let mut draft = Draft::default();
        while draft.accepted.is_none() && draft.attempts < ATTEMPTS && self.lock().failure.is_none() {
            match self.attempt(support, draft.attempts).await {
                Ok(Ok(text)) => {
                    self.context.text(format!("{text}\n"));
                    draft.accepted = Some(text);
                }
                Ok(Err(fault)) => {
                    tracing::debug!(resource = support.resource, %fault, "a text of the model was refused");
                    draft.refused = true;
                }
                // The rest of the texts would fail the same way, each after its own wait.
                Err(e) => {
                    self.lock().failure.get_or_insert(e);
                    break;
                }
            }
            draft.attempts += 1;
        }
        let done = {
            let mut log = self.lock();
            log.done += 1;
            log.done
        };
        let fraction = 0.2 + 0.75 * done as f32 / total as f32;
        self.context.progress(fraction, format!("{done} of {total} recommendations written"));
        draft
    }

    /// One text of the model, as it would stand in the result; or what is wrong with it.
    async fn attempt(&self, support: &Support, attempt: u32) -> Result<Result<String, Fault>> {
        let left = BUDGET.saturating_sub(self.begun.elapsed());
        if left.is_zero() {
            return Err(Error::timeout(format!("the model did not write all texts within {BUDGET:?}")));
        }
        let by_grammar = Constraint::Grammar(String::new());
        let by_grammar = self.model.supports(&by_grammar);
        let slots = Slots::of(support);
        let request = request(self.model, support, (!by_grammar).then_some(&slots), attempt, left);
        let (text, usage) = self.model.complete(request).await?;
        let reason = usage.finish_reason;
        self.lock().add(usage);
        if reason == FinishReason::Length {
            return Ok(Err(Fault::Useless("breaks off")));
        }
        Ok(accept(&text, support, (!by_grammar).then_some(&slots)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn request(
    model: &dyn ModelBackend,
    support: &Support,
    slots: Option<&Slots>,
    attempt: u32,
    left: Duration,
) -> GenerateRequest {
    let (messages, constraint) = match slots {
        None => (prompt::for_grammar(support), Some(Constraint::Grammar(grammar::grammar(support)))),
        Some(slots) => {
            let schema = Constraint::JsonSchema(json!({
                "type": "object",
                "properties": { "text": { "type": "string" } },
                "required": ["text"],
                "additionalProperties": false,
            }));
            let schema = model.supports(&schema).then_some(schema);
            (prompt::for_slots(support, slots), schema)
        }
    };
    GenerateRequest {
        max_tokens: MAX_TOKENS,
        temperature: TEMPERATURE * (1 + attempt) as f32,
        // The same machine gives the same text; another attempt another.
        seed: Some(1 + attempt),
        constraint,
        timeout: Some(left),
        ..GenerateRequest::new(messages)
    }
}

/// The model's answer as it would stand in the result.
fn accept(answer: &str, support: &Support, slots: Option<&Slots>) -> Result<String, Fault> {
    #[derive(Deserialize)]
    struct Answer {
        text: String,
    }
    let text = match slots {
        None => plain(answer),
        Some(slots) => {
            let answer = serde_json::from_str::<Answer>(answer)
                .map_or_else(|_| answer.to_owned(), |answer| answer.text);
            slots.fill(&plain(&answer))?
        }
    };
    let claims = grounding::check(&text, GeneratedBy::Model, support)?;
    usefulness::check(&text, claims, &prompt::instructions(), |word| support.ends_on(word))?;
    Ok(text)
}

/// Typographic marks as the plain ones they stand for, and one space between words.
fn plain(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| match c {
            '\u{2018}' | '\u{2019}' => '\'',
            '\u{201c}' | '\u{201d}' => '"',
            '\u{2010}' | '\u{2011}' => '-',
            c if c.is_whitespace() => ' ',
            c => c,
        })
        .collect();
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
