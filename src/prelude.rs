//! Names that a program with an embedded engine uses most: `use sutazai::prelude::*;`.
//!
//! The derive macros need `serde` (with its feature `derive`) and `schemars` 1 among the dependencies of the program.
//!
//! # Examples
//!
//! ```
//! use sutazai::prelude::*;
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Text {
//!     text: String,
//! }
//!
//! async fn shout(input: Text, _: AgentContext) -> Result<Text> {
//!     Ok(Text { text: input.text.to_uppercase() })
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<()> {
//! let engine = Engine::builder().agent(agent("shouter", shout)).start().await?;
//! let task = NewTask::from_input("shouter", Text { text: "hello".into() })?.priority(9);
//! let shouted: Text = engine.submit_task(task).await?.output().await?;
//! assert_eq!(shouted.text, "HELLO");
//! engine.shutdown().await
//! # }
//! ```

pub use async_trait::async_trait;
pub use futures::StreamExt;
pub use schemars::JsonSchema;
pub use serde::{Deserialize, Serialize};
pub use serde_json::{Value, json};

pub use crate::domain::{
    AgentDescriptor, Caller, EventKind, NewTask, PageRequest, Permission, Step, Task, TaskEvent, TaskId,
    TaskStatus, WaitUntil,
};
pub use crate::engine::{Engine, EngineBuilder, TaskHandle};
pub use crate::ports::{Agent, AgentContext};
pub use crate::typed_agent::{TypedAgent, agent};
pub use crate::{Error, ErrorKind, Result};
