//! The bounds that a rule compares a value with: past the milder one it is reported, past the other one it is worse.
//!
//! A value at its bound is not past it. What is no finite number cannot be judged and is never past anything.

use sutazai_core::domain::Severity;

/// Two bounds, the milder first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    mild: (Severity, f64),
    grave: (Severity, f64),
}

impl Bounds {
    /// A warning over the first, critical over the second.
    pub(super) const fn new(warning: f64, critical: f64) -> Self {
        Self { mild: (Severity::Warning, warning), grave: (Severity::Critical, critical) }
    }

    /// Worth knowing over the first, a warning over the second: for what is seldom an emergency.
    pub(super) const fn mild(info: f64, warning: f64) -> Self {
        Self { mild: (Severity::Info, info), grave: (Severity::Warning, warning) }
    }

    /// How bad the value is and the bound that says so; none within both.
    pub(super) fn grade(self, value: f64) -> Option<(Severity, f64)> {
        [self.grave, self.mild].into_iter().find(|(_, bound)| value.is_finite() && value > *bound)
    }

    /// The milder bound.
    pub(super) fn mildest(self) -> f64 {
        self.mild.1
    }

    /// The same bounds in another measure: of a share, times the whole.
    pub(super) fn times(self, whole: f64) -> Self {
        let scaled = |(severity, bound)| (severity, bound * whole);
        Self { mild: scaled(self.mild), grave: scaled(self.grave) }
    }
}

/// A share as 0 to 100; no number where the whole is nothing, so that no rule judges it.
pub(super) fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole * 100.0 } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_at_its_bound_is_not_past_it() {
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
    fn a_share_of_nothing_is_not_judged() {
        assert!(percent(1.0, 0.0).is_nan());
        assert_eq!(percent(1.0, 4.0), 25.0);
    }
}
