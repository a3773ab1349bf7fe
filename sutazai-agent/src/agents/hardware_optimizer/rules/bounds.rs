//! Bounds of a rule: a value past the milder one is reported, a value past the other one is more severe.
//!
//! A value equal to its bound is not past it. A value that is not finite is never past a bound.

use sutazai_core::domain::Severity;

use super::judged::Levels;

/// Pair of bounds, each with its severity.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    mild: (Severity, f64),
    grave: (Severity, f64),
}

impl Bounds {
    /// Creates bounds for a warning and for a critical finding.
    pub(super) const fn new(warning: f64, critical: f64) -> Self {
        Self { mild: (Severity::Warning, warning), grave: (Severity::Critical, critical) }
    }

    /// Creates bounds for an informative finding and for a warning, for what is rarely an emergency.
    pub(super) const fn mild(info: f64, warning: f64) -> Self {
        Self { mild: (Severity::Info, info), grave: (Severity::Warning, warning) }
    }

    /// Returns the severity of a value and the bound that it exceeds; `None` within both bounds.
    pub(super) fn grade(self, value: f64) -> Option<(Severity, f64)> {
        [self.grave, self.mild].into_iter().find(|(_, bound)| value.is_finite() && value > *bound)
    }

    /// Returns the milder bound with its severity.
    pub(super) fn milder(self) -> (Severity, f64) {
        self.mild
    }

    /// Returns the bounds by severity, for the description of a rule.
    pub(super) const fn levels(self) -> Levels {
        let levels = Levels::NONE;
        match self.mild.0 {
            Severity::Info => levels.info(self.mild.1).warning(self.grave.1),
            Severity::Warning | Severity::Critical => levels.warning(self.mild.1).critical(self.grave.1),
        }
    }

    /// Works like [`Bounds::levels`], for a rule that also reports a value past the milder bound as informative.
    pub(super) const fn levels_from_info(self) -> Levels {
        self.levels().info(self.mild.1)
    }

    /// Converts bounds of a share into bounds of an amount, by multiplying with the whole.
    pub(super) fn times(self, whole: f64) -> Self {
        let scaled = |(severity, bound)| (severity, bound * whole);
        Self { mild: scaled(self.mild), grave: scaled(self.grave) }
    }
}

/// Returns a share from 0 to 100; NaN when the whole is zero, so that no rule judges it.
pub(super) fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole * 100.0 } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_at_its_bound_is_not_past_it() {
        let bounds = Bounds::new(10.0, 20.0);
        for (value, expected) in [
            (10.0, None),
            (10.1, Some((Severity::Warning, 10.0))),
            (20.0, Some((Severity::Warning, 10.0))),
            (20.1, Some((Severity::Critical, 20.0))),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(bounds.grade(value), expected, "{value}");
        }
        assert_eq!(Bounds::mild(1.0, 2.0).times(4.0).grade(8.5), Some((Severity::Warning, 8.0)));
    }

    #[test]
    fn share_of_zero_is_not_judged() {
        assert!(percent(1.0, 0.0).is_nan());
        assert_eq!(percent(1.0, 4.0), 25.0);
    }
}
