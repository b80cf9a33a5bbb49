//! Requirements on a number: the fail bound and, before it, the warning. All bounds are inclusive.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::outcome::Status;
use crate::units::{Amount, Span, count, counted, percent, share};

/// How many violations are allowed. Nothing given: none.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The check fails above this count or share. Default: 0, or no bound beside a `warn`.
    pub max: Option<Amount>,
    /// The check warns above this count or share.
    pub warn: Option<Amount>,
}

impl Limit {
    /// A warning that could never come.
    pub fn mistake(&self) -> Option<String> {
        let later = match (self.max, self.warn) {
            (Some(Amount::Count(max)), Some(Amount::Count(warn))) => warn > max,
            (Some(Amount::Share(max)), Some(Amount::Share(warn))) => warn > max,
            _ => false,
        };
        later.then(|| "`warn` lies above `max`, so it could never warn".into())
    }

    /// With `warn` alone nothing fails.
    fn bound(&self) -> Option<Amount> {
        self.max.or(if self.warn.is_some() { None } else { Some(Amount::Count(0)) })
    }

    pub fn judge(&self, violations: u64, total: u64) -> Status {
        if self.bound().is_some_and(|max| !max.allows(violations, total)) {
            Status::Failed
        } else if self.warn.is_some_and(|warn| !warn.allows(violations, total)) {
            Status::Warned
        } else {
            Status::Passed
        }
    }

    /// `at most 20%`
    pub fn expected(&self) -> String {
        match (self.bound(), self.warn) {
            (Some(max), _) => format!("at most {max}"),
            (None, Some(warn)) => format!("warning above {warn}"),
            (None, None) => "no bound".into(),
        }
    }

    /// `4,324 of 26,849 rows (16.1%) have no parent; allowed: 20%, warning above 5%`
    pub fn sentence(&self, violations: u64, total: u64, what: &str) -> String {
        let shown = if violations == 0 {
            format!("0 of {} {what}", counted(total, "row"))
        } else {
            format!("{} of {} ({}) {what}", count(violations), counted(total, "row"), percent(share(violations, total)))
        };
        match (self.max, self.warn) {
            (None, None) if violations == 0 => shown,
            (max, None) => format!("{shown}; allowed: {}", max.unwrap_or(Amount::Count(0))),
            (None, Some(warn)) => format!("{shown}; warning above {warn}"),
            (Some(max), Some(warn)) => format!("{shown}; allowed: {max}, warning above {warn}"),
        }
    }
}

/// One bound, or two for `between`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number or, beside `between`, a pair [low, high]")]
pub enum Warn {
    At(f64),
    Between([f64; 2]),
}

/// What a measured number must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "bounds such as `{min: 0.8, warn: 0.9}`")]
pub struct Bounds {
    /// The smallest value that passes.
    pub min: Option<f64>,
    /// The largest value that passes.
    pub max: Option<f64>,
    /// The smallest and the largest value that pass.
    pub between: Option<[f64; 2]>,
    /// The earlier bound, on the same side as `min` or `max`; a pair with `between`.
    pub warn: Option<Warn>,
}

impl Bounds {
    /// Why these bounds can never be met or mean nothing, if so.
    pub fn mistake(&self) -> Option<String> {
        if let Some([low, high]) = self.between {
            if self.min.is_some() || self.max.is_some() {
                return Some("`between` already is `min` and `max`; write one of them".into());
            }
            if low > high {
                return Some(format!("nothing lies between {low} and {high}"));
            }
        }
        match (self.low(), self.high()) {
            (None, None) => return Some("a bound is missing: `min`, `max` or `between`".into()),
            (Some(low), Some(high)) if low > high => return Some(format!("`min` {low} is above `max` {high}")),
            _ => {}
        }
        match self.warn {
            Some(Warn::At(_)) if self.low().is_some() && self.high().is_some() => {
                Some("with two bounds `warn` needs two values: `warn: [low, high]`".into())
            }
            Some(Warn::At(w)) if self.low().is_some_and(|low| w < low) || self.high().is_some_and(|high| w > high) => {
                Some(format!("`warn` {w} lies outside the bound, so it could never warn"))
            }
            Some(Warn::Between([low, high])) if low > high => Some(format!("`warn`: nothing lies between {low} and {high}")),
            Some(Warn::Between(_)) if self.low().is_none() || self.high().is_none() => {
                Some("`warn` is a pair only beside two bounds; beside one it is a number".into())
            }
            Some(Warn::Between([low, high])) if self.low().is_some_and(|l| low < l) || self.high().is_some_and(|h| high > h) => {
                Some(format!("`warn` [{low}, {high}] reaches outside the bounds, so it could never warn there"))
            }
            _ => None,
        }
    }

    /// The least that passes, if there is one.
    pub fn low(&self) -> Option<f64> {
        self.between.map(|b| b[0]).or(self.min)
    }

