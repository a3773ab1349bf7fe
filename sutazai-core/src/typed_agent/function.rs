//! Agents made of async functions.

use std::fmt;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::contract::TypedAgent;
use crate::domain::{Permission, TaskDefaults};
use crate::error::Result;
use crate::ports::AgentContext;

/// Creates an agent of this name, in kebab case, from an async function of an input and a context.
///
/// # Examples
///
/// ```
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// use sutazai_core::Result;
/// use sutazai_core::ports::{Agent, AgentContext};
/// use sutazai_core::typed_agent::agent;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Text {
///     text: String,
/// }
///
/// #[derive(Serialize, JsonSchema)]
/// struct Count {
///     words: usize,
/// }
///
/// async fn count(input: Text, _: AgentContext) -> Result<Count> {
///     Ok(Count { words: input.text.split_whitespace().count() })
/// }
///
/// let counter = agent("word-counter", count).description("Counts the words of a text.");
/// let descriptor = counter.descriptor();
/// assert_eq!(descriptor.input_schema["required"][0], "text");
/// assert_eq!(descriptor.output_schema.unwrap()["properties"]["words"]["type"], "integer");
/// ```
pub fn agent<F, Run, I, O>(name: impl Into<String>, run: F) -> FunctionAgent<F, I, O>
where
    F: Fn(I, AgentContext) -> Run + Send + Sync + 'static,
    Run: Future<Output = Result<O>> + Send,
    I: DeserializeOwned + JsonSchema + Send + 'static,
    O: Serialize + JsonSchema + 'static,
{
    let name = name.into();
    FunctionAgent {
        description: name.replace('-', " "),
        capabilities: vec![name.replace('-', "_")],
        permissions: vec![Permission::WriteTasks],
        defaults: TaskDefaults::default(),
        name,
        run,
        types: PhantomData,
    }
}

/// Agent made of an async function; [`agent`] creates it.
pub struct FunctionAgent<F, I, O> {
    name: String,
    description: String,
    capabilities: Vec<String>,
    permissions: Vec<Permission>,
    defaults: TaskDefaults,
    run: F,
    types: PhantomData<fn(I) -> O>,
}

impl<F, I, O> fmt::Debug for FunctionAgent<F, I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionAgent").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<F, I, O> FunctionAgent<F, I, O> {
    /// Sets the sentence on what the agent does, for people; default: its name in words.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets the capabilities of the agent, in snake case; default: its name.
    #[must_use]
    pub fn capabilities(mut self, capabilities: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.capabilities = capabilities.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the permissions that the caller of a task needs; default: to submit tasks. The context offers models only
    /// with [`Permission::UseModels`] and metrics only with [`Permission::ReadMetrics`].
    #[must_use]
    pub fn permissions(mut self, permissions: impl IntoIterator<Item = Permission>) -> Self {
        self.permissions = permissions.into_iter().collect();
        self
    }

    /// Sets the settings of tasks whose requests leave them out; default: those of [`TaskDefaults::default`].
    #[must_use]
    pub fn defaults(mut self, defaults: TaskDefaults) -> Self {
        self.defaults = defaults;
        self
    }
}

impl<F, Run, I, O> TypedAgent for FunctionAgent<F, I, O>
where
    F: Fn(I, AgentContext) -> Run + Send + Sync + 'static,
    Run: Future<Output = Result<O>> + Send,
    I: DeserializeOwned + JsonSchema + Send + 'static,
    O: Serialize + JsonSchema + 'static,
{
    type Input = I;
    type Output = O;

    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    fn capabilities(&self) -> Vec<String> {
        self.capabilities.clone()
    }

    fn permissions(&self) -> Vec<Permission> {
        self.permissions.clone()
    }

    fn defaults(&self) -> TaskDefaults {
        self.defaults
    }

    fn run(&self, input: I, context: &AgentContext) -> impl Future<Output = Result<O>> + Send {
        (self.run)(input, context.clone())
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::sync::Arc;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::domain::Step;
    use crate::ports::Agent;
    use crate::testing::{self, ManualClock, agent_context};

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Pair {
        /// First summand of the sum.
        a: u32,
        /// Second summand; default 1.
        #[serde(default = "one")]
        b: u32,
    }

    fn one() -> u32 {
        1
    }

    async fn add(pair: Pair, context: AgentContext) -> Result<u64> {
        context.progress(0.5, "adding");
        Ok(u64::from(pair.a) + u64::from(pair.b))
    }

    #[tokio::test]
    async fn function_conforms_to_the_port() {
        testing::agent::run_all(Arc::new(agent("adder", add)), json!({ "a": 1 })).await;
    }

    #[tokio::test]
    async fn input_is_deserialized_and_output_serialized() {
        let clock = Arc::new(ManualClock::new());
        let (context, events) = agent_context("adder", json!({ "a": 4_000_000_000_u32 }), clock);
        let step = Agent::run(&agent("adder", add), &context).await.unwrap();
        assert_eq!(step, Step::Done(json!(4_000_000_001_u64)));
        assert_eq!(events.all().len(), 1, "the function did not receive the context");
    }

    #[test]
    fn descriptor_has_what_was_set_or_derived() {
        let adder = agent("adds-numbers", add);
        let descriptor = adder.descriptor();
        assert_eq!(
            (descriptor.name.as_str(), descriptor.description.as_str()),
            ("adds-numbers", "adds numbers")
        );
        assert_eq!(descriptor.capabilities, ["adds_numbers"]);
        assert_eq!(descriptor.defaults, TaskDefaults::default());
        let patient = TaskDefaults::default().timeout_seconds(3_600);
        assert_eq!(agent("adds-numbers", add).defaults(patient).descriptor().defaults, patient);
        assert_eq!(Agent::permissions(&adder, &json!({})), [Permission::WriteTasks]);
        let input = &descriptor.input_schema;
        assert_eq!(input["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!((&input["required"], &input["additionalProperties"]), (&json!(["a"]), &json!(false)));
        assert_eq!(input["properties"]["a"]["description"], "First summand of the sum.");
        assert_eq!(descriptor.output_schema.unwrap()["type"], "integer");

        let adder =
            adder.description("Adds.").capabilities(["add", "sum"]).permissions([Permission::UseModels]);
        let descriptor = adder.descriptor();
        assert_eq!(
            (descriptor.description.as_str(), descriptor.capabilities),
            ("Adds.", vec!["add".into(), "sum".into()])
        );
        assert_eq!(Agent::permissions(&adder, &json!({})), [Permission::UseModels]);
    }
}
