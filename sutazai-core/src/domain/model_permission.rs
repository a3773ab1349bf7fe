//! Model permissions, and the measurements that grant them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chat::ModelInfo;

/// A way in which a model may contribute, granted after a measurement (`sutazai models check`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelPermission {
    /// Choose among authored sentences and order them.
    Choose,
    /// Word advice freely within the language of a finding.
    Word,
    /// Plan the steps of a task.
    Plan,
}

impl ModelPermission {
    /// Returns the name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Choose => "choose",
            Self::Word => "word",
            Self::Plan => "plan",
        }
    }
}

/// Permissions of one model of a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelPermissions {
    /// Name of the backend, as [`ModelUsage::backend`](super::ModelUsage::backend) has it.
    pub backend: String,
    /// Name of the model, as [`ModelUsage::model`](super::ModelUsage::model) has it; empty if unknown.
    pub model: String,
    /// Granted permissions in ascending order.
    pub granted: Vec<ModelPermission>,
    /// Reason for missing permissions, for people; `None` if the model was measured or nothing is known.
    pub note: Option<String>,
}

impl ModelPermissions {
    /// Creates the permissions of a model that has none.
    pub fn none(model: &ModelInfo) -> Self {
        Self { backend: model.backend.clone(), model: model.name.clone(), ..Self::default() }
    }

    /// Returns whether the model has this permission.
    pub fn allow(&self, permission: ModelPermission) -> bool {
        self.granted.contains(&permission)
    }
}

/// One measured ability of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelMeasurement {
    /// Name of the measurement, for people.
    pub name: String,
    /// Permission that requires this ability.
    pub permission: ModelPermission,
    /// Value that was measured, compared with `threshold`.
    pub value: f64,
    /// Minimum value that passes.
    pub threshold: f64,
    /// Number of measured cases.
    pub cases: usize,
    /// Minimum number of cases for a valid measurement.
    pub min_cases: usize,
}

impl ModelMeasurement {
    /// Returns whether the value reaches its threshold over enough cases.
    pub fn passed(&self) -> bool {
        self.cases >= self.min_cases && self.value >= self.threshold
    }

    /// Returns, in ascending order, the permissions that were measured and whose measurements have all passed.
    pub fn granted(measurements: &[Self]) -> Vec<ModelPermission> {
        [ModelPermission::Choose, ModelPermission::Word, ModelPermission::Plan]
            .into_iter()
            .filter(|permission| {
                let mut of = measurements.iter().filter(|one| one.permission == *permission).peekable();
                of.peek().is_some() && of.all(Self::passed)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(permission: ModelPermission, value: f64, cases: usize) -> ModelMeasurement {
        ModelMeasurement { name: String::new(), permission, value, threshold: 0.5, cases, min_cases: 4 }
    }

    #[test]
    fn measurement_passes_with_enough_cases_and_value() {
        let passed = |value, cases| measured(ModelPermission::Choose, value, cases).passed();
        assert!(passed(0.5, 4));
        assert!(!passed(0.49, 4) && !passed(1.0, 3) && !passed(f64::NAN, 9));
    }

    #[test]
    fn permission_requires_all_of_its_measurements_and_at_least_one() {
        use ModelPermission::{Choose, Word};
        assert_eq!(ModelMeasurement::granted(&[]), []);
        let measurements = [measured(Choose, 0.9, 9), measured(Word, 0.9, 9), measured(Word, 0.1, 9)];
        assert_eq!(ModelMeasurement::granted(&measurements), [Choose]);
        assert_eq!(ModelMeasurement::granted(&measurements[..2]), [Choose, Word]);
    }
}
