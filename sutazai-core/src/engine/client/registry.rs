//! Registered agents of this process, and the validation of payloads and results.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::domain::{AgentDescriptor, NewTask, Permission, TaskDefaults};
use crate::error::{Error, Result};
use crate::ports::Agent;

struct Entry {
    agent: Arc<dyn Agent>,
    descriptor: AgentDescriptor,
    input: Validator,
    output: Option<Validator>,
}

impl Entry {
    /// Compiles the schemas of an agent.
    ///
    /// # Errors
    /// `InvalidInput` if the name is not in kebab case, or if a schema or a default is invalid.
    fn new(agent: Arc<dyn Agent>) -> Result<Self> {
        let descriptor = agent.descriptor();
        let name = &descriptor.name;
        if !is_kebab_case(name) {
            return Err(Error::invalid(
                "agent.name",
                format!("expected kebab case such as word-counter, got {name:?}"),
            ));
        }
        descriptor.defaults.validate()?;
        let input = compiled(name, "agent.input_schema", &descriptor.input_schema)?;
        let output = descriptor.output_schema.as_ref();
        let output = output.map(|schema| compiled(name, "agent.output_schema", schema)).transpose()?;
        Ok(Self { agent, descriptor, input, output })
    }
}

type Entries = BTreeMap<String, Arc<Entry>>;

/// Agents by name, each with its compiled schemas.
#[derive(Default)]
pub(crate) struct AgentRegistry {
    entries: RwLock<Entries>,
}

impl fmt::Debug for AgentRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries().keys()).finish()
    }
}

impl AgentRegistry {
    /// Registers an agent under its name.
    ///
    /// # Errors
    /// `InvalidInput` if the name is not in kebab case or already taken, or if a schema or a default is invalid.
    pub(crate) fn add(&self, agent: Arc<dyn Agent>) -> Result<()> {
        let entry = Entry::new(agent)?;
        let name = entry.descriptor.name.clone();
        if self.entries().contains_key(&name) {
            return Err(Error::invalid("agent.name", format!("agent {name} already exists")));
        }
        self.insert(entry);
        Ok(())
    }

    /// Registers an agent under its name, in the place of one that has it.
    ///
    /// # Errors
    /// `InvalidInput` if the name is not in kebab case, or if a schema or a default is invalid.
    pub(crate) fn replace(&self, agent: Arc<dyn Agent>) -> Result<()> {
        self.insert(Entry::new(agent)?);
        Ok(())
    }