    /// The most that passes, if there is one.
    pub fn high(&self) -> Option<f64> {
        self.between.map(|b| b[1]).or(self.max)
    }

    /// Never green by accident: what is not a number is broken.
    pub fn judge(&self, value: f64) -> Status {
        let outside = |low: Option<f64>, high: Option<f64>| low.is_some_and(|l| value < l) || high.is_some_and(|h| value > h);
        let warn = match self.warn {
            None => (None, None),
            Some(Warn::Between([low, high])) => (Some(low), Some(high)),
            Some(Warn::At(w)) if self.low().is_some() => (Some(w), None),
            Some(Warn::At(w)) => (None, Some(w)),
        };
        if !value.is_finite() {
            Status::Broken
        } else if outside(self.low(), self.high()) {
            Status::Failed
        } else if outside(warn.0, warn.1) {
            Status::Warned
        } else {
            Status::Passed
        }
    }

    /// `must be at least 0.7 (warning below 0.72)`
    pub fn sentence(&self) -> String {
        let bound = match (self.low(), self.high()) {
            (Some(low), Some(high)) => format!("must be between {low} and {high}"),
            (Some(low), None) => format!("must be at least {low}"),
            (None, Some(high)) => format!("must be at most {high}"),
            (None, None) => "has no bound".into(),
        };
        match self.warn {
            None => bound,
            Some(Warn::Between([low, high])) => format!("{bound} (warning outside {low} to {high})"),
            Some(Warn::At(w)) if self.low().is_some() => format!("{bound} (warning below {w})"),
            Some(Warn::At(w)) => format!("{bound} (warning above {w})"),
        }
    }
}

/// The most that a distance may be, and the warning before it. Without `max` nothing fails.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ceiling {
    pub max: Option<f64>,
    pub warn: Option<f64>,
}

/// As it is written at length; a bare number is `max`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LongCeiling {
    /// More fails.
    max: Option<f64>,
    /// More warns.
    warn: Option<f64>,
}

impl<'de> Deserialize<'de> for Ceiling {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CeilingVisitor;
        impl<'de> Visitor<'de> for CeilingVisitor {
            type Value = Ceiling;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, or bounds such as `{max: 0.2, warn: 0.1}`")
            }
            fn visit_f64<E>(self, max: f64) -> Result<Ceiling, E> {
                Ok(Ceiling { max: Some(max), warn: None })
            }
            #[expect(clippy::cast_precision_loss, reason = "a bound that people write")]
            fn visit_u64<E>(self, max: u64) -> Result<Ceiling, E> {
                Ok(Ceiling { max: Some(max as f64), warn: None })
            }
            #[expect(clippy::cast_precision_loss, reason = "a bound that people write")]
            fn visit_i64<E>(self, max: i64) -> Result<Ceiling, E> {
                Ok(Ceiling { max: Some(max as f64), warn: None })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Ceiling, A::Error> {
                LongCeiling::deserialize(MapAccessDeserializer::new(map)).map(|long| Ceiling { max: long.max, warn: long.warn })
            }
        }
        deserializer.deserialize_any(CeilingVisitor)
    }
}

impl JsonSchema for Ceiling {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ceiling".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let long = generator.subschema_for::<LongCeiling>();
        schemars::json_schema!({"description": "The most that a distance may be, and the warning before it.", "anyOf": [{"type": "number"}, long]})
    }
}

impl Ceiling {
    pub fn judge(self, value: f64) -> Status {
        match (self.max, self.warn) {
            (Some(max), _) if value > max => Status::Failed,
            (_, Some(warn)) if value > warn => Status::Warned,
            _ => Status::Passed,
        }
    }

    pub fn mistake(self) -> Option<String> {
        match (self.max, self.warn) {
            (None, None) => Some("a bound is missing: `max` or `warn`".into()),
            (Some(max), Some(warn)) if warn > max => Some("`warn` lies above `max`, so it could never warn".into()),
            (max, warn) if max.into_iter().chain(warn).any(|v| v < 0.0) => Some("a bound is not below 0".into()),
            _ => None,
        }
    }
}

impl std::fmt::Display for Ceiling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.max, self.warn) {
            (Some(max), Some(warn)) => write!(f, "at most {max}, warning above {warn}"),
            (Some(max), None) => write!(f, "at most {max}"),
            (None, Some(warn)) => write!(f, "warning above {warn}"),
            (None, None) => f.write_str("no bound"),
        }
    }
}

/// What a measured share must be, written as percentages.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ShareBounds {
    pub min: Option<Amount>,
    pub max: Option<Amount>,
    pub between: Option<[Amount; 2]>,
    pub warn: Option<WarnShare>,
}

/// One share, or two for `between`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a share or, beside `between`, a pair [low, high]")]
pub enum WarnShare {
    At(Amount),
    Between([Amount; 2]),
}

