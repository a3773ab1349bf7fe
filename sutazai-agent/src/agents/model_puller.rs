//! Agent that pulls models on behalf of an operator and reports the progress as events.

use std::time::Duration;

use futures::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sutazai_core::domain::{Permission, TaskDefaults};
use sutazai_core::ports::AgentContext;
use sutazai_core::typed_agent::TypedAgent;
use sutazai_core::{Error, Result};

/// Minimum time between two events about the same step. Servers report many times a second, and events are stored.
const MIN_EVENT_INTERVAL: Duration = Duration::from_secs(1);
/// Time limit of a pull in seconds: one day, because a model may have tens of gigabytes.
const TIMEOUT_SECONDS: u32 = 86_400;

/// Model to pull, and the result of the pull.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PulledModel {
    /// Name of the model in the backend.
    #[schemars(length(min = 1, max = 200))]
    pub model: String,
}

/// Agent that has a backend pull a missing model.
///
/// Its payload is `{"model": name}`, and its result is the same. It is restricted to admins, because models are large.
#[derive(Debug, Clone, Copy, Default)]
pub struct ModelPuller;

impl TypedAgent for ModelPuller {
    type Input = PulledModel;
    type Output = PulledModel;

    fn name(&self) -> &str {
        "model-puller"
    }

    fn description(&self) -> String {
        "Pulls a missing model through a model backend. For admins only.".to_owned()
    }

    fn capabilities(&self) -> Vec<String> {
        vec!["pull_model".to_owned()]
    }

    fn permissions(&self) -> Vec<Permission> {
        vec![Permission::WriteTasks, Permission::UseModels, Permission::Administer]
    }

    fn defaults(&self) -> TaskDefaults {
        TaskDefaults::default().timeout_seconds(TIMEOUT_SECONDS)
    }

    async fn run(&self, input: PulledModel, context: &AgentContext) -> Result<PulledModel> {
        let model = context.model.as_ref().ok_or_else(|| {
            Error::unsupported("no model backend is configured").with_field("MODEL_BACKENDS")
        })?;
        let pull = async {
            let mut stream = model.pull(&input.model).await?;
            let mut latest = (String::new(), None);
            while let Some(progress) = stream.next().await.transpose()? {
                let (status, at) = &latest;
                let now = context.clock.monotonic();
                let soon = at.is_some_and(|at| now.saturating_sub(at) < MIN_EVENT_INTERVAL);
                if *status != progress.status || !soon {
                    context.progress(progress.fraction(), progress.status.clone());
                    latest = (progress.status, Some(now));
                }
            }
            Ok(input)
        };
        // Dropping the stream stops the pull.
        tokio::select! {
            done = pull => done,
            () = context.cancellation.cancelled() => Err(Error::cancelled("the task was asked to stop")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::stream;
    use serde_json::json;
    use sutazai_core::ErrorKind;
    use sutazai_core::domain::{EventKind, Step};
    use sutazai_core::ports::{Agent, ModelBackend, PullProgress};
    use sutazai_core::testing::{ManualClock, MockModelBackend, RecordedEvents, agent, agent_context};

    use super::*;

    fn context(model: Option<Arc<dyn ModelBackend>>) -> (AgentContext, Arc<RecordedEvents>) {
        let payload = json!({ "model": "small" });
        let (mut context, events) = agent_context("model-puller", payload, Arc::new(ManualClock::new()));
        context.model = model;
        (context, events)
    }

    #[tokio::test]
    async fn conforms() {
        agent::run_all(Arc::new(ModelPuller), json!({ "model": "small" })).await;
    }

    #[tokio::test]
    async fn progress_becomes_rate_limited_events() {
        let mut model = MockModelBackend::new();
        model.expect_pull().withf(|name| name == "small").return_once(|_| {
            let step = |status: &str, completed_bytes| {
                Ok(PullProgress { status: status.into(), completed_bytes, total_bytes: Some(200) })
            };
            let many = (0..100).map(move |i| step("fetching", Some(i)));
            Ok(stream::iter(
                [step("looking", None)].into_iter().chain(many).chain([step("checking", Some(200))]),
            )
            .boxed())
        });
        let (context, events) = context(Some(Arc::new(model)));
        let Step::Done(result) = Agent::run(&ModelPuller, &context).await.unwrap() else {
            panic!("it waits")
        };
        assert_eq!(result, json!({ "model": "small" }));
        let told: Vec<_> = events.all().into_iter().map(|event| event.kind).collect();
        let expected = [(0.0, "looking"), (0.0, "fetching"), (1.0, "checking")];
        let expected = expected.map(|(fraction, message)| EventKind::progress(fraction, message));
        assert_eq!(told, expected);
    }

    #[tokio::test]
    async fn failed_pull_fails_the_task_and_cancellation_stops_the_pull() {
        let mut model = MockModelBackend::new();
        let cut = || Ok(stream::iter([Err(Error::unavailable("cut"))]).boxed());
        model.expect_pull().times(1).return_once(move |_| cut());
        model.expect_pull().return_once(|_| Ok(stream::pending().boxed()));
        let (context, _) = context(Some(Arc::new(model)));
        assert_eq!(Agent::run(&ModelPuller, &context).await.unwrap_err().kind(), ErrorKind::Unavailable);
        context.cancellation.cancel();
        assert_eq!(Agent::run(&ModelPuller, &context).await.unwrap_err().kind(), ErrorKind::Cancelled);
        let (context, _) = self::context(None);
        assert_eq!(Agent::run(&ModelPuller, &context).await.unwrap_err().field(), Some("MODEL_BACKENDS"));
    }
}
