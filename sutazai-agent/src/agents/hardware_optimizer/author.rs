//! Author of the texts of one analysis: sends requests to one model, reads its answers and records what they cost.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::try_join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use sutazai_core::domain::{
    Assertion, ChatMessage, Constraint, FinishReason, GenerateRequest, ModelPermission, ModelPermissions,
    ModelUsage, ModelUse, RejectionReason,
};
use sutazai_core::ports::{Clock, ModelBackend, ModelBackendExt};
use sutazai_core::{Error, Result};

use super::composition::{Composition, plain};
use super::fluency::MIN_FLUENCY;
use super::language::one_of;
use super::placeholders::Placeholders;
use super::prompt::Question;
use super::rejection::Rejection;
use super::rules::{Found, first_choices};
use super::{lark, prompt};

/// Longest answer in tokens: three sentences and a long command.
const MAX_TOKENS: u32 = 220;

/// Temperature of the second attempt; the first is greedy.
const SECOND_TEMPERATURE: f32 = 0.4;

/// Model together with its permissions.
#[derive(Debug)]
pub(super) struct Author<'a> {
    model: &'a dyn ModelBackend,
    permissions: &'a ModelPermissions,
    /// Name of the requested model; `None` leaves the choice to the backend.
    name: Option<String>,
    clock: &'a dyn Clock,
    /// Steady time of the clock at which the budget started.
    begun: Duration,
    /// Time limit of all texts together.
    budget: Duration,
    log: Mutex<Log>,
}

/// Costs, measurements and the first failure of the model.
#[derive(Debug, Default)]
struct Log {
    usage: Option<ModelUsage>,
    measures_fluency: bool,
    baseline_likelihood: BTreeMap<(Question, String), Option<f32>>,
    failure: Option<Error>,
}

/// Text that passed the checks.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) text: String,
    pub(super) assertions: Vec<Assertion>,
}

impl<'a> Author<'a> {
    /// Creates an author whose `budget` starts now.
    pub(super) fn new(
        model: &'a dyn ModelBackend,
        permissions: &'a ModelPermissions,
        clock: &'a dyn Clock,
        budget: Duration,
    ) -> Self {
        let begun = clock.monotonic();
        Self { model, permissions, name: None, clock, begun, budget, log: Mutex::default() }
    }

