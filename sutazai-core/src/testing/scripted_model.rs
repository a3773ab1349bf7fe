//! Model backend with scripted answers.
//!
//! For tests of agents and of embedders' code. Everything else behaves as the port requires: text is streamed word by
//! word, and `max_tokens`, stop texts, timeouts, constraints and unknown models work as with a real model.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::{StreamExt, stream};

use crate::domain::{
    Constraint, FinishReason, GenerateRequest, ModelEvent, ModelInfo, ModelPermission, ModelPermissions,
    ModelUsage,
};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Clock, ModelBackend, ModelStream, SystemClock};

/// One answer of a script.
#[derive(Debug, Clone)]
pub enum ScriptedAnswer {
    /// This text, word by word, and then the end.
    Text(String),
    /// This text, word by word, truncated there by a content filter.
    Filtered(String),
    /// No text, and this refusal.
    Refusal(String),
    /// This error instead of an answer.
    Error(Error),
    /// This text, word by word, and then this error.
    Broken(String, Error),
    /// This text, word by word, and then nothing until the request's timeout.
    Stall(String),
}

impl<T: Into<String>> From<T> for ScriptedAnswer {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

impl From<Error> for ScriptedAnswer {
    fn from(e: Error) -> Self {
        Self::Error(e)
    }
}

type Reply = dyn Fn(&GenerateRequest) -> ScriptedAnswer + Send + Sync;

/// A [`ModelBackend`] that answers from a script and records its requests.
pub struct ScriptedModelBackend {
    name: String,
    models: Vec<String>,
    json_schema: bool,
    grammar: bool,
    granted: Vec<ModelPermission>,
    fluency: Option<f32>,
    clock: Arc<dyn Clock>,
    queue: Mutex<VecDeque<ScriptedAnswer>>,
    reply: Option<Box<Reply>>,
    requests: Mutex<Vec<GenerateRequest>>,
}

impl ScriptedModelBackend {
    /// Creates a backend that returns these answers in order; further requests are `Unavailable`.
    pub fn new<A: Into<ScriptedAnswer>>(answers: impl IntoIterator<Item = A>) -> Self {
        Self {
            name: "scripted".into(),
            models: vec!["scripted-model".into()],
            json_schema: true,
            grammar: true,
            granted: Vec::new(),
            fluency: None,
            clock: Arc::new(SystemClock),
            queue: Mutex::new(answers.into_iter().map(Into::into).collect()),
            reply: None,
            requests: Mutex::default(),
        }
    }

    /// Creates a backend that answers each request with the result of `reply`.
    pub fn replying<A: Into<ScriptedAnswer>>(
        reply: impl Fn(&GenerateRequest) -> A + Send + Sync + 'static,
    ) -> Self {
        let mut backend = Self::new(Vec::<ScriptedAnswer>::new());
        backend.reply = Some(Box::new(move |request| reply(request).into()));
        backend
    }

