//! Description of the values that a rule compares with bounds, from the same constants as the comparison itself.

use sutazai_core::domain::{BoundDirection, BoundOperation, RelativeBound, RuleBounds, RuleMetric};

/// Value that a rule compares with bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged {
    /// Metric path of the evidence; `<name>` stands for the name of one of several things.
    path: &'static str,
    unit: &'static str,
    direction: BoundDirection,
    levels: Levels,
    relative_to: Option<(&'static str, BoundOperation)>,
}

impl Judged {
    /// Describes a value that is reported above its bounds.
    pub(super) const fn above(path: &'static str, unit: &'static str, levels: Levels) -> Self {
        Self { path, unit, direction: BoundDirection::Above, levels, relative_to: None }
    }

    /// Describes a value that is reported below its bounds.
    pub(super) const fn below(path: &'static str, unit: &'static str, levels: Levels) -> Self {
        Self { direction: BoundDirection::Below, ..Self::above(path, unit, levels) }
    }

    /// Describes a percentage that is reported above its bounds.
    pub(super) const fn percent(path: &'static str, levels: Levels) -> Self {
        Self::above(path, "percent", levels)
    }

    /// Multiplies the bounds by the value of another metric.
    pub(super) const fn times(self, path: &'static str) -> Self {
        Self { relative_to: Some((path, BoundOperation::Times)), ..self }
    }

    /// Adds the value of another metric to the bounds.
    pub(super) const fn plus(self, path: &'static str) -> Self {
        Self { relative_to: Some((path, BoundOperation::Plus)), ..self }
    }

    /// Returns the description for callers.
    pub(super) fn describe(&self) -> RuleMetric {
        let [info, warning, critical] = self.levels.0;
        RuleMetric {
            metric: self.path.to_owned(),
            unit: self.unit.to_owned(),
            direction: self.direction,
            bounds: RuleBounds { info, warning, critical },
            relative_to: self
                .relative_to
                .map(|(metric, operation)| RelativeBound { metric: metric.to_owned(), operation }),
        }
    }
}

/// Bounds by severity: of an informative finding, a warning and a critical finding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Levels([Option<f64>; 3]);

impl Levels {
    /// Levels without any bound.
    pub(super) const NONE: Self = Self([None; 3]);

    /// Sets the bound of an informative finding.
    pub(super) const fn info(mut self, bound: f64) -> Self {
        self.0[0] = Some(bound);
        self
    }

    /// Sets the bound of a warning.
    pub(super) const fn warning(mut self, bound: f64) -> Self {
        self.0[1] = Some(bound);
        self
    }

    /// Sets the bound of a critical finding.
    pub(super) const fn critical(mut self, bound: f64) -> Self {
        self.0[2] = Some(bound);
        self
    }
}
