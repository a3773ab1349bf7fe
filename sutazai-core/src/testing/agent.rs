//! Conformance suite of the port [`Agent`]: what can be tested of an agent alone. The engine guarantees that an invalid
//! payload never reaches `run` and that an invalid result is never recorded; its tests cover both.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{ManualClock, agent_context, real_time};
use crate::ports::Agent;

/// Time limit for an agent to end after its cancellation. Generous, because a loaded machine is no fault of the agent.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs every check of the contract that an agent alone can satisfy; `payload` must fit its schema.
pub async fn run_all(agent: Arc<dyn Agent>, payload: serde_json::Value) {
    descriptor_is_valid(agent.as_ref());
    schema_accepts_the_payload(agent.as_ref(), &payload);
    permissions_are_the_same_each_time(agent.as_ref(), &payload);
    run_ends_promptly_after_cancellation(agent, payload).await;
}

/// The descriptor has a name in kebab case, at least one capability and valid JSON Schemas.
pub fn descriptor_is_valid(agent: &dyn Agent) {
    let descriptor = agent.descriptor();
    let name = &descriptor.name;
    let word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    assert!(name.split('-').all(word) && name.len() <= 100, "not kebab case: {name:?}");
    assert!(!descriptor.description.trim().is_empty(), "{name} has no description");
    assert!(!descriptor.capabilities.is_empty(), "{name} has no capability");
    for capability in &descriptor.capabilities {
        assert!(capability.split('_').all(word), "not snake case: {capability:?} of {name}");
    }
    let schemas = [("input", Some(&descriptor.input_schema)), ("output", descriptor.output_schema.as_ref())];
    for (of, schema) in schemas {
        if let Some(Err(e)) = schema.map(jsonschema::meta::validate) {
            panic!("the {of} schema of {name} is no JSON Schema: {e}");
        }
    }
    assert_eq!(agent.descriptor(), descriptor, "the descriptor of {name} changes");
}

/// The schema accepts the given payload and rejects anything but objects.
pub fn schema_accepts_the_payload(agent: &dyn Agent, payload: &serde_json::Value) {
    let descriptor = agent.descriptor();
    let schema = jsonschema::validator_for(&descriptor.input_schema).unwrap();
    if let Err(e) = schema.validate(payload) {
        panic!("{} refuses {payload}: {e}", descriptor.name);
    }
    for none in [json!(null), json!([1]), json!("text")] {
        assert!(!schema.is_valid(&none), "{} takes {none}", descriptor.name);
    }
}

/// `permissions` names what a run needs, and always returns the same for the same payload.
pub fn permissions_are_the_same_each_time(agent: &dyn Agent, payload: &serde_json::Value) {
    let named = agent.permissions(payload);
    let name = agent.descriptor().name;
    assert!(!named.is_empty(), "{name} asks nothing of its callers");
    assert_eq!(agent.permissions(payload), named, "the permissions of {name} change");
}

/// `run` ends soon after the context is cancelled.
pub async fn run_ends_promptly_after_cancellation(agent: Arc<dyn Agent>, payload: serde_json::Value) {
    let descriptor = agent.descriptor();
    for cancelled_first in [true, false] {
        let clock = Arc::new(ManualClock::new());
        let (context, _) = agent_context(&descriptor.name, payload.clone(), clock);
        let cancellation = context.cancellation.clone();
        if cancelled_first {
            cancellation.cancel();
        }
        let agent = agent.clone();
        let run = tokio::spawn(async move { agent.run(&context).await });
        tokio::task::yield_now().await;
        cancellation.cancel();
        let ended = real_time::within(STOP_TIMEOUT, run).await;
        // The agent may return a result or an error, but must not panic.
        ended
            .unwrap_or_else(|| panic!("{} runs on after its cancellation", descriptor.name))
            .unwrap_or_else(|e| panic!("{} panicked: {e}", descriptor.name))
            .ok();
    }
}
