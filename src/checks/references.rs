use schemars::JsonSchema;
use serde::Deserialize;

use super::question::find_column;
use super::{Answer, Check, CheckType, Judgement, On, Question, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::names::{ColumnPath, TableName, ident};
use crate::ports::postgres::catalog::Catalog;
use crate::units::Amount;

/// Every value is found in another table's column.
///
/// NULL refers to nothing and passes. The share is of the rows with a value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct References {
    /// The column referred to, as `table.column`.
    pub to: ColumnPath,
    /// More rows without a parent than this fail. Default: 0.
    pub max: Option<Amount>,
    /// More rows without a parent than this warn.
    pub warn: Option<Amount>,
}

impl Named for References {
    const NAME: &'static str = "references";
    const SHORT: Option<&'static str> = Some("to");
}

impl CheckType for References {
    const ON: On = On::Column;
}

impl References {
    fn orphan(&self, target: &Target) -> String {
        let column = target.column();
        let parent = &self.to;
        format!("t.{column} is not null and not exists (select from {} p where p.{} = t.{column})", parent.table.quoted(), ident(&parent.column))
    }
}

impl Check for References {
    fn ask(&self, target: &Target, catalog: &Catalog) -> Result<Question, String> {
        target.column_facts(catalog)?;
        find_column(catalog, &self.to.table, &self.to.column)?;
        Ok(Question {
            scan: vec![target.aggregate(&format!("count({})", target.column()), None)],
            scalars: vec![format!("select count(*)::text {}", target.selection(Some(&self.orphan(target))))],
        })
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let limit = Limit { max: self.max, warn: self.warn };
        let Some(orphans) = answer.scalar(0).and_then(|n| n.parse().ok()) else { return Judgement::broken("the server gave no count") };
        let with_value = answer.count(0);
        Judgement::new(limit.judge(orphans, with_value), limit.sentence(orphans, with_value, &format!("are not in {}", self.to)))
    }

    fn sample(&self, target: &Target, catalog: &Catalog) -> Option<String> {
        Some(target.rows_where(catalog, &self.orphan(target)))
    }

    fn tables(&self) -> Vec<TableName> {
        vec![self.to.table.clone()]
    }

    fn mistake(&self) -> Option<String> {
        Limit { max: self.max, warn: self.warn }.mistake()
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn the_share_is_of_rows_with_a_value() {
        let references: References = settings(r#"{"to": "planes.tailnum", "max": "20%", "warn": "5%"}"#);
        let status = |orphans: &str| references.judge(&target(Some("tailnum")), &answer(1000, &["100"], &[orphans])).status;
        assert_eq!([status("5"), status("20"), status("21"), status("null")], [Status::Passed, Status::Warned, Status::Failed, Status::Broken]);
    }
}
