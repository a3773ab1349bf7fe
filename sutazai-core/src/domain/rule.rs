//! Description of the rules by which an agent judges measured values.

use serde::{Deserialize, Serialize};

/// Rule by which an agent judges measured values, in words and, as far as they suffice, in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleDescriptor {
    /// Name of the rule in snake case, as in [`Finding::rule`](super::Finding::rule).
    pub id: String,
    /// Short name for people, such as `Disk space`.
    pub title: String,
    /// Meaning of a finding, and the cases that the rule leaves out.
    pub meaning: String,
    /// Condition of an informative finding, in words; `None` if the rule reports none.
    pub info: Option<String>,
    /// Condition of a warning, in words.
    pub warning: Option<String>,
    /// Condition of a critical finding, in words.
    pub critical: Option<String>,
    /// Origin of the bounds; `None` for a rule without bounds.
    pub source: Option<String>,
    /// Values that the rule compares with bounds, the decisive one first.
    pub metrics: Vec<RuleMetric>,
}

/// Value that a rule compares with bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleMetric {
    /// Metric path as in the evidence of a finding; `<name>` stands for the name of one of several things.
    pub metric: String,
    /// Unit of the value and of its bounds, unless they are relative.
    pub unit: String,
    /// Side of the bound on which the value is reported.
    pub direction: BoundDirection,
    /// Bounds by severity. A value equal to its bound is not past it.
    pub bounds: RuleBounds,
    /// Value that the bounds refer to; `None` for absolute bounds.
    pub relative_to: Option<RelativeBound>,
}

/// Side of a bound on which a value is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoundDirection {
    /// Values above the bound are reported.
    Above,
    /// Values below the bound are reported.
    Below,
}

/// Bounds past which a value has a severity, if the other conditions hold that only the words of the rule name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleBounds {
    /// Bound of an informative finding.
    pub info: Option<f64>,
    /// Bound of a warning.
    pub warning: Option<f64>,
    /// Bound of a critical finding.
    pub critical: Option<f64>,
}

/// Measured value that bounds refer to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RelativeBound {
    /// Metric path of the value.
    pub metric: String,
    /// Operation that combines it with the bounds.
    pub operation: BoundOperation,
}

/// Operation that combines a bound with the value that it refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoundOperation {
    /// The bound is multiplied by the value.
    Times,
    /// The bound is added to the value.
    Plus,
}
