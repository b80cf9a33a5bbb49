use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use super::against::Against;
use super::known::Known;
use super::question::Tally;
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target};
use crate::catalogue::Named;
use crate::outcome::Status;
use crate::profile::Shape;
use crate::units::count;

/// No value has appeared since the baseline, and none is gone.
///
/// Written `categories: true`: a new value fails, a lost one warns.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Categories {
    /// What it is compared with. Default: `baseline`.
    #[serde(default)]
    pub against: Against,
    /// What a new value does: `fail` (the default), `warn` or `ignore`.
    #[serde(default = "fail")]
    pub new: Does,
    /// What a lost value does: `fail`, `warn` (the default) or `ignore`.
    #[serde(default = "warn")]
    pub lost: Does,
}

/// What a difference does to the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Does {
    Fail,
    Warn,
    Ignore,
}

impl Does {
    pub(super) fn status(self) -> Status {
        match self {
            Self::Fail => Status::Failed,
            Self::Warn => Status::Warned,
            Self::Ignore => Status::Passed,
        }
    }
}

fn fail() -> Does {
    Does::Fail
}

fn warn() -> Does {
    Does::Warn
}

impl Named for Categories {
    const NAME: &'static str = "categories";
}

impl CheckType for Categories {
    const ON: On = On::Column;
    const COST: Cost = Cost::Counts;
}

impl Check for Categories {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        target.column_facts(&known.catalog)?;
        let name = target.column.as_deref().unwrap_or_default();
        let column = self.against.profile(target, known)?.column(name).ok_or_else(|| format!("{} has no column {name}", self.against.shown()))?;
        let values = match &column.shape {
            Shape::Values(values) => values.iter().map(|(value, _)| value.clone()).collect::<Vec<_>>(),
            Shape::Bins { .. } => return Err("it has no categories: too many different values".into()),
            Shape::Unknown(why) => return Err(why.clone()),
        };
        let tally = Tally { by: vec![format!("t.{}", target.column())], filter: target.filter.clone(), size: Some(2 * values.len() + 2) };
        Ok(Question { tallies: vec![tally], names: values, ..Question::default() })
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let before: BTreeSet<&str> = answer.names.iter().map(String::as_str).collect();
        let now: BTreeMap<&str, u64> = answer.tallies.iter().flatten().filter_map(|(value, n)| Some((value[0].as_deref()?, *n))).collect();
        let new: Vec<String> =
            now.iter().filter(|(value, _)| !before.contains(*value)).map(|(value, n)| format!("new: {value} ({} rows)", count(*n))).collect();
        let lost: Vec<String> = before.iter().filter(|value| !now.contains_key(*value)).map(|value| format!("lost: {value}")).collect();
        let status = |found: &[String], does: Does| if found.is_empty() { Status::Passed } else { does.status() };
        let message = format!("{} new and {} lost of {} values in {}", new.len(), lost.len(), before.len(), self.against.shown());
        let evidence = new.iter().chain(&lost).take(20).cloned().collect();
        Judgement::new(status(&new, self.new).max(status(&lost, self.lost)), message).with_evidence(evidence)
    }

    fn against(&self) -> Option<&Against> {
        Some(&self.against)
    }

    fn mistake(&self) -> Option<String> {
        self.against.mistake()
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{settings, tallied, target};
    use super::*;

    #[test]
    fn a_new_value_fails_and_a_lost_one_warns() {
        let categories: Categories = settings("{}");
        let judged = |counts: &[(&str, u64)]| {
            let answer = Answer { names: vec!["a".into(), "b".into()], ..tallied(counts) };
            categories.judge(&target(Some("c")), &answer)
        };
        assert_eq!(judged(&[("a", 1), ("b", 1)]).status, Status::Passed);
        assert_eq!(judged(&[("a", 1)]).status, Status::Warned);
        let new = judged(&[("a", 1), ("b", 1), ("c", 7)]);
        assert_eq!((new.status, new.evidence), (Status::Failed, vec!["new: c (7 rows)".to_owned()]));
    }
}
