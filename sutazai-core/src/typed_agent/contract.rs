//! The trait of typed agents, and its implementation of the untyped port.

use std::fmt;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::schema::{input_schema, output_schema};
use crate::domain::{AgentDescriptor, Permission, Step, TaskDefaults};
use crate::error::{Error, Result};
use crate::ports::{Agent, AgentContext};

/// An agent with a typed input and output. Every implementor is an [`Agent`], with schemas derived from the types.
///
/// For an agent without state, an async function is enough: see [`agent`](super::agent).
///
/// # Examples
///
/// ```
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// use sutazai_core::Result;
/// use sutazai_core::engine::Engine;
/// use sutazai_core::ports::AgentContext;
/// use sutazai_core::typed_agent::TypedAgent;
///
/// #[derive(Debug)]
/// struct Greeter {
///     greeting: String,
/// }
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Person {
///     name: String,
/// }
///
/// impl TypedAgent for Greeter {
///     type Input = Person;
///     type Output = String;
///
///     fn name(&self) -> &str {
///         "greeter"
///     }
///
///     async fn run(&self, input: Person, context: &AgentContext) -> Result<String> {
///         context.check_cancelled()?;
///         Ok(format!("{}, {}!", self.greeting, input.name))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let engine = Engine::builder().agent(Greeter { greeting: "Hello".into() }).start().await?;
/// let greeted: String = engine.submit("greeter", Person { name: "Ada".into() }).await?.output().await?;
/// assert_eq!(greeted, "Hello, Ada!");
/// engine.shutdown().await
/// # }
/// ```
pub trait TypedAgent: fmt::Debug + Send + Sync + 'static {
    /// Payload of a task. It must be a JSON object.
    type Input: DeserializeOwned + JsonSchema + Send;
    /// Result of a task.
    type Output: Serialize + JsonSchema;

    /// Returns the name in kebab case, by which tasks address the agent.
    fn name(&self) -> &str;

    /// Returns one sentence on what the agent does, for people; default: its name in words.
    fn description(&self) -> String {
        self.name().replace('-', " ")
    }

    /// Returns the capabilities of the agent, in snake case; default: its name.
    fn capabilities(&self) -> Vec<String> {
        vec![self.name().replace('-', "_")]
    }

    /// Returns the permissions that the caller of a task needs; default: to submit tasks. The context offers models
    /// only with [`Permission::UseModels`] and metrics only with [`Permission::ReadMetrics`].
    fn permissions(&self) -> Vec<Permission> {
        vec![Permission::WriteTasks]
    }

    /// Returns the settings of tasks whose requests leave them out; default: those of [`TaskDefaults::default`].
    fn defaults(&self) -> TaskDefaults {
        TaskDefaults::default()
    }

    /// Runs a task. After a crash it may run again from the start, so its external effects must be idempotent.
    ///
    /// # Errors
    /// Any; its kind decides on a retry. A transient error, `Misfit` or `Internal` is retried.
    ///
    /// # Cancel safety
    /// It should end soon after [`AgentContext::cancellation`] is cancelled; 5 s later the future is dropped.
    fn run(
        &self,
        input: Self::Input,
        context: &AgentContext,
    ) -> impl Future<Output = Result<Self::Output>> + Send;
}

#[async_trait]
impl<A: TypedAgent> Agent for A {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new(self.name(), self.description())
            .capabilities(self.capabilities())
            .defaults(self.defaults())
            .input_schema(input_schema::<A::Input>())
            .output_schema(output_schema::<A::Output>())
    }

    fn permissions(&self, _: &Value) -> Vec<Permission> {
        TypedAgent::permissions(self)
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        let output = TypedAgent::run(self, context.payload()?, context).await?;
        serde_json::to_value(output).map(Step::Done).map_err(Error::json)
    }
}