    /// Sets the name of the backend; default `scripted`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the models instead of `scripted-model`; the first one is the default.
    #[must_use]
    pub fn with_models<N: Into<String>>(mut self, models: impl IntoIterator<Item = N>) -> Self {
        self.models = models.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether the backend accepts JSON Schemas (a text that does not conform then ends with an error) and
    /// grammars (the script is trusted to conform). By default it accepts both.
    #[must_use]
    pub fn supporting(mut self, json_schema: bool, grammar: bool) -> Self {
        (self.json_schema, self.grammar) = (json_schema, grammar);
        self
    }

    /// Grants these permissions to its models; by default they have none.
    #[must_use]
    pub fn granting(mut self, permissions: impl IntoIterator<Item = ModelPermission>) -> Self {
        self.granted = permissions.into_iter().collect();
        self
    }

    /// Reports this fluency for every answer to a request with a constraint, and accepts texts as constraints. By
    /// default it does neither.
    #[must_use]
    pub fn with_fluency(mut self, fluency: f32) -> Self {
        self.fluency = Some(fluency);
        self
    }

    /// Measures the timeouts of requests with this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Appends an answer to the script.
    pub fn push(&self, answer: impl Into<ScriptedAnswer>) {
        lock(&self.queue).push_back(answer.into());
    }

    /// Returns the requests so far, in order.
    pub fn requests(&self) -> Vec<GenerateRequest> {
        lock(&self.requests).clone()
    }

    fn model(&self, wanted: Option<&str>) -> Result<String> {
        let found = match wanted {
            None => self.models.first(),
            Some(name) => self.models.iter().find(|model| ModelInfo::new(*model, &self.name).is_called(name)),
        };
        found.cloned().ok_or_else(|| {
            let (wanted, there) = (wanted.unwrap_or("at all"), self.models.join(", "));
            Error::new(ErrorKind::NotFound, format!("no model {wanted}: {} has {there}", self.name))
        })
    }

    fn next_answer(&self, request: &GenerateRequest) -> ScriptedAnswer {
        match (&request.constraint, &self.reply) {
            (Some(Constraint::Text(text)), _) => text.clone().into(),
            (_, Some(reply)) => reply(request),
            (_, None) => lock(&self.queue).pop_front().unwrap_or_else(|| {
                Error::unavailable(format!("the script of {} has ended", self.name)).into()
            }),
        }
    }
}

impl fmt::Debug for ScriptedModelBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedModelBackend")
            .field("name", &self.name)
            .field("models", &self.models)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ModelBackend for ScriptedModelBackend {
    fn name(&self) -> &str {
        &self.name
    }

    fn supports(&self, constraint: &Constraint) -> bool {
        match constraint {
            Constraint::JsonSchema(_) => self.json_schema,
            Constraint::Grammar(_) => self.grammar,
            Constraint::Text(_) => self.fluency.is_some(),
        }
    }

    async fn models(&self) -> Result<Vec<ModelInfo>> {
        Ok(self.models.iter().map(|name| ModelInfo::new(name, &self.name)).collect())
    }

    async fn permissions(&self, model: Option<String>) -> Result<ModelPermissions> {
        let model = self.model(model.as_deref())?;
        let (backend, granted) = (self.name.clone(), self.granted.clone());
        Ok(ModelPermissions { backend, model, granted, note: None })
    }

    async fn permissions_of(&self, models: &[ModelInfo]) -> Result<Vec<ModelPermissions>> {
        let granted =
            |model| ModelPermissions { granted: self.granted.clone(), ..ModelPermissions::none(model) };
        Ok(models.iter().map(granted).collect())
    }

    async fn generate(&self, request: GenerateRequest) -> Result<ModelStream> {
        lock(&self.requests).push(request.clone());
        let model = self.model(request.model.as_deref())?;
        if request.constraint.as_ref().is_some_and(|constraint| !self.supports(constraint)) {
            return Err(Error::unsupported(format!("{} does not take such a constraint", self.name)));
        }
        let (text, ending) = match self.next_answer(&request) {
            ScriptedAnswer::Text(text) => (text, Ending::Done),
            ScriptedAnswer::Filtered(text) => (text, Ending::Filtered),
            ScriptedAnswer::Refusal(refusal) => (String::new(), Ending::Refused(refusal)),
            ScriptedAnswer::Error(e) => return Err(e),
            ScriptedAnswer::Broken(text, e) => (text, Ending::Error(e)),
            ScriptedAnswer::Stall(text) => (text, Ending::Silence),
        };
        let (words, mut reason) = cut(&text, &request);
        let mut refusal = None;
        let ending = match (ending, reason, &request.constraint) {
            (Ending::Done, FinishReason::Stop, Some(constraint)) => {
                constraint.check(&words.concat()).map_or_else(Ending::Error, |()| Ending::Done)
            }
            (Ending::Filtered, ..) => {
                reason = FinishReason::ContentFilter;
                Ending::Done
            }
            (Ending::Refused(words), ..) => {
                refusal = Some(words);
                Ending::Done
            }
            (ending, ..) => ending,
        };
        let usage = ModelUsage {
            backend: self.name.clone(),
            model,
            prompt_tokens: count(
                request.messages.iter().map(|message| message.content.split_whitespace().count()),
            ),
            completion_tokens: count([words.len()]),
            finish_reason: reason,
            refusal,
            degraded: None,
            fluency: self.fluency.filter(|_| request.constraint.is_some()),
        };
        let (clock, timeout) = (self.clock.clone(), request.timeout);
        let begun = clock.now();
        let last = stream::once(async move {
            match ending {
                Ending::Done | Ending::Filtered | Ending::Refused(_) => Ok(ModelEvent::Done(usage)),
                Ending::Error(e) => Err(e),
                Ending::Silence => {
                    let Some(timeout) = timeout else { std::future::pending().await };
                    let spent = (clock.now() - begun).to_std().unwrap_or_default();
                    clock.sleep(timeout.saturating_sub(spent)).await;
                    Err(Error::timeout(format!("no answer within {timeout:?}")))
                }
            }
        });
        let words = stream::iter(words).then(|word| async move {
            // Like a real model, yields to other tasks between two words.
            tokio::task::yield_now().await;
            Ok(ModelEvent::Text(word))
        });
        Ok(words.chain(last).boxed())
    }
}

enum Ending {
    Done,
    Filtered,
    Refused(String),
    Error(Error),
    Silence,
}

/// Splits the text into words with their trailing space, up to the first stop text and the token limit; a word counts
/// as a token.
fn cut(text: &str, request: &GenerateRequest) -> (Vec<String>, FinishReason) {
    let end = request.stop.iter().filter_map(|stop| text.find(stop.as_str())).min().unwrap_or(text.len());
    let mut words: Vec<String> = text[..end].split_inclusive(' ').map(str::to_owned).collect();
    let limit = request.max_tokens as usize;
    let reason = if words.len() > limit { FinishReason::Length } else { FinishReason::Stop };
    words.truncate(limit);
    (words, reason)
}

fn count(parts: impl IntoIterator<Item = usize>) -> u32 {
    u32::try_from(parts.into_iter().sum::<usize>()).unwrap_or(u32::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::domain::ChatMessage;
    use crate::ports::ModelBackendExt;
    use crate::testing::{ManualClock, model_backend};

    fn ask(prompt: &str) -> GenerateRequest {
        GenerateRequest::new(vec![ChatMessage::user(prompt)])
    }

    #[tokio::test]
    async fn conforms() {
        let writer = || {
            ScriptedModelBackend::replying(|request| match &request.constraint {
                None => "and the ship sailed on ".repeat(500),
                Some(Constraint::JsonSchema(_)) => json!({ "name": "Tom", "legs": 4 }).to_string(),
                Some(Constraint::Grammar(_)) => "yes".into(),
                Some(Constraint::Text(text)) => text.clone(),
            })
        };
        model_backend::run_all(|| async { Arc::new(writer()) }).await;
        model_backend::run_all(|| async { Arc::new(writer().with_fluency(0.3)) }).await;
        model_backend::run_all(|| async { Arc::new(writer().supporting(false, false)) }).await;
    }

    #[tokio::test]
    async fn answers_are_returned_in_order_and_requests_are_recorded() {
        let away = Error::unavailable("away");
        let backend = ScriptedModelBackend::new([ScriptedAnswer::from("one two. three"), away.into()]);
        let request = GenerateRequest { stop: vec![".".into()], ..ask("first") };
        let (text, usage) = backend.complete(request.clone()).await.unwrap();
        assert_eq!(
            (text.as_str(), usage.completion_tokens, usage.finish_reason),
            ("one two", 2, FinishReason::Stop)
        );
        assert_eq!(backend.complete(ask("second")).await.unwrap_err().message(), "away");
        backend.push("late");
        assert_eq!(backend.complete(ask("third")).await.unwrap().0, "late");
        assert!(backend.complete(ask("fourth")).await.unwrap_err().message().contains("has ended"));
        assert_eq!(backend.requests()[0], request);
        assert_eq!(backend.requests().len(), 4);
    }

    #[tokio::test]
    async fn text_that_violates_the_schema_ends_with_an_error() {
        let backend = ScriptedModelBackend::new(["just words"]);
        let constraint = Some(Constraint::JsonSchema(json!({ "type": "object" })));
        let mut stream = backend.generate(GenerateRequest { constraint, ..ask("json") }).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), ModelEvent::Text("just ".into()));
        stream.next().await.unwrap().unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap_err().kind(), ErrorKind::Misfit);
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn partial_answer_ends_with_a_timeout_or_an_error() {
        let clock = Arc::new(ManualClock::new());
        let broken = ScriptedAnswer::Broken("half an".into(), Error::unavailable("cut"));
        let backend = ScriptedModelBackend::new([ScriptedAnswer::Stall("half".into()), broken])
            .with_clock(clock.clone());
        let request = GenerateRequest { timeout: Some(Duration::from_secs(9)), ..ask("stall") };
        let mut stream = backend.generate(request.clone()).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), ModelEvent::Text("half".into()));
        let mut end = stream.next();
        assert!(futures::poll!(&mut end).is_pending());
        clock.advance(Duration::from_secs(9));
        assert_eq!(end.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(backend.complete(request).await.unwrap_err().message(), "cut");
    }
}
