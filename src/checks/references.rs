use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::question::{Ask, Keyed, find_column};
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::names::{ColumnPath, TableName, ident};
use crate::units::{Amount, share};

/// Every value is found in another table's column.
///
/// NULL refers to nothing and passes. The share is of the rows with a value. A valid foreign key proves it at no cost.
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
    const COST: Cost = Cost::Keys;
}

impl References {
    fn orphan(&self, target: &Target) -> String {
        let column = target.column();
        let parent = &self.to;
        format!("t.{column} is not null and not exists (select from {} p where p.{} = t.{column})", parent.table.quoted(), ident(&parent.column))
    }
}

impl Check for References {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        let own = target.column_facts(&known.catalog)?;
        let parent = find_column(&known.catalog, &self.to.table, &self.to.column)?;
        if let Some(constraint) = known.refers(target, &self.to.table, &self.to.column) {
            return Ok(Question::proven(constraint));
        }
        let (key, portable) = known.key(&target.table, &target.column.iter().cloned().collect::<Vec<_>>(), false)?;
        // Only values of one type have one form; and the parent's must be as plain as the child's.
        let plain = known.key(&self.to.table, std::slice::from_ref(&self.to.column), false)?.0;
        let alike = own.base_type == parent.base_type && key[0].starts_with("t.") && plain[0].starts_with("t.");
        let with_value = Target { column: None, ..target.clone() }.selection(Some(&format!("t.{} is not null", target.column())));
        let exact = format!("select (select count(*) {}) || ' ' || (select count(*) {with_value})", target.selection(Some(&self.orphan(target))));
        let ask = Ask::Orphans { table: self.to.table.clone(), column: self.to.column.clone() };
        Ok(Question::keyed(Keyed { ask, key, portable: portable && alike, filter: target.filter.clone(), exact, quick: None }))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let limit = Limit { max: self.max, warn: self.warn };
        let Some([orphans, with_value]) = answer.keyed else { return Judgement::broken("the server gave no count") };
        let message = limit.sentence(orphans, with_value, &format!("are not in {}", self.to));
        Judgement::new(limit.judge(orphans, with_value), message).measured(share(orphans, with_value), limit.expected())
    }

    fn sample(&self, target: &Target, known: &Known) -> Option<String> {
        Some(target.rows_where(known, &self.orphan(target)))
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
    use super::super::test_support::{answer, keyed, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn the_share_is_of_rows_with_a_value() {
        let references: References = settings(r#"{"to": "planes.tailnum", "max": "20%", "warn": "5%"}"#);
        let status = |orphans: u64| references.judge(&target(Some("tailnum")), &keyed(1000, [orphans, 100])).status;
        assert_eq!([status(5), status(20), status(21)], [Status::Passed, Status::Warned, Status::Failed]);
        assert_eq!(references.judge(&target(Some("tailnum")), &answer(1000, &[], &[])).status, Status::Broken);
    }
}
