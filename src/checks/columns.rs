use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::question::find_column;
use super::{Check, CheckType, Cost, Judgement, On, Question, Target};
use crate::catalogue::Named;
use crate::outcome::Status;
use crate::units::counted;

/// Every column named under `columns` is in the table.
///
/// What else is asked of a missing column is skipped, with this as the reason.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Columns {}

impl Named for Columns {
    const NAME: &'static str = "columns";
}

impl CheckType for Columns {
    const ON: On = On::Table;
    const COST: Cost = Cost::Catalog;
}

impl Check for Columns {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        target.facts(&known.catalog)?;
        let required = known.listed(&target.table);
        let missing: Vec<String> = required.iter().filter_map(|c| find_column(&known.catalog, &target.table, c).err()).collect();
        let all = format!("all {} present", counted(required.len() as u64, "required column"));
        let verdict = if missing.is_empty() { (Status::Passed, all) } else { (Status::Failed, missing.join("; ")) };
        Ok(Question::answered(Judgement::new(verdict.0, verdict.1)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{known, target};
    use super::*;

    #[test]
    fn each_missing_column_is_named_with_the_nearest() {
        let mut known = known(&[("carrier", "text"), ("origin", "text")]);
        known.listed.insert(target(None).table, vec!["carier".into(), "origin".into()]);
        let verdict = Columns {}.ask(&target(None), &known).expect("question").answered.expect("verdict");
        assert_eq!((verdict.status, verdict.message.as_str()), (Status::Failed, "table flights has no column `carier`; did you mean `carrier`?"));
    }
}
