use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::question::find_column;
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target};
use crate::catalogue::Named;
use crate::outcome::Status;

/// Every column named under `columns` is in the table.
///
/// What else is asked of a missing column is skipped, with this as the reason.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The columns that must be there.
    pub required: Vec<String>,
}

impl Named for Columns {
    const NAME: &'static str = "columns";
}

impl CheckType for Columns {
    const ON: On = On::Table;
    const COST: Cost = Cost::Catalog;
}

impl Check for Columns {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        let missing: Vec<String> = self.required.iter().filter_map(|c| find_column(&known.catalog, &target.table, c).err()).collect();
        if missing.is_empty() { Ok(Question::default()) } else { Err(missing.join("; ")) }
    }

    fn judge(&self, _: &Target, _: &Answer) -> Judgement {
        let n = self.required.len() as u64;
        Judgement::new(Status::Passed, format!("all {} present", crate::units::counted(n, "required column")))
    }

    fn judges_empty(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{known, settings, target};
    use super::*;

    #[test]
    fn each_missing_column_is_named_with_the_nearest() {
        let columns: Columns = settings(r#"{"required": ["carier", "origin"]}"#);
        let why = columns.ask(&target(None), &known(&[("carrier", "text"), ("origin", "text")])).expect_err("missing");
        assert_eq!(why, "table flights has no column `carier`; did you mean `carrier`?");
    }
}
