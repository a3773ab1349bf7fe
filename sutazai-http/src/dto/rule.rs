//! Rules by which an agent judges measured values.

use serde::Serialize;
use sutazai_core::domain::{
    BoundDirection, BoundOperation, RelativeBound, RuleBounds, RuleDescriptor, RuleMetric,
};
use utoipa::ToSchema;

/// All rules of an agent, in the order in which it lists findings of one severity.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleList {
    items: Vec<RuleView>,
}

impl RuleList {
    /// Creates the list of these rules.
    pub(crate) fn new(rules: Vec<RuleDescriptor>) -> Self {
        Self { items: rules.into_iter().map(RuleView::from).collect() }
    }
}

/// Rule in words and, as far as they suffice, in numbers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rule)]
struct RuleView {
    /// Name of the rule, as in `rule` of a finding.
    #[schema(example = "disk_space")]
    id: String,
    /// Short name for people.
    title: String,
    /// Meaning of a finding, and the cases that the rule leaves out; names of files and settings are in backquotes.
    meaning: String,
    /// Condition of an informative finding, in words; null if the rule reports none.
    info: Option<String>,
    /// Condition of a warning, in words.
    warning: Option<String>,
    /// Condition of a critical finding, in words.
    critical: Option<String>,
    /// Origin of the bounds; null for a rule without bounds.
    source: Option<String>,
    /// Values that the rule compares with bounds, the decisive one first.
    metrics: Vec<RuleMetricView>,
}

impl From<RuleDescriptor> for RuleView {
    fn from(rule: RuleDescriptor) -> Self {
        Self {
            id: rule.id,
            title: rule.title,
            meaning: rule.meaning,
            info: rule.info,
            warning: rule.warning,
            critical: rule.critical,
            source: rule.source,
            metrics: rule.metrics.into_iter().map(RuleMetricView::from).collect(),
        }
    }
}

/// Value that a rule compares with bounds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleMetric)]
struct RuleMetricView {
    /// Metric path as in the evidence of a finding; `<name>` stands for the name of one of several things.
    #[schema(example = "host.disks[<mount>].used_percent")]
    metric: String,
    /// Unit of the value, as in the evidence.
    unit: String,
    direction: DirectionView,
    bounds: RuleBoundsView,
    /// Value that the bounds refer to; null for absolute bounds.
    relative_to: Option<RelativeBoundView>,
}

impl From<RuleMetric> for RuleMetricView {
    fn from(metric: RuleMetric) -> Self {
        Self {
            metric: metric.metric,
            unit: metric.unit,
            direction: match metric.direction {
                BoundDirection::Above => DirectionView::Above,
                BoundDirection::Below => DirectionView::Below,
            },
            bounds: metric.bounds.into(),
            relative_to: metric.relative_to.map(RelativeBoundView::from),
        }
    }
}

/// Side of a bound on which a value is reported.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = BoundDirection)]
enum DirectionView {
    Above,
    Below,
}

/// Bounds past which a value has a severity, if the other conditions hold that only the words name. A value equal to its
/// bound is not past it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleBounds)]
struct RuleBoundsView {
    info: Option<f64>,
    warning: Option<f64>,
    critical: Option<f64>,
}

impl From<RuleBounds> for RuleBoundsView {
    fn from(RuleBounds { info, warning, critical }: RuleBounds) -> Self {
        Self { info, warning, critical }
    }
}

/// Measured value that bounds refer to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RelativeBound)]
struct RelativeBoundView {
    /// Metric path of the value.
    metric: String,
    operation: OperationView,
}

impl From<RelativeBound> for RelativeBoundView {
    fn from(RelativeBound { metric, operation }: RelativeBound) -> Self {
        let operation = match operation {
            BoundOperation::Times => OperationView::Times,
            BoundOperation::Plus => OperationView::Plus,
        };
        Self { metric, operation }
    }
}

/// Operation that combines a bound with the value that it refers to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = BoundOperation)]
enum OperationView {
    Times,
    Plus,
}