    /// Sets the name of the requested model.
    pub(super) fn asking(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Makes one attempt, counted from 0, at the text about a finding.
    ///
    /// # Errors
    /// The error of the backend, which would fail the other texts as well.
    pub(super) async fn text(
        &self,
        composition: &Composition<'_>,
        attempt: u32,
    ) -> Result<Result<Accepted, Rejection>> {
        let permission = composition.permission();
        if permission == ModelPermission::Choose
            && let Some(text) = self.chosen(composition.found()).await?
        {
            return Ok(composition.check(&text).map(|assertions| Accepted { text, assertions }));
        }
        let (text, fluency) = match self.written(composition, attempt).await? {
            Ok(written) => written,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let checked = composition.check(&text).and_then(|assertions| match fluency {
            Some(fluency) if permission == ModelPermission::Word && fluency < MIN_FLUENCY => {
                Err(Rejection::new(RejectionReason::NotFluent, &text))
            }
            _ => Ok(Accepted { text, assertions }),
        });
        Ok(checked)
    }

    /// Returns the text that the model words about a finding, unchecked, with its fluency; `None` when the text is
    /// rejected or the backend does not measure fluency.
    ///
    /// # Errors
    /// The error of the backend.
    pub(super) async fn worded(&self, composition: &Composition<'_>) -> Result<Option<(String, f32)>> {
        let written = self.written(composition, 0).await?.ok();
        Ok(written.and_then(|(text, fluency)| Some((text, fluency?))))
    }

    /// Returns the fluency of a sentence as the advice on a finding; `None` when the backend does not measure it.
    ///
    /// # Errors
    /// The error of the backend.
    pub(super) async fn fluency(&self, found: &Found, sentence: &str) -> Result<Option<f32>> {
        self.likelihood(prompt::word(found), sentence).await
    }

    /// Composes the authored statement and first advice with the consequence and the further advice that the model
    /// finds likeliest; `None` when the backend does not measure likelihoods.
    ///
    /// The first advice is not left to the model: authors put first what to do first, and in a blind comparison a small
    /// model preferred sentences that name no command.
    async fn chosen(&self, found: &Found) -> Result<Option<String>> {
        let texts = &found.texts;
        let Some(statement) = texts.statements.first() else { return Ok(None) };
        let why: Vec<_> = texts.consequences.iter().map(|text| first_choices(text)).collect();
        let mut text = statement.clone();
        if !why.is_empty() {
            let Some(sentence) = self.likeliest(Question::Why, found, &why).await? else { return Ok(None) };
            text = format!("{text} {sentence}");
        }
        let Some((first, others)) = texts.advice.split_first() else { return Ok(Some(text)) };
        text = format!("{text} {first}");
        let others: Vec<_> = others.iter().filter(|other| !share_a_command(first, other)).cloned().collect();
        if !others.is_empty() {
            let Some(sentence) = self.likeliest(Question::Advice, found, &others).await? else {
                return Ok(None);
            };
            text = format!("{text} {sentence}");
        }
        Ok(Some(text))
    }

    /// Returns the sentence whose likelihood per token rises most when the model is given the finding; `None` when the
    /// backend does not measure it.
    ///
    /// The likelihood is divided by the one without the finding. Otherwise the sentence with the commonest words would
    /// win for every finding (Holtzman et al. 2021, "Surface Form Competition").
    ///
    /// # Errors
    /// The error of the backend.
    pub(super) async fn likeliest(
        &self,
        question: Question,
        found: &Found,
        sentences: &[String],
    ) -> Result<Option<String>> {
        let rise = |sentence: &String| {
            let sentence = sentence.clone();
            async move {
                let told = self.likelihood(prompt::question(question, Some(found)), &sentence).await?;
                let baseline_likelihood = self.baseline_likelihood(question, &sentence).await?;
                Ok::<_, Error>(
                    told.zip(baseline_likelihood)
                        .map(|(told, baseline_likelihood)| (told / baseline_likelihood, sentence)),
                )
            }
        };
        let rises = try_join_all(sentences.iter().map(rise)).await?;
        let Some(rises) = rises.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
        let best = rises.into_iter().max_by(|(one, _), (other, _)| one.total_cmp(other));
        Ok(best.map(|(_, sentence)| sentence))
    }

    /// Returns the likelihood of a sentence without a finding; measured once and cached.
    async fn baseline_likelihood(&self, question: Question, sentence: &str) -> Result<Option<f32>> {
        let key = (question, sentence.to_owned());
        if let Some(known) = self.lock().baseline_likelihood.get(&key) {
            return Ok(*known);
        }
        let likelihood = self.likelihood(prompt::question(question, None), sentence).await?;
        self.lock().baseline_likelihood.insert(key, likelihood);
        Ok(likelihood)
    }

    /// Returns the geometric mean of the probabilities of a sentence's tokens as the answer to these messages; `None`
    /// when the backend does not measure it.
    async fn likelihood(&self, messages: Vec<ChatMessage>, sentence: &str) -> Result<Option<f32>> {
        let text = Constraint::Text(sentence.to_owned());
        if !self.model.supports(&text) {
            return Ok(None);
        }
        let answer = self.ask(messages, Some(text), 0).await?;
        Ok(answer.ok().and_then(|(_, usage)| usage.fluency))
    }

    /// Returns whether any answer so far came with its fluency.
    pub(super) fn measures_fluency(&self) -> bool {
        self.lock().measures_fluency
    }

    /// Requests a text; returns it as it would be published, with its fluency.
    async fn written(
        &self,
        composition: &Composition<'_>,
        attempt: u32,
    ) -> Result<Result<(String, Option<f32>), Rejection>> {
        let (found, permission) = (composition.found(), composition.permission());
        let format = self.format(found, permission);
        let (messages, constraint) = match (&format, permission) {
            (Format::Grammar, ModelPermission::Word) => {
                (prompt::word(found), Some(Constraint::Grammar(composition.grammar())))
            }
            (Format::Grammar, _) => (prompt::choose(found), Some(Constraint::Grammar(composition.grammar()))),
            (Format::Placeholders { json }, _) => {
                let messages = prompt::word_with_placeholders(found, &Placeholders::of(found));
                (messages, json.then(|| Constraint::JsonSchema(text_schema(None))))
            }
            (Format::Choices { json }, _) => {
                let schema = || Constraint::JsonSchema(choices_schema(found));
                (prompt::choose(found), json.then(schema))
            }
        };
        let answer = self.ask(messages, constraint, attempt).await?;
        Ok(answer.map(|(answer, usage)| (composition.complete(&format.read(&answer, found)), usage.fluency)))
    }

    /// Returns the line that the model chooses among `lines`.
    ///
    /// # Errors
    /// The error of the backend.
    pub(super) async fn line(
        &self,
        messages: Vec<ChatMessage>,
        lines: &[String],
    ) -> Result<Result<String, Rejection>> {
        let grammar = Constraint::Grammar(String::new());
        let schema = Constraint::JsonSchema(text_schema(Some(lines)));
        let constraint = if self.model.supports(&grammar) {
            Some(Constraint::Grammar(lark::grammar(&one_of(lines.iter().cloned()))))
        } else {
            self.model.supports(&schema).then_some(schema)
        };
        let (answer, _) = match self.ask(messages, constraint, 0).await? {
            Ok(answered) => answered,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let line = plain(&text_of(&answer));
        let refused = || Rejection::new(RejectionReason::NotInLanguage, &line);
        Ok(lines.iter().find(|known| **known == line).cloned().ok_or_else(refused))
    }

    async fn ask(
        &self,
        messages: Vec<ChatMessage>,
        constraint: Option<Constraint>,
        attempt: u32,
    ) -> Result<Result<(String, ModelUsage), Rejection>> {
        let left = self.budget.saturating_sub(self.elapsed());
        if left.is_zero() {
            return Err(Error::timeout(format!(
                "the model did not write all texts within {:?}",
                self.budget
            )));
        }
        let request = GenerateRequest {
            model: self.name.clone(),
            max_tokens: MAX_TOKENS,
            temperature: Some(if attempt == 0 { 0.0 } else { SECOND_TEMPERATURE }),
            // Fixed seeds make analyses of the same machine reproducible; a second attempt must differ from the first.
            seed: Some(1 + i64::from(attempt)),
            constraint,
            timeout: Some(left),
            ..GenerateRequest::new(messages)
        };
        let (answer, usage) = self.model.complete(request).await?;
        self.add(&usage);
        let permitted = &self.permissions;
        let other = usage.backend != permitted.backend || usage.model != permitted.model;
        Ok(match usage.finish_reason {
            _ if other => Err(Rejection::new(RejectionReason::OtherModel, &usage.model)),
            FinishReason::Length | FinishReason::ContentFilter => {
                Err(Rejection::new(RejectionReason::BrokenOff, &answer))
            }
            FinishReason::Stop => Ok((answer, usage)),
        })
    }

    fn format(&self, found: &Found, permission: ModelPermission) -> Format {
        let grammar = Constraint::Grammar(String::new());
        if self.model.supports(&grammar) {
            return Format::Grammar;
        }
        let json = self.model.supports(&Constraint::JsonSchema(choices_schema(found)));
        match permission {
            ModelPermission::Word => Format::Placeholders { json },
            ModelPermission::Choose | ModelPermission::Plan => Format::Choices { json },
        }
    }

    /// Records the failure of the backend, which ends the work; only the first one is kept.
    pub(super) fn fail(&self, e: Error) {
        self.lock().failure.get_or_insert(e);
    }

    /// Returns whether the backend has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.lock().failure.is_some()
    }

    /// Returns the model that wrote and its costs, and the reason if it did not write all texts.
    pub(super) fn end(self) -> (Option<ModelUse>, Option<String>) {
        let took = self.elapsed();
        let log = self.log.into_inner().unwrap_or_else(PoisonError::into_inner);
        let model = log.usage.map(|usage| ModelUse {
            backend: usage.backend,
            name: usage.model,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            degraded: usage.degraded,
        });
        (model, log.failure.map(|e| e.public_text()))
    }

    fn elapsed(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.begun)
    }

    fn add(&self, usage: &ModelUsage) {
        let mut log = self.lock();
        log.measures_fluency |= usage.fluency.is_some();
        match &mut log.usage {
            log @ None => *log = Some(usage.clone()),
            Some(sum) => {
                sum.prompt_tokens += usage.prompt_tokens;
                sum.completion_tokens += usage.completion_tokens;
                sum.degraded = sum.degraded.take().or(usage.degraded.clone());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether two sentences quote the same command.
fn share_a_command(one: &str, other: &str) -> bool {
    let commands = |sentence: &str| -> Vec<String> {
        sentence.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let of_other = commands(other);
    commands(one).iter().any(|command| of_other.contains(command))
}

/// Format in which the model returns its text.
enum Format {
    /// Plain text, sampled by the grammar of the finding.
    Grammar,
    /// Text with placeholders, in a JSON object when the backend supports schemas.
    Placeholders { json: bool },
    /// Chosen sentences, in a JSON object when the backend supports schemas.
    Choices { json: bool },
}

impl Format {
    /// Extracts the text from an answer.
    fn read(&self, answer: &str, found: &Found) -> String {
        match self {
            Self::Grammar => answer.to_owned(),
            Self::Placeholders { .. } => Placeholders::of(found).fill(&text_of(answer)),
            Self::Choices { .. } => {
                let Ok(chosen) = serde_json::from_str::<Chosen>(answer) else { return text_of(answer) };
                let parts = [chosen.statement, chosen.consequence, chosen.advice];
                parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
            }
        }
    }
}

/// Returns the text of an answer, with or without its JSON object.
fn text_of(answer: &str) -> String {
    #[derive(Deserialize)]
    struct Answer {
        text: String,
    }
    serde_json::from_str::<Answer>(answer).map_or_else(|_| answer.to_owned(), |answer| answer.text)
}

#[derive(Deserialize)]
struct Chosen {
    statement: String,
    consequence: String,
    advice: String,
}

/// Builds the schema of an object with a text; the text is one of `texts` if given.
fn text_schema(texts: Option<&[String]>) -> Value {
    let text = texts.map_or_else(|| json!({ "type": "string" }), |texts| json!({ "enum": texts }));
    json!({
        "type": "object",
        "properties": { "text": text },
        "required": ["text"],
        "additionalProperties": false,
    })
}

/// Builds the schema of an object with one authored sentence for each part.
fn choices_schema(found: &Found) -> Value {
    let texts = &found.texts;
    let mut consequences = vec![String::new()];
    consequences.extend(texts.consequences.iter().map(|text| first_choices(text)));
    json!({
        "type": "object",
        "properties": {
            "statement": { "enum": texts.statements },
            "consequence": { "enum": consequences },
            "advice": { "enum": texts.advice },
        },
        "required": ["statement", "consequence", "advice"],
        "additionalProperties": false,
    })
}