    fn insert(&self, entry: Entry) {
        let name = entry.descriptor.name.clone();
        self.entries.write().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::new(entry));
    }

    fn entries(&self) -> RwLockReadGuard<'_, Entries> {
        // A poisoned lock is safe to use: every change of the map is a single insert.
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the agent of this name.
    pub(crate) fn agent(&self, name: &str) -> Option<Arc<dyn Agent>> {
        self.entries().get(name).map(|entry| entry.agent.clone())
    }

    /// Returns the names of the agents, in ascending order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.entries().keys().cloned().collect()
    }

    /// Returns the descriptions of the agents, in the order of their names.
    pub(crate) fn descriptors(&self) -> Vec<AgentDescriptor> {
        self.entries().values().map(|entry| entry.descriptor.clone()).collect()
    }

    /// Validates a request: its bounds, its agent and its payload. Returns the permissions that the caller needs.
    ///
    /// # Errors
    /// `InvalidInput` naming the invalid field.
    pub(crate) fn check(&self, new: &NewTask) -> Result<Vec<Permission>> {
        new.validate()?;
        let entry = self.entry(&new.agent)?;
        check_payload(&entry.input, &new.payload)?;
        Ok(entry.agent.permissions(&new.payload))
    }

    /// Returns the settings of tasks of this agent whose requests leave them out.
    pub(crate) fn defaults(&self, agent: &str) -> Option<TaskDefaults> {
        self.entries().get(agent).map(|entry| entry.descriptor.defaults)
    }

    /// Fills in the settings that the request leaves out with those of its agent, if that is registered here.
    pub(crate) fn complete(&self, new: NewTask) -> NewTask {
        match self.defaults(&new.agent) {
            Some(defaults) => new.or_defaults(&defaults),
            None => new,
        }
    }

    /// Returns the permissions that a caller needs for a task of this agent with this validated payload.
    ///
    /// # Errors
    /// `InvalidInput` naming `agent` if it is not registered here.
    pub(crate) fn permissions(&self, agent: &str, payload: &Value) -> Result<Vec<Permission>> {
        Ok(self.entry(agent)?.agent.permissions(payload))
    }

    /// Validates a result against the output schema of its agent, if the agent declares one.
    ///
    /// # Errors
    /// `Internal` naming the part of the result that does not fit.
    pub(crate) fn check_result(&self, agent: &str, result: &Value) -> Result<()> {
        let entry = self.entries().get(agent).cloned();
        let Some(schema) = entry.as_ref().and_then(|entry| entry.output.as_ref()) else { return Ok(()) };
        schema.iter_errors(result).next().map_or(Ok(()), |e| {
            let why = format!("does not fit the output schema of {agent}: {}", e.masked_with("the value"));
            Err(Error::internal(why).with_field(field_of("result", &e)))
        })
    }

    fn entry(&self, agent: &str) -> Result<Arc<Entry>> {
        let known = self.entries().get(agent).cloned();
        known.ok_or_else(|| {
            let known = self.names().join(", ");
            Error::invalid("agent", format!("expected one of {known}, got {agent:?}"))
        })
    }
}

fn compiled(agent: &str, field: &str, schema: &Value) -> Result<Validator> {
    jsonschema::validator_for(schema)
        .map_err(|e| Error::invalid(field, format!("{agent}: not a JSON Schema: {e}")))
}

fn check_payload(schema: &Validator, payload: &Value) -> Result<()> {
    match schema.iter_errors(payload).next() {
        None => Ok(()),
        // Masked: the value of the caller is not repeated, because it may be long or secret.
        Some(e) => Err(Error::invalid(field_of("payload", &e), e.masked_with("the value").to_string())),
    }
}

/// Returns the path of the invalid value below `root`, including the name of a missing or unexpected property.
fn field_of(root: &str, e: &ValidationError<'_>) -> String {
    let path = format!("{root}{}", e.instance_path().as_str().replace('/', "."));
    match e.kind() {
        ValidationErrorKind::Required { property: Value::String(name) } => format!("{path}.{name}"),
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            unexpected.first().map_or_else(|| path.clone(), |name| format!("{path}.{name}"))
        }
        _ => path,
    }
}

fn is_kebab_case(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.split('-').all(|part| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn invalid_value_is_named_but_not_repeated() {
        let schema = json!({
            "type": "object",
            "properties": {
                "use_model": { "type": "boolean" },
                "files": { "type": "array", "items": { "type": "object", "required": ["path"] } }
            },
            "additionalProperties": false
        });
        let schema = jsonschema::validator_for(&schema).unwrap();
        for (payload, field, says) in [
            (json!({ "use_model": "s3cret" }), "payload.use_model", "boolean"),
            (json!({ "files": [{ "path": "a" }, {}] }), "payload.files.1.path", "required"),
            (json!({ "usemodel": true }), "payload.usemodel", "unexpected"),
            (json!(["s3cret"]), "payload", "object"),
        ] {
            let e = check_payload(&schema, &payload).unwrap_err();
            assert_eq!(e.field(), Some(field), "{e}");
            assert!(e.message().contains(says) && !e.message().contains("s3cret"), "{e}");
        }
    }

    #[test]
    fn kebab_case() {
        for good in ["echo", "hardware-optimizer", "a1-b2"] {
            assert!(is_kebab_case(good), "{good}");
        }
        for bad in ["", "Echo", "1a", "a--b", "-a", "a-", "a_b", "a b"] {
            assert!(!is_kebab_case(bad), "{bad}");
        }
    }
}
