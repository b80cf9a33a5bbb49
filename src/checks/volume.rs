use schemars::JsonSchema;
use serde::Deserialize;

use super::against::Against;
use super::known::Known;
use super::{Answer, Check, CheckType, Judgement, On, Question, Target};
use crate::bounds::{Bounds, Warn};
use crate::catalogue::Named;
use crate::stats::float;
use crate::units::{Change, count};

/// The number of rows has changed by no more than this since the baseline: `volume: {between: [-10%, +30%]}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// What it is compared with. Default: `baseline`.
    #[serde(default)]
    pub against: Against,
    /// The smallest and the largest change that pass.
    pub between: [Change; 2],
    /// The earlier bounds.
    pub warn: Option<[Change; 2]>,
}

impl Named for Volume {
    const NAME: &'static str = "volume";
    const SHORT: Option<&'static str> = Some("between");
}

impl CheckType for Volume {
    const ON: On = On::Table;
}

impl Volume {
    fn bounds(&self) -> Bounds {
        let warn = self.warn.map(|pair| Warn::Between(pair.map(|change| change.0)));
        Bounds { between: Some(self.between.map(|change| change.0)), warn, ..Bounds::default() }
    }
}

impl Check for Volume {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        let reference = Some(self.against.profile(target, known)?.clone());
        Ok(Question { reference, ..Question::scan([target.rows()]) })
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let before = answer.reference.as_ref().map_or(0, |reference| reference.rows);
        let now = answer.count(0);
        if before == 0 {
            return Judgement::broken(format!("{} has no row, so no change can be told", self.against.shown()));
        }
        let change = float(now) / float(before) - 1.0;
        let [low, high] = self.between;
        let warn = self.warn.map(|[low, high]| format!(" (warning outside {low} to {high})")).unwrap_or_default();
        let expected = format!("between {low} and {high}{warn}");
        let message = format!("{} rows, {} in {}: {}; must be {expected}", count(now), count(before), self.against.shown(), Change(change));
        // 130 of 100 rows is a little more than +30% to a computer.
        let rounded = (change * 1e12).round() / 1e12;
        Judgement::new(self.bounds().judge(rounded), message).measured(change, expected)
    }

    fn judges_empty(&self) -> bool {
        true
    }

    fn against(&self) -> Option<&Against> {
        Some(&self.against)
    }

    fn mistake(&self) -> Option<String> {
        self.against.mistake().or_else(|| self.bounds().mistake())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn the_change_is_a_share_of_what_was_there() {
        let volume: Volume = settings(r#"{"between": ["-10%", "+30%"], "warn": ["-5%", "+20%"]}"#);
        let status = |rows: u64, now: &str| {
            let reference = Some(crate::profile::TableProfile { rows, columns: vec![] });
            let answer = Answer { reference, ..answer(0, &[now], &[]) };
            volume.judge(&target(None), &answer).status
        };
        assert_eq!([status(100, "110"), status(100, "130"), status(100, "131")], [Status::Passed, Status::Warned, Status::Failed]);
        assert_eq!([status(100, "0"), status(0, "5")], [Status::Failed, Status::Broken]);
    }
}
