//! What a model may do, and the measurements by which it has earned that.

use serde::{Deserialize, Serialize};

/// Something that a model may do once a measurement has shown that it can (`sutazai models check`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelPermission {
    /// Choose among authored sentences, and put them in order.
    Choose,
    /// Word advice itself, within the language of a finding.
    Word,
    /// Plan steps.
    Plan,
}

impl ModelPermission {
    /// In lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Choose => "choose",
            Self::Word => "word",
            Self::Plan => "plan",
        }
    }
}

/// What a model may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelPermissions {
    /// The backend that has the model, as [`ModelUsage::backend`](super::ModelUsage::backend) names it.
    pub backend: String,
    /// The model, as [`ModelUsage::model`](super::ModelUsage::model) names it; empty where it is not known.
    pub model: String,
    /// What it may do, in ascending order.
    pub granted: Vec<ModelPermission>,
    /// Why it may not do more, for people; none where it was measured or where nothing is known.
    pub note: Option<String>,
}

impl ModelPermissions {
    /// Whether the model may do this.
    pub fn allow(&self, permission: ModelPermission) -> bool {
        self.granted.contains(&permission)
    }
}

/// One thing that was measured of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelMeasurement {
    /// What was measured, for people.
    pub name: String,
    /// The permission that needs it.
    pub permission: ModelPermission,
    /// The measured value.
    pub value: f64,
    /// The least value that is good enough.
    pub threshold: f64,
    /// Over how many cases it was measured.
    pub cases: usize,
    /// How many cases are needed at least.
    pub min_cases: usize,
}

impl ModelMeasurement {
    /// Whether the value reaches its threshold over enough cases.
    pub fn passed(&self) -> bool {
        self.cases >= self.min_cases && self.value >= self.threshold
    }

    /// The permissions that were measured and need nothing that was not passed, in ascending order.
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
    fn a_measurement_passes_with_enough_cases_and_value() {
        let passed = |value, cases| measured(ModelPermission::Choose, value, cases).passed();
        assert!(passed(0.5, 4));
        assert!(!passed(0.49, 4) && !passed(1.0, 3) && !passed(f64::NAN, 9));
    }

    #[test]
    fn a_permission_needs_all_of_its_measurements_and_at_least_one() {
        use ModelPermission::{Choose, Word};
        assert_eq!(ModelMeasurement::granted(&[]), []);
        let measurements = [measured(Choose, 0.9, 9), measured(Word, 0.9, 9), measured(Word, 0.1, 9)];
        assert_eq!(ModelMeasurement::granted(&measurements), [Choose]);
        assert_eq!(ModelMeasurement::granted(&measurements[..2]), [Choose, Word]);
    }
}
