//! Model backends in Python: each request is a call that Python fetches from a queue.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use sutazai::adapter::check_answer;
use sutazai::domain::{
    Constraint, Embeddings, FinishReason, GenerateRequest, ModelEvent, ModelInfo, ModelUsage,
};
use sutazai::external::async_trait;
use sutazai::external::futures::{StreamExt, stream};
use sutazai::ports::{ModelBackend, ModelStream};
use sutazai::{Error, Result};

use crate::port_call::{Method, PortQueues, PythonObject, Running};

/// Declaration of a model backend, as Python sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct BackendDeclaration {
    /// Position in the order of preference.
    pub(crate) position: usize,
    object: usize,
    name: String,
    constraints: Vec<String>,
    slots: Option<usize>,
    /// Indicates that the backend computes embeddings.
    embeds: bool,
    /// Indicates that the backend writes texts.
    writes: bool,
    is_async: bool,
}

#[cfg(feature = "testing")]
impl BackendDeclaration {
    /// Indicates that the backend writes texts.
    pub(crate) fn writes(&self) -> bool {
        self.writes
    }

    /// Indicates that the backend computes embeddings.
    pub(crate) fn embeds(&self) -> bool {
        self.embeds
    }
}

/// Model backend that runs in Python.
#[derive(Debug)]
pub(crate) struct PythonModelBackend {
    declaration: BackendDeclaration,
    object: PythonObject,
}

impl PythonModelBackend {
    /// Creates the backend of this declaration.
    ///
    /// # Errors
    /// `InvalidInput` if its coroutines have no event loop to run in.
    pub(crate) fn new(declaration: BackendDeclaration, queues: &PortQueues) -> Result<Self> {
        let object = PythonObject::new(declaration.object, declaration.is_async, queues)?;
        Ok(Self { declaration, object })
    }

    fn invalid_answer(&self, what: &str, e: &serde_json::Error) -> Error {
        Error::internal(format!("{} returned no valid {what}: {e}", self.declaration.name))
    }
}

/// Writes a request as Python reads it: a time limit is in seconds.
pub(crate) fn request_json(request: &GenerateRequest) -> Result<Value> {
    let mut json = serde_json::to_value(request).map_err(Error::json)?;
    if let Some(object) = json.as_object_mut() {
        object.remove("prefix_owner");
        object.insert("timeout".to_owned(), json!(request.timeout.map(|limit| limit.as_secs_f64())));
    }
    Ok(json)
}

/// Answer that a backend writes.
struct Answer {
    backend: String,
    running: Running,
    /// JSON Schema that the text must conform to, and the text so far.
    checked: Option<(Constraint, String)>,
    begun: Instant,
    timeout: Option<Duration>,
}

impl Answer {
    /// Waits for the next event within the time limit of the request.
    async fn next(&mut self) -> Result<ModelEvent> {
        let Some(timeout) = self.timeout else { return self.event().await };
        let left = timeout.saturating_sub(self.begun.elapsed());
        let late = || Error::timeout(format!("no answer within {timeout:?}"));
        tokio::time::timeout(left, self.event()).await.unwrap_or_else(|_| Err(late()))
    }

    async fn event(&mut self) -> Result<ModelEvent> {
        if let Some(piece) = self.running.piece().await {
            if let Some((_, text)) = &mut self.checked {
                text.push_str(&piece);
            }
            return Ok(ModelEvent::Text(piece));
        }
        let usage = self.running.outcome().await?;
        let invalid = |e| Error::internal(format!("{} returned no valid usage: {e}", self.backend));
        let usage: ModelUsage = serde_json::from_slice(&usage).map_err(invalid)?;
        if let Some((constraint, text)) = &self.checked
            && usage.finish_reason == FinishReason::Stop
            && usage.refusal.is_none()
        {
            check_answer(constraint, text).await?;
        }
        Ok(ModelEvent::Done(usage))
    }
}

#[async_trait]
impl ModelBackend for PythonModelBackend {
    fn name(&self) -> &str {
        &self.declaration.name
    }

    fn supports(&self, constraint: &Constraint) -> bool {
        let name = match constraint {
            Constraint::JsonSchema(_) => "json_schema",
            Constraint::Grammar(_) => "grammar",
            Constraint::Text(_) => return false,
        };
        self.declaration.constraints.iter().any(|supported| supported == name)
    }

    fn slots(&self) -> Option<usize> {
        self.declaration.slots
    }

    async fn models(&self) -> Result<Vec<ModelInfo>> {
        let models = self.object.call(Method::Models, &Value::Null).await?;
        serde_json::from_slice(&models).map_err(|e| self.invalid_answer("models", &e))
    }

    async fn generate(&self, request: GenerateRequest) -> Result<ModelStream> {
        let name = self.name().to_owned();
        if !self.declaration.writes {
            return Err(Error::unsupported(format!("{name} writes no texts")));
        }
        if request.constraint.as_ref().is_some_and(|constraint| !self.supports(constraint)) {
            return Err(Error::unsupported(format!("{name} cannot enforce such a constraint")));
        }
        let answer = Answer {
            backend: name,
            running: self.object.begin(Method::Generate, &request_json(&request)?)?,
            timeout: request.timeout,
            checked: request
                .constraint
                .filter(|constraint| matches!(constraint, Constraint::JsonSchema(_)))
                .map(|constraint| (constraint, String::new())),
            begun: Instant::now(),
        };
        let events = stream::try_unfold(Some(answer), |answer| async move {
            let Some(mut answer) = answer else { return Ok(None) };
            let event = answer.next().await?;
            let rest = matches!(event, ModelEvent::Text(_)).then_some(answer);
            Ok(Some((event, rest)))
        });
        Ok(events.boxed())
    }

    async fn embed(&self, model: Option<String>, texts: &[String]) -> Result<Embeddings> {
        if !self.declaration.embeds {
            return Err(Error::unsupported(format!("{} makes no embeddings", self.name())));
        }
        let input = json!({ "model": model, "texts": texts });
        let made = self.object.call(Method::Embed, &input).await?;
        let made = Vectors::read(&made).map_err(|e| self.invalid_answer("embeddings", &e))?;
        if made.vectors.len() != texts.len() {
            let counts = format!("expected {} vectors, got {}", texts.len(), made.vectors.len());
            return Err(Error::internal(format!("{} returned no valid embeddings: {counts}", self.name())));
        }
        Ok(Embeddings {
            backend: self.name().to_owned(),
            model: made.model,
            vectors: made.vectors,
            prompt_tokens: None,
        })
    }
}

/// Embeddings as Python sends them: a line of JSON, and behind it the vectors, one after another, as little-endian `f32`.
struct Vectors {
    model: String,
    vectors: Vec<Vec<f32>>,
}

impl Vectors {
    fn read(answer: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Header {
            model: String,
            dimensions: usize,
        }

        let end = answer.iter().position(|byte| *byte == b'\n').unwrap_or(answer.len());
        let Header { model, dimensions } = serde_json::from_slice(&answer[..end])?;
        let values = answer[end..].get(1..).unwrap_or_default();
        let (numbers, _) = values.as_chunks::<4>();
        let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let vectors = match dimensions {
            0 => Vec::new(),
            dimensions => numbers.chunks_exact(dimensions).map(<[f32]>::to_vec).collect(),
        };
        Ok(Self { model, vectors })
    }
}
