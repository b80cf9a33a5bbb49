use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::known::{Known, is_instant};
use super::question::{Fold, Term};
use super::{Answer, Check, CheckType, Judgement, On, Question, Target};
use crate::bounds::AgeLimit;
use crate::catalogue::Named;
use crate::names::literal;
use crate::outcome::Status;
use crate::units::Span;

/// The newest value is not older than this, and none lies in the future.
///
/// Judged against the server's clock, or against `as_of`. A time without a zone is read in the session's zone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fresh {
    /// Older fails.
    pub max: Option<Span>,
    /// Older warns.
    pub warn: Option<Span>,
    /// How far into the future clocks may disagree. Default: 5min.
    #[serde(default = "five_minutes")]
    pub future: Span,
    /// The instant to judge against instead of now: for data of a known day.
    pub as_of: Option<String>,
}

fn five_minutes() -> Span {
    Span::seconds(300)
}

impl Named for Fresh {
    const NAME: &'static str = "fresh";
    const SHORT: Option<&'static str> = Some("max");
}

impl CheckType for Fresh {
    const ON: On = On::Column;
}

impl Check for Fresh {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        let facts = target.column_facts(&known.catalog)?;
        if !is_instant(facts) {
            return Err(format!("freshness needs a date or a timestamp, and {} is {}", target.subject(), facts.base_type));
        }
        let now = self.as_of.as_deref().map_or_else(|| "now()".into(), |at| format!("{}::timestamptz", literal(at)));
        let newest = target.aggregate(Fold::Max, format!("max({})", target.column()));
        let age = [format!("extract(epoch from ({now} - ("), ")::timestamptz))".to_owned()];
        Ok(Question::scan([Term { finish: Some(age), ..newest.clone() }, newest]))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        if answer.rows == 0 {
            return Judgement::new(Status::Passed, "there is no row, and that is allowed");
        }
        let (Some(age), Some(newest)) = (answer.scan[0].as_deref().and_then(|s| s.parse::<f64>().ok()), answer.scan[1].as_deref()) else {
            return Judgement::new(Status::Failed, "there is no value: nothing can be fresh");
        };
        if !age.is_finite() {
            return Judgement::new(Status::Failed, format!("the newest value is {newest}"));
        }
        let whole = |seconds: f64| Span(Duration::try_from_secs_f64(seconds.round()).unwrap_or_default());
        if -age > self.future.0.as_secs_f64() {
            return Judgement::new(Status::Failed, format!("the newest value, {newest}, lies {} in the future", whole(-age)));
        }
        let status = AgeLimit { max: self.max, warn: self.warn }.judge(Duration::try_from_secs_f64(age.max(0.0)).unwrap_or(Duration::MAX));
        let bound = match (self.max, self.warn) {
            (Some(max), Some(warn)) => format!("at most {max} (warning above {warn})"),
            (Some(max), None) => format!("at most {max}"),
            (None, Some(warn)) => format!("warning above {warn}"),
            (None, None) => "not in the future".into(),
        };
        let as_of = self.as_of.as_ref().map(|at| format!(" as of {at}")).unwrap_or_default();
        let message = format!("the newest value, {newest}, is {} old{as_of}; {bound}", whole(age.max(0.0)));
        Judgement::new(status, message).measured(age, bound)
    }

    fn mistake(&self) -> Option<String> {
        let as_of = self.as_of.as_ref().filter(|at| chrono::DateTime::parse_from_rfc3339(at).is_err());
        let wrong = as_of.map(|at| format!("`as_of: {at}` is no instant such as 2026-01-31T18:00:00Z"));
        AgeLimit { max: self.max, warn: self.warn }.mistake().or(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, settings, target};
    use super::*;

    fn status(age: &str) -> Status {
        let fresh: Fresh = settings(r#"{"max": "24h", "warn": "6h"}"#);
        fresh.judge(&target(Some("at")), &answer(9, &[age, "2013-01-31 12:00:00+00"], &[])).status
    }

    #[test]
    fn old_fails_and_so_does_the_future() {
        assert_eq!(status("3600"), Status::Passed);
        assert_eq!(status("30000"), Status::Warned);
        assert_eq!(status("86401"), Status::Failed);
        assert_eq!(status("-299"), Status::Passed);
        assert_eq!(status("-301"), Status::Failed);
        assert_eq!(status("-Infinity"), Status::Failed);
    }

    #[test]
    fn no_value_is_not_fresh() {
        let fresh: Fresh = settings(r#"{"max": "24h"}"#);
        assert_eq!(fresh.judge(&target(Some("at")), &answer(9, &["null", "null"], &[])).status, Status::Failed);
    }
}