impl ShareBounds {
    /// As numbers: 20% is 0.2.
    pub fn plain(&self) -> Bounds {
        let plain = |amount: Amount| match amount {
            Amount::Share(share) => share,
            Amount::Count(_) => f64::NAN,
        };
        let warn = self.warn.map(|warn| match warn {
            WarnShare::At(at) => Warn::At(plain(at)),
            WarnShare::Between(pair) => Warn::Between(pair.map(plain)),
        });
        Bounds { min: self.min.map(plain), max: self.max.map(plain), between: self.between.map(|pair| pair.map(plain)), warn }
    }

    pub fn mistake(&self) -> Option<String> {
        let amounts = self.min.iter().chain(&self.max).chain(self.between.iter().flatten());
        let warn = self.warn.iter().flat_map(|warn| match warn {
            WarnShare::At(at) => vec![*at],
            WarnShare::Between(pair) => pair.to_vec(),
        });
        let count = amounts.copied().chain(warn).any(|amount| matches!(amount, Amount::Count(_)));
        if count { Some("a share is written as `20%`".into()) } else { self.plain().mistake() }
    }
}

/// How old the newest row may be.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgeLimit {
    pub max: Option<Span>,
    pub warn: Option<Span>,
}

impl AgeLimit {
    pub fn mistake(&self) -> Option<String> {
        match (self.max, self.warn) {
            (None, None) => Some("an age is missing: `max` or `warn`".into()),
            (Some(max), Some(warn)) if warn.0 > max.0 => Some("`warn` lies above `max`, so it could never warn".into()),
            _ => None,
        }
    }

    pub fn judge(&self, age: std::time::Duration) -> Status {
        if self.max.is_some_and(|max| age > max.0) {
            Status::Failed
        } else if self.warn.is_some_and(|warn| age > warn.0) {
            Status::Warned
        } else {
            Status::Passed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(json: &str) -> Bounds {
        serde_json::from_str(json).expect("bounds")
    }

    #[test]
    fn bounds_are_inclusive_and_warn_comes_first() {
        let at_least = bounds(r#"{"min": 0.7, "warn": 0.72}"#);
        assert_eq!([0.69, 0.7, 0.71, 0.72].map(|v| at_least.judge(v)), [Status::Failed, Status::Warned, Status::Warned, Status::Passed]);
        let at_most = bounds(r#"{"max": 0.6, "warn": 0.5}"#);
        assert_eq!([0.5, 0.6, 0.61].map(|v| at_most.judge(v)), [Status::Passed, Status::Warned, Status::Failed]);
        let within = bounds(r#"{"between": [1, 4], "warn": [2, 3]}"#);
        assert_eq!(
            [0.9, 1.0, 2.0, 3.1, 4.1].map(|v| within.judge(v)),
            [Status::Failed, Status::Warned, Status::Passed, Status::Warned, Status::Failed]
        );
    }

    #[test]
    fn not_a_number_never_passes() {
        assert_eq!([f64::NAN, f64::INFINITY].map(|v| bounds(r#"{"min": 0}"#).judge(v)), [Status::Broken, Status::Broken]);
    }

    #[test]
    fn meaningless_bounds_are_mistakes() {
        for json in [
            r"{}",
            r#"{"between": [1, 4], "warn": [3, 2]}"#,
            r#"{"between": [1, 4], "warn": [0, 3]}"#,
            r#"{"min": 1, "warn": [1, 2]}"#,
            r#"{"warn": 1}"#,
            r#"{"between": [2, 1]}"#,
            r#"{"min": 1, "warn": 0}"#,
            r#"{"max": 1, "warn": 2}"#,
            r#"{"min": 3, "max": 1}"#,
        ] {
            assert!(bounds(json).mistake().is_some(), "{json}");
        }
        assert_eq!(bounds(r#"{"min": 1, "warn": 2}"#).mistake(), None);
    }

    #[test]
    fn violations_are_judged_as_counts_and_shares() {
        let limit = Limit { max: Some(Amount::Share(0.2)), warn: Some(Amount::Share(0.05)) };
        assert_eq!([21, 20, 6, 5].map(|n| limit.judge(n, 100)), [Status::Failed, Status::Warned, Status::Warned, Status::Passed]);
        assert_eq!(Limit::default().judge(1, 1_000_000), Status::Failed);
        let only_warns = Limit { max: None, warn: Some(Amount::Count(0)) };
        assert_eq!([0, 1].map(|n| only_warns.judge(n, 10)), [Status::Passed, Status::Warned]);
        let never = Limit { max: Some(Amount::Count(1)), warn: Some(Amount::Count(5)) };
        assert!(never.mistake().is_some() && limit.mistake().is_none());
        assert_eq!(limit.sentence(6, 100, "have no plane"), "6 of 100 rows (6%) have no plane; allowed: 20%, warning above 5%");
    }
}
