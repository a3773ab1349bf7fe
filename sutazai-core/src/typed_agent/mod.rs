//! Typed agents: a function or a struct whose input and output are Rust types, over the untyped port
//! [`Agent`](crate::ports::Agent).
//!
//! * `contract`: [`TypedAgent`], for agents with state,
//! * `function`: [`agent`], for an async function,
//! * `schema`: JSON Schemas of Rust types.
//!
//! Every typed agent is an `Agent`: the schemas are derived, the payload is deserialized, and the output is serialized.
//! An agent whose permissions depend on the payload, or that waits for child tasks, implements the untyped port itself.

mod contract;
mod function;
mod schema;

pub use contract::TypedAgent;
pub use function::{FunctionAgent, agent};
pub use schema::{input_schema, output_schema};
